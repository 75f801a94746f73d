package argv

import (
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// Preprocess gives the words of the client's own preprocessor run, which writes to standard output. With a depFile
// and a command that makes dependencies, they go there, for the very target that the whole compile would name. -g
// stays: it makes gcc note the working directory. nil for a source that is preprocessed already.
func (c *Command) Preprocess(depFile string) []string {
	if c.language.IsPreprocessed() {
		return nil
	}
	d := c.depWords()
	deps := depFile != "" && d.wanted
	var out []string
	for _, w := range c.words {
		switch w.Kind {
		case option.KindMode, option.KindOutput, option.KindAssembler, option.KindDependency, option.KindToCPP:
		case option.KindDiagnostic:
			if c.family == Clang || cppDiagnostic(w) {
				out = append(out, w.Text...)
			}
		default:
			out = append(out, w.Text...)
		}
	}
	if c.family == Clang {
		// The compile says it; once is enough.
		out = append(out, "-Wno-unknown-warning-option")
	} else {
		// A precompiled header that the compile would take is named in the text then, where it could be overlooked.
		out = append(out, "-fpch-preprocess")
	}
	out = append(out, c.keptCPP(deps)...)
	if deps {
		out = append(out, c.depOptions(d, depFile)...)
	}
	return append(out, "-E")
}

// depOptions are the dependency words of the preprocessor run.
func (c *Command) depOptions(d depWords, depFile string) []string {
	out := []string{"-MD"}
	switch {
	case c.family == Clang && d.md && d.mmd:
		out = []string{"-MD", "-MMD"} // clang says that one is unused
	case d.userOnly:
		out[0] = "-MMD"
	}
	out = append(append(out, "-MF", depFile), d.targets...)
	if t, ok := c.defaultTarget(d); ok {
		out = append(out, "-MQ", t)
	}
	if d.phony {
		out = append(out, "-MP")
	}
	return out
}

// keptCPP are the words for the preprocessor that its own run is still given: all but the ones that name the
// dependency file. They stay behind -Xpreprocessor because gcc reads those after all others.
func (c *Command) keptCPP(deps bool) []string {
	words := c.cpp
	if c.family == Clang {
		words = nil
		for i, w := range c.words {
			if w.Kind == option.KindToCPP && !c.clangRewrite(i) {
				words = append(words, handedOn(w, "-Wp,")...)
			}
		}
	}
	var out []string
	for len(words) > 0 {
		name, _, n := cppOption(words)
		switch {
		case name == "-MD" || name == "-MMD" || name == "-MF" || name == "-MP":
		case strings.HasPrefix(name, "-M") && !deps:
		default:
			for _, s := range words[:n] {
				out = append(out, "-Xpreprocessor", s)
			}
		}
		words = words[n:]
	}
	return out
}

// Compile gives the words for compiling the preprocessed text in the file input into the file output. What the
// preprocessor has used up is gone; extra words (clang's -Xclang pairs, a colour) stand behind the user's.
func (c *Command) Compile(input, output string, extra ...string) []string {
	var out []string
	for _, w := range c.words {
		switch w.Kind {
		case option.KindPlain, option.KindTarget, option.KindDebug, option.KindDiagnostic, option.KindAssembler, option.KindXclang:
			if !c.drops(&w) {
				out = append(out, w.Text...)
			}
		}
	}
	if c.family == Clang && !c.language.IsPreprocessed() {
		out = append(out, c.clangCompile()...)
	}
	out = append(out, "-x", c.language.Preprocessed().XName())
	out = append(out, extra...)
	if c.assembly {
		out = append(out, "-S")
	} else {
		out = append(out, "-c")
	}
	return append(out, input, "-o", output)
}

// clangCompile are words of clang's compile that the plain one has no need of. clang's driver keeps prefix maps for
// file names from a -cc1 that does not preprocess, though __builtin_FILE is evaluated there; and what is not used in
// this run was used, or said to be unused, in the preprocessor's.
func (c *Command) clangCompile() []string {
	var out []string
	for _, w := range c.words {
		if w.Name == "-fmacro-prefix-map=" || w.Name == "-ffile-prefix-map=" {
			out = append(out, "-Xclang", "-fmacro-prefix-map="+w.Value)
		}
	}
	return append(out, "-Qunused-arguments")
}

// cppWarnings are gcc's warnings that the preprocessor itself gives, from c.opt's CPP(…) rows and libcpp. All others
// are left out of its run, so that what cc1 says of the option itself ("valid for C but not for C++") comes once,
// from the compile.
var cppWarnings = map[string]bool{
	"": true, "all": true, "extra": true, "error": true, "fatal-errors": true, "system-headers": true, "pedantic": true,
	"bidi-chars": true, "builtin-macro-redefined": true, "comment": true,
	"comments": true, "cpp": true, "date-time": true, "deprecated": true, "endif-labels": true,
	"expansion-to-defined": true, "header-guard": true, "invalid-pch": true, "invalid-utf8": true, "long-long": true,
	"literal-suffix": true, "missing-include-dirs": true, "multichar": true, "normalized": true, "traditional": true,
	"trigraphs": true, "undef": true, "unicode": true, "unused-macros": true, "variadic-macros": true, "c++-compat": true,
	"c90-c99-compat": true, "c99-c11-compat": true, "c11-c2x-compat": true, "c11-c23-compat": true, "c++11-compat": true,
	"c++20-compat": true, "c++11-extensions": true, "c++23-extensions": true,
}

// cppDiagnostic reports whether a diagnostics word concerns the preprocessor.
func cppDiagnostic(w option.Word) bool {
	if w.Name != "-W" {
		return true
	}
	s := strings.TrimPrefix(w.Value, "no-")
	s = strings.TrimPrefix(s, "error=")
	s, _, _ = strings.Cut(s, "=")
	return cppWarnings[s]
}

// lostWarnings are warnings that need more than preprocessed text: macros, columns, comments. So do the groups that
// they are in.
var lostWarnings = map[string]bool{
	"all": true, "extra": true, "most": true, "everything": true, "multistatement-macros": true, "misleading-indentation": true,
	"documentation": true, "documentation-pedantic": true, "documentation-html": true,
}

// FailsOnLost reports whether a warning that preprocessed text can't give would make the compile fail: without it
// there would be an object where the local compiler makes none.
func (c *Command) FailsOnLost() bool {
	all, named := false, false
	for _, w := range c.words {
		if w.Name != "-W" {
			continue
		}
		switch s, ok := strings.CutPrefix(w.Value, "error="); {
		case ok:
			named = named || lostWarnings[s]
		case s == "error":
			all = true
		case s == "no-error":
			all = false
		}
	}
	return all || named
}

// ReadsComments reports whether the compiler would read comments of the source: gcc's -Wimplicit-fallthrough, and so
// -Wextra, takes "fall through" in a comment as permission. Preprocessed text has no comments, so a warning of that
// name, or a failure with -Werror, is then not to be believed.
func (c *Command) ReadsComments() bool {
	if c.family == Clang {
		return false
	}
	extra, explicit := false, ""
	for _, w := range c.words {
		if w.Name != "-W" {
			continue
		}
		switch s := strings.TrimPrefix(w.Value, "error="); {
		case s == "" || s == "extra":
			extra = true
		case s == "no-extra":
			extra = false
		case strings.TrimPrefix(s, "no-") == "implicit-fallthrough" || strings.HasPrefix(s, "implicit-fallthrough="):
			explicit = s
		}
	}
	switch explicit {
	case "":
		return extra
	case "no-implicit-fallthrough", "implicit-fallthrough=0", "implicit-fallthrough=5":
		return false
	}
	return true
}
