package task

import (
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
)

// This file reads what is compiled or preprocessed as a whole: the preprocessor alone, and standard input.

// fromStdin reads a compile of standard input, or one to standard output.
func (t *Task) fromStdin(c *argv.Command, env argv.Env) error {
	if err := t.preprocess(c, env); err != nil {
		return err
	}
	object := slices.ContainsFunc(t.words, func(w option.Word) bool { return w.Name == "-c" })
	switch {
	case isStdin(c.Inputs()[0]) && c.Inputs()[0].X == "":
		return fmt.Errorf("a source from standard input without -x has no language")
	case len(c.Named()) != 1 || c.Named()[0] == "-" && object:
		return fmt.Errorf("a compile of standard input, or an object, needs a name for what it makes: say -o")
	case len(t.Sources) == 1 && len(t.Sources[0].Outputs("a.o", "a.d")) != 1:
		return fmt.Errorf("a compile of standard input makes one file")
	}
	if object {
		t.Outputs[len(t.Outputs)-1].Kind = argv.Object
	}
	return nil
}

// asksAssembler reports whether a word has the assembler say what it is, and make nothing.
func asksAssembler(w option.Word) bool {
	return w.Kind == option.KindAssembler && w.Value == "--version" && w.Name == "-Wa,"
}

// assemblerSays reads such a command, of a source that is none: so builds ask for the assembler's version (Linux's as-version.sh).
func (t *Task) assemblerSays(c *argv.Command, env argv.Env) error {
	var part []string
	for _, w := range c.Options() {
		switch {
		case asksAssembler(w), w.Kind == option.KindOutput, w.Kind == option.KindMode, w.Kind == option.KindInput, w.Kind == option.KindLanguage:
		default:
			part = append(part, w.Text...)
		}
	}
	if in := c.Inputs(); len(in) != 1 || in[0].Name != "/dev/null" || !slices.ContainsFunc(c.Options(), ends) {
		return fmt.Errorf("-Wa,--version makes no object: say it with -c and of /dev/null")
	}
	return t.source(c.Inputs()[0], part, env)
}

// moreCPP are words that say how -E prints.
var moreCPP = regexp.MustCompile(`^(-P|-C|-CC|-d[DIMNU]|-fdirectives-only|-v|-H)$`)

// preprocess reads -E, -M and -MM of one source.
func (t *Task) preprocess(c *argv.Command, env argv.Env) error {
	if len(c.Inputs()) != 1 {
		return fmt.Errorf("%d sources: one can be preprocessed by an image's compiler", len(c.Inputs()))
	}
	t.Rules = slices.ContainsFunc(c.Options(), func(w option.Word) bool { return w.Kind == option.KindPreprocess && w.Name != "-E" })
	part := []string{}
	for _, w := range c.Options() {
		switch {
		case w.Kind == option.KindPreprocess, w.Kind == option.KindOutput, w.Kind == option.KindMode, w.Kind == option.KindInput, w.Kind == option.KindLanguage:
		case moreCPP.MatchString(w.Text[0]) && len(w.Text) == 1:
		case w.Kind == option.KindDependency && t.Rules && w.Name != "-MD" && w.Name != "-MMD":
			if w.Name == "-MF" && w.Value != "-" {
				t.Outputs = append(t.Outputs, argv.Output{Kind: argv.Dependencies, Name: w.Value, Job: taskDeps})
			}
		case t.Rules && (w.Kind == option.KindDependency || depsWord(w)):
			return fmt.Errorf("%s beside -M makes a file whose name is the driver's choice", w.Text[0])
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
	if len(t.Outputs) > 1 || len(c.Named()) > 1 {
		return fmt.Errorf("the output is named more than once")
	}
	if !t.Rules {
		if err := t.textDeps(c); err != nil {
			return err
		}
	}
	if len(c.Named()) == 1 && c.Named()[0] != "-" {
		t.Outputs = append(t.Outputs, argv.Output{Kind: argv.AssemblerText, Name: c.Named()[0], Job: taskOutput + path.Ext(c.Named()[0])})
	}
	t.Reads, t.Dirs, t.links = nil, nil, nil // of words that the linker would have got
	return t.source(c.Inputs()[0], part, env)
}

// source adds one source with the words of its compile.
func (t *Task) source(in argv.Input, words []string, env argv.Env) error {
	if in.Name == "/dev/null" {
		in.Name = "null.c" // nothing is read; the words are judged all the same
	}
	part := slices.Clone(words)
	if isStdin(in) {
		if t.Stdin {
			return fmt.Errorf("standard input is two sources")
		}
		in.Name, t.Stdin = StdinName, true
		if in.X == "" {
			in.X = "c"
		}
	}
	if in.X != "" {
		part = append(part, "-x", in.X)
	}
	cmd := argv.Parse(append(part, "-c", in.Name, "-o", "part.o"), env)
	if !cmd.Verdict().Remote {
		return unsaid(cmd.Verdict())
	}
	if err := argv.AdmitWhole(cmd); err != nil {
		return err
	}
	if in.Name != "null.c" {
		t.Sources = append(t.Sources, cmd)
	}
	return nil
}
