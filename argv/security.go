package argv

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/allow"
	"github.com/crosscc/crosscc/argv/option"
)

// This file is the helper's policy: which commands it runs. Which words, package allow says, and why.

// Admit says whether a helper may run a job's command: one plain compile of preprocessed text, in the form that
// [Command.Compile] makes, every word of it permitted. The error names the word.
func Admit(c *Command) error {
	if v := c.Verdict(); !v.Remote {
		return fmt.Errorf("not a compile that a helper runs: %s (%s)", v.Reason, v.Detail)
	}
	if !c.language.IsPreprocessed() || c.language == Asm {
		return fmt.Errorf("language %s: a helper compiles preprocessed text", c.language)
	}
	if len(c.outputs) != 1 {
		return fmt.Errorf("the output is not named")
	}
	for _, name := range []string{c.Source(), c.Output()} {
		if !inside(name) {
			return fmt.Errorf("file name %q is not a clean relative one", name)
		}
	}
	for _, w := range c.words {
		if err := admit(w); err != nil {
			return err
		}
	}
	return nil
}

// inside reports whether a name stays below the directory it is looked up in, and reads as a file name to every
// program that gets it.
func inside(name string) bool {
	return name != "" && name != "." && !strings.ContainsAny(name[:1], "/-@") && path.Clean(name) == name &&
		name != ".." && !strings.HasPrefix(name, "../") && !strings.ContainsRune(name, 0)
}

// admit judges one word with its operand.
func admit(w option.Word) error {
	s := strings.Join(w.Text, " ")
	if w.Name == "-std=" {
		s = w.Name + w.Value // --std=c99 as well
	}
	ok := false
	switch w.Kind {
	case option.KindInput, option.KindOutput, option.KindMode, option.KindLanguage:
		ok = true // judged by Admit and Parse
	case option.KindAssembler, option.KindXclang:
		ok = true // judged by Parse, by the lists above
	case option.KindPlain, option.KindTarget, option.KindDebug, option.KindDiagnostic:
		ok = allow.Word(s)
	}
	if !ok || slices.ContainsFunc(w.Text, func(s string) bool { return strings.HasPrefix(s, "@") }) {
		return fmt.Errorf("option %q is not one that a helper runs", s)
	}
	return nil
}

// AdmitWhole says whether a helper may run a job's command in tree form, as [Command.Whole] makes it. The source may
// have any name: it is looked up where only the client's files are. The error names the word.
func AdmitWhole(c *Command) error {
	if v := c.Verdict(); !v.Remote {
		return fmt.Errorf("not a compile that a helper runs: %s (%s)", v.Reason, v.Detail)
	}
	if len(c.outputs) != 1 || !inside(c.Output()) {
		return fmt.Errorf("output %q is not a clean relative name", c.outputs)
	}
	for _, o := range c.Outputs("a.o", "a.d") {
		if !inside(o.Name) || o.Written != "" && strings.ContainsRune(o.Written, 0) {
			return fmt.Errorf("output file %q is not a clean relative name", o.Name)
		}
	}
	if name := c.Source(); strings.ContainsAny(name[:1], "-@") || strings.ContainsRune(name, 0) {
		return fmt.Errorf("source %q does not read as a file name", name)
	}
	for _, w := range c.words {
		if err := admitWhole(w); err != nil {
			return err
		}
	}
	return nil
}

// admitWhole judges one word. Those for the preprocessor name directories and files of the client's, macros and
// targets, which are text; the linker's are not acted upon, because nothing is linked.
func admitWhole(w option.Word) error {
	switch w.Kind {
	case option.KindCPP, option.KindToCPP, option.KindDependency, option.KindLinker:
		if slices.ContainsFunc(w.Text, func(s string) bool { return strings.HasPrefix(s, "@") || strings.ContainsRune(s, 0) }) {
			return fmt.Errorf("option %q is not one that a helper runs", w.Text)
		}
		return nil
	case option.KindReads:
		if slices.ContainsFunc(w.Text, func(s string) bool { return strings.ContainsRune(s, 0) }) || strings.HasPrefix(w.Value, "@") || w.Value == "-" {
			return fmt.Errorf("option %q is not one that a helper runs", w.Text)
		}
		return nil // a file of the client's, as every name in a tree is
	case option.KindTree, option.KindExtra, option.KindDump, option.KindOptInfo, option.KindNamed, option.KindLTO:
		if !allow.Whole(strings.Join(w.Text, " ")) {
			return fmt.Errorf("option %q is not one that a helper runs", w.Text)
		}
		return nil
	}
	return admit(w)
}
