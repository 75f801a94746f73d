package task

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
)

// This file reads -fsyntax-only: gcc and clang say what they think of sources and make nothing of them, whatever -c, -S and -o
// say besides, but for dependencies, which have the file and the target that a compile's would have (measured of gcc 11 and 12,
// clang 14).

func checks(w option.Word) bool { return w.Text[0] == "-fsyntax-only" }

// check reads a command with -fsyntax-only.
func (t *Task) check(c *argv.Command, env argv.Env) error {
	var part []string
	for _, w := range c.Options() {
		switch {
		case checks(w), w.Kind == option.KindOutput, w.Kind == option.KindMode, w.Kind == option.KindInput, w.Kind == option.KindLanguage:
		case w.Kind == option.KindDependency, depsWord(w):
			if err := argv.AdmitWord(w); err != nil {
				return err
			}
		case w.Kind == option.KindLinker:
			if err := t.driverLink(w); err != nil {
				return err
			}
		default:
			part = append(part, w.Text...)
		}
	}
	inputs := c.Inputs()
	if len(inputs) == 0 || len(c.Named()) > 1 || len(c.Named()) == 1 && len(inputs) > 1 {
		return errors.New("-fsyntax-only needs sources, and knows at most one output's name, of one source")
	}
	for _, in := range inputs {
		if strings.HasPrefix(in.Name, "@") || strings.ContainsRune(in.Name, 0) || in.Name == "" {
			return fmt.Errorf("input %q does not read as a file's name", in.Name)
		}
		if err := t.source(in, part, env); err != nil {
			return err
		}
	}
	for _, s := range t.Sources {
		if len(s.Outputs("a.o", "a.d")) != 1 {
			return errors.New("beside -fsyntax-only there are words that make files besides an object")
		}
	}
	return t.checkDeps(c, env)
}

// checkDeps takes the words for dependencies of a check, and gives the file a name of the job's.
func (t *Task) checkDeps(c *argv.Command, env argv.Env) error {
	if !slices.ContainsFunc(t.words, func(w option.Word) bool { return w.Kind == option.KindDependency || depsWord(w) }) {
		return nil
	}
	named := false
	for i, w := range t.words {
		switch {
		case !depsWord(w):
			named = named || w.Name == "-MF"
		case t.handed != 0 || strings.Count(w.Value, ",") != 1 || c.Family() == argv.Clang:
			return errors.New("-Wp,-MD beside -fsyntax-only and other words for dependencies")
		default:
			flag, _, _ := strings.Cut(w.Value, ",")
			t.handed, t.handedFlag = i+1, flag
		}
	}
	var words []string // of the compile that would make them
	for _, w := range c.Options() {
		if !checks(w) && w.Kind != option.KindMode {
			words = append(words, w.Text...)
		}
	}
	d, ok := argv.Parse(append(words, "-c"), env).Deps()
	plain := slices.ContainsFunc(t.words, func(w option.Word) bool { return w.Name == "-MD" || w.Name == "-MMD" })
	if !ok || len(t.Sources) != 1 || t.Stdin || t.handed != 0 && (plain || named) {
		return errors.New("dependencies of a check are made of one source, by -MD or -MMD")
	}
	if t.handed == 0 && !named && len(c.Named()) == 0 && !slices.ContainsFunc(t.words, ends) { // gcc's is a-NAME.d for most
		return errors.New("-MD beside -fsyntax-only without -c, -o or -MF makes a file whose name is the driver's choice")
	}
	if t.handed == 0 && !named {
		t.words = append(t.words, option.Word{Kind: option.KindDependency, Name: "-MF", Value: d.File, Text: []string{"-MF", d.File}})
	}
	if t.handed == 0 && d.Target != "" {
		t.words = append(t.words, option.Word{Kind: option.KindDependency, Name: "-MQ", Value: d.Target, Text: []string{"-MQ", d.Target}})
	}
	return t.deps(d.File)
}
