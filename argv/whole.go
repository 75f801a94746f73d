package argv

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// Whole gives the words for compiling the source itself, with its headers, into the file output: the tree form of the
// command. Its dependencies, if it makes any, go to the file depFile, for the very target that the driver would name.
// What the user said stays as it was said, in its order; extra words (the client's own include directories, clang's
// features) stand behind the user's. A command of that form gives itself again.
func (c *Command) Whole(output, depFile string, extra ...string) []string {
	d := c.depWords()
	var out []string
	named := 0
	for i := range c.words {
		switch w := &c.words[i]; {
		case w.OutputName() != "":
			out = append(out, w.Renamed(namedFile(output, named))...)
			named++
		case c.whole(w):
			out = append(out, w.Text...)
		}
	}
	out = append(append(out, extra...), c.keptCPP(d.wanted)...)
	if d.wanted {
		out = append(out, c.wholeDeps(d, depFile)...)
	}
	if x := c.inputs[0].x; x != "" {
		out = append(out, "-x", x)
	}
	mode := "-c"
	if c.assembly {
		mode = "-S"
	}
	return append(out, mode, c.Source(), "-o", output)
}

// whole reports whether a word goes along as it is.
func (c *Command) whole(w *option.Word) bool {
	switch w.Kind {
	case option.KindPlain, option.KindTree, option.KindExtra, option.KindDump, option.KindOptInfo, option.KindReads, option.KindLTO, option.KindTarget, option.KindDebug, option.KindDiagnostic, option.KindAssembler, option.KindXclang:
		return !c.drops(w)
	case option.KindCPP:
		return c.family != Clang || !c.unusedWithoutDefaults(w)
	case option.KindLinker:
		return true // clang says of each that it is not used, gcc of some that it does not know them
	}
	return false
}

// Untellable says why the tree form would not make the compiler say what it says of the command itself; "" when it would.
//
// gcc warns of an -x behind the last input. clang says of words that choose among its own include directories whether they
// were of use, by the language and by each other; in the tree form those directories are given by name.
func (c *Command) Untellable() string {
	if c.family != Clang {
		if c.lastIndex(option.KindLanguage) > c.lastIndex(option.KindInput) {
			return "an -x stands behind the source"
		}
		return ""
	}
	choices := map[string]bool{}
	for _, w := range c.words {
		switch w.Name {
		case unusedIsFine:
			return ""
		case "-stdlib=", "--stdlib=":
			choices["-stdlib="] = true
		case "-nostdinc", "-nostdinc++", "-nostdlibinc", "-nobuiltininc", "-ibuiltininc":
			choices[w.Name] = true
		}
	}
	cxx := c.language == CXX || c.language == ObjCXX
	plain := len(choices) == 0 || len(choices) == 1 && (choices["-nostdinc"] || cxx && (choices["-stdlib="] || choices["-nostdinc++"]))
	if !plain {
		return "clang may say that a word for its include directories was not used"
	}
	return ""
}

// lastIndex is where the last word of a kind stands; -1 when there is none.
func (c *Command) lastIndex(k option.Kind) int {
	for i := len(c.words) - 1; i >= 0; i-- {
		if c.words[i].Kind == k {
			return i
		}
	}
	return -1
}

// unusedWithoutDefaults finds words that only choose among clang's own include directories. Those are given by name, so
// clang would say that the word was not used.
func (c *Command) unusedWithoutDefaults(w *option.Word) bool {
	switch w.Name {
	case "-stdlib=", "--stdlib=", "-nobuiltininc":
		return true
	case "-ibuiltininc":
		return slices.ContainsFunc(c.words, func(w option.Word) bool { return w.Name == "-nobuiltininc" })
	}
	return false
}

// wholeDeps are the dependency words. gcc's driver adds a target of its own to -MD where it sees none, so that word is
// handed past it.
func (c *Command) wholeDeps(d depWords, depFile string) []string {
	words := c.depOptions(d, depFile)
	if c.family == Clang {
		return words
	}
	return append([]string{"-Wp," + words[0] + "," + depFile}, words[3:]...) // "-MD -MF FILE" and the rest
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
		if !slices.ContainsFunc(wholePermitted, func(r *regexp.Regexp) bool { return r.MatchString(strings.Join(w.Text, " ")) }) {
			return fmt.Errorf("option %q is not one that a helper runs", w.Text)
		}
		return nil
	}
	return admit(w)
}

// wholePermitted are the shapes of words that a helper runs in tree form alone. A name in them is that of an output, which
// AdmitWhole judges, or text.
var wholePermitted = []*regexp.Regexp{
	regexp.MustCompile(`^-f(sanitize|no-sanitize)[a-z-]*(=[A-Za-z0-9_,:+-]*)?$`),
	regexp.MustCompile(`^-f(verbose-asm|record-gcc-switches|diagnostics-format=[a-z-]+|diagnostics-generate-patch|diagnostics-parseable-fixits)$`),
	regexp.MustCompile(`^-f(stack-usage|callgraph-info(=[a-z,]+)?|(no-)?save-optimization-record|(no-)?profile-arcs|profile-generate|` +
		`profile-update=[a-z-]+|profile-values|profile-correction|profile-partial-training|profile-reorder-functions|profile-instr-generate|(no-)?coverage-mapping|(no-)?test-coverage)$`),
	regexp.MustCompile(`^-f(no-lto|lto(=[a-z0-9]+)?)$`),
	regexp.MustCompile(`^-mllvm -[a-z-]+=[0-9a-z-]+$`), // of those that Parse lets pass
	regexp.MustCompile(`^-ftime-trace(-granularity=[0-9]+)?$`),
	regexp.MustCompile(`^-R[a-z-]+(=[^\x00]*)?$|^-save-temps(=obj)?$`),
	regexp.MustCompile(`^--?coverage$|^-g(no-)?split-dwarf$`),
	regexp.MustCompile(`^-fopt-info[a-z-]*(=[^@\x00]*)?$`),
	regexp.MustCompile(`^(-aux-info|--?serialize-diagnostics) [^@\x00]+$`),
	regexp.MustCompile(`^-dump(dir|base|base-ext)( [^\x00]*)?$`),
}
