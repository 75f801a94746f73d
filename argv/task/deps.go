package task

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
)

// This file is about dependencies that a command makes which compiles one source and links: gcc and clang name file and target
// after the output then, as its name stands (measured of gcc 11 and 12, clang 14).

// linkDeps takes the words for dependencies of a link, and gives the file a name of the job's. It does nothing where none are
// made.
func (t *Task) linkDeps(c *argv.Command, family argv.Family) error {
	made, named, target := false, "", false
	for i, w := range t.words {
		switch {
		case depsWord(w) && len(t.Sources) > 0:
			if made || strings.Count(w.Value, ",") != 1 || family == argv.Clang || len(t.Sources) != 1 {
				return errors.New("-Wp,-MD beside a link and other words for dependencies: compile with -c first")
			}
			flag, file, _ := strings.Cut(w.Value, ",")
			t.handed, t.handedFlag = i+1, flag
			return t.deps(file)
		case w.Kind != option.KindDependency:
		case w.Name == "-MD", w.Name == "-MMD":
			made = true
		case w.Name == "-MF":
			named = w.Value
		case w.Name == "-MT", w.Name == "-MQ":
			target = true
		}
	}
	if !made || len(t.Sources) == 0 {
		return nil
	}
	if len(t.Sources) > 1 || len(c.Named()) != 1 {
		return errors.New("-MD in a command that links several sources, or without -o, makes files whose names are the driver's choice: compile with -c first")
	}
	out := c.Named()[0]
	if named == "" {
		named = strings.TrimSuffix(out, path.Ext(path.Base(out))) + ".d"
		t.words = append(t.words, option.Word{Kind: option.KindDependency, Name: "-MF", Value: named, Text: []string{"-MF", named}})
	}
	if !target {
		t.words = append(t.words, option.Word{Kind: option.KindDependency, Name: "-MQ", Value: out, Text: []string{"-MQ", out}})
	}
	return t.deps(named)
}

// depsWord reports whether a word hands on that dependencies are made, and where.
func depsWord(w option.Word) bool {
	return w.Name == "-Wp," && (strings.HasPrefix(w.Value, "-MD,") || strings.HasPrefix(w.Value, "-MMD,"))
}

func (t *Task) deps(file string) error {
	if file == "" || file == "-" || strings.HasPrefix(file, "@") || slices.ContainsFunc(t.Sources, func(s *argv.Command) bool { return s.Source() == file }) {
		return errors.New("dependencies need the name of a file")
	}
	t.Outputs = append(t.Outputs, argv.Output{Kind: argv.Dependencies, Name: file, Job: taskDeps})
	return nil
}

// textDeps takes the words for dependencies that -E makes beside its text, or a compile of standard input beside its object. Their
// file is named. The target is the output's name for clang, which reads -Wp,-MD,FILE by itself, and for gcc's driver but with -E;
// else what the preprocessor takes for it (measured of gcc 12 and clang 14).
func (t *Task) textDeps(c *argv.Command) error {
	made, named, target := false, "", false
	for i, w := range t.words {
		switch {
		case depsWord(w) && (t.handed != 0 || strings.Count(w.Value, ",") != 1):
			return errors.New("dependencies beside -E are made once")
		case depsWord(w):
			flag, file, _ := strings.Cut(w.Value, ",")
			t.handed, t.handedFlag, named = i+1, flag, file
		case w.Kind != option.KindDependency:
		case w.Name == "-MD", w.Name == "-MMD":
			made = true
		case w.Name == "-MF":
			named = w.Value
		case w.Name == "-MT", w.Name == "-MQ":
			target = true
		}
	}
	text := slices.ContainsFunc(t.words, preprocesses)
	switch byDriver := made && !text || c.Family() == argv.Clang; {
	case !made && t.handed == 0 && named == "" && !target:
		return nil
	case made == (t.handed != 0):
		return errors.New("dependencies beside -E need -MD or -MMD, once")
	case named == "":
		return errors.New("-MD beside -E without -MF makes a file whose name is the driver's choice")
	case byDriver && !target && len(c.Named()) == 1 && c.Named()[0] != "-":
		out := c.Named()[0]
		t.words = append(t.words, option.Word{Kind: option.KindDependency, Name: "-MQ", Value: out, Text: []string{"-MQ", out}})
	}
	return t.deps(named)
}
