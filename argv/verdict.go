package argv

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/allow"
	"github.com/crosscc/crosscc/argv/option"
)

// Reason is why a command is run locally: a slug of package option's.
type Reason = option.Reason

// Verdict says whether a command may be compiled elsewhere.
type Verdict struct {
	Remote bool
	Reason Reason // why not; "" when Remote
	Detail string // the word or name that decided; may be ""
}

// Slot reports whether a local run takes one of the machine's slots: all do but those that only print.
func (v Verdict) Slot() bool { return v.Reason != option.Prints && v.Reason != option.NoInput }

func local(r Reason, detail string) Verdict { return Verdict{Reason: r, Detail: detail} }

// judge gives the first reason that holds, the plainest first: of "gcc -flto a.o -o a" people expect to read that it
// links.
func (c *Command) judge(env Env) Verdict {
	checks := []func(Env) Verdict{
		c.printing, c.posix, c.action, c.oneInput, c.localWord, c.filesOfWords, c.source, c.targets, c.lto, c.passed, c.output,
		c.dependencies, c.dumpNames, c.extras, c.namedOutputs, c.probe, environment,
	}
	for _, check := range checks {
		if v := check(env); v.Reason != "" {
			return v
		}
	}
	return Verdict{Remote: true}
}

// first finds the first word of a kind; nil when there is none.
func (c *Command) first(k option.Kind) *option.Word {
	for i := range c.words {
		if c.words[i].Kind == k {
			return &c.words[i]
		}
	}
	return nil
}

// printing finds what makes the driver print and leave. Without input, so do -v and the like.
func (c *Command) printing(Env) Verdict {
	if w := c.first(option.KindPrints); w != nil {
		return local(option.Prints, w.Text[0])
	}
	if w := c.first(option.KindLocal); w != nil && w.Reason == option.Verbose && len(c.inputs) == 0 {
		return local(option.Prints, w.Text[0])
	}
	return Verdict{}
}

func (c *Command) posix(env Env) Verdict {
	if s := env.Driver.Standard; s != "" {
		return local(option.PosixDriver, s)
	}
	return Verdict{}
}

// action finds commands that end before an object or go on behind it.
func (c *Command) action(Env) Verdict {
	if w := c.first(option.KindPreprocess); w != nil {
		return local(option.PreprocessOnly, w.Text[0])
	}
	for _, w := range c.words {
		if w.Kind == option.KindLocal && w.Reason == option.OtherAction {
			return local(option.OtherAction, w.Text[0])
		}
	}
	switch {
	case len(c.inputs) == 0:
		return local(option.NoInput, "")
	case !c.compile && !c.assembly:
		return local(option.Link, "")
	}
	return Verdict{}
}

func (c *Command) oneInput(Env) Verdict {
	switch {
	case len(c.inputs) > 1:
		return local(option.SeveralInputs, c.inputs[1].name)
	case c.Source() == "-":
		return local(option.Stdin, "-")
	}
	return Verdict{}
}

func (c *Command) localWord(Env) Verdict {
	if w := c.first(option.KindLocal); w != nil {
		return local(w.Reason, strings.Join(w.Text, " "))
	}
	return Verdict{}
}

// source judges the name and language of the one input.
func (c *Command) source(env Env) Verdict {
	if name := c.misread(env.Driver.CXX); name != "" {
		return local(option.OtherLanguage, "g++ has rules of its own for "+name+" behind -x")
	}
	for _, w := range c.words {
		if l, why := namedLanguage(w.Value); w.Kind == option.KindLanguage && w.Value != "none" && l == NoLanguage {
			return local(why, strings.Join(w.Text, " ")) // behind the source too: clang knows the name or ends
		}
	}
	if c.badLanguage != "" {
		return local(c.badLanguage, c.Source())
	}
	if c.language.Assembles() && c.assembly {
		return local(option.Assembler, "-S of "+c.Source()) // makes nothing, or preprocesses
	}
	if stem, _ := splitSuffix(c.Source()); stem == "" {
		// The families name the object of "dir/.c" or "dir/" differently.
		return local(option.NotASource, c.Source())
	}
	return Verdict{}
}

// targets finds "native" where it still counts, and more than one -arch.
func (c *Command) targets(env Env) Verdict {
	if w := c.nativeWord(); w != nil && !env.Native {
		return local(option.Native, w.Text[0])
	}
	arches := 0
	for _, w := range c.words {
		if w.Name == "-arch" {
			arches++
		}
	}
	if arches > 1 {
		return local(option.SeveralTargets, "-arch")
	}
	return Verdict{}
}

// lto leaves alone what two runs of one gcc would not make alike: names of sections come from a random number.
func (c *Command) lto(env Env) Verdict {
	if !env.Pinned && c.LTO() && c.family != Clang && !c.has("-frandom-seed=") {
		return local(option.LTO, "-flto without -frandom-seed=")
	}
	return Verdict{}
}

// LTO reports whether the object holds the compiler's own intermediate form: no two builds of a compiler have the same,
// and with clang it is no object file at all.
func (c *Command) LTO() bool {
	last := c.last("-flto", "-flto=", "-fno-lto")
	return last != "" && last != "-fno-lto"
}

// passed judges what the driver hands on unread: to the assembler, to the preprocessor, to clang -cc1.
func (c *Command) passed(env Env) Verdict {
	var cc1 []string
	for _, w := range c.words {
		switch {
		case w.Kind == option.KindXclang:
			cc1 = append(cc1, w.Value)
		case w.Name == "-mllvm" && !allow.LLVM(w.Value):
			return local(option.Internals, strings.Join(w.Text, " "))
		case w.Kind == option.KindAssembler && !allow.Assembler(handedOn(w, "-Wa,"), c.language.Assembles()):
			return local(option.AssemblerWords, strings.Join(w.Text, " "))
		}
	}
	if bad := allow.BadCC1(cc1, env.Job); bad != "" {
		return local(option.Internals, "-Xclang "+bad)
	}
	if bad := c.badCPPWord(); bad != "" {
		return local(option.PreprocessorWords, bad)
	}
	return Verdict{}
}

// filesOfWords finds operands that begin with @. gcc's driver hands -I@x on as -I and @x, clang's the base name of its
// source, and their compilers proper read such a word as the name of a file of words: whatever is in that file is said to
// the compiler, -fplugin= too, and nobody has judged it. Where there is no such file the word is itself, but that is known
// to nobody here.
func (c *Command) filesOfWords(Env) Verdict {
	for _, w := range c.words {
		values := []string{w.Value}
		switch w.Kind {
		case option.KindInput:
			values[0] = w.Value[strings.LastIndexByte(w.Value, '/')+1:]
		case option.KindAssembler, option.KindXclang:
			continue // their lists have nothing like that
		case option.KindToCPP:
			values = nil
			for _, s := range handedOn(w, "-Wp,") {
				_, value, _ := cppOption([]string{s})
				values = append(values, s, value)
			}
		}
		if slices.ContainsFunc(values, func(s string) bool { return strings.HasPrefix(s, "@") }) {
			return local(option.ResponseFile, strings.Join(w.Text, " "))
		}
	}
	return Verdict{}
}

// output judges the names that are written.
func (c *Command) output(env Env) Verdict {
	switch {
	case env.Pinned && len(c.outputs) == 1 && c.Output() == "/dev/null":
		return Verdict{} // what a build throws away to see whether a word is known
	case len(c.outputs) > 1:
		return local(option.AmbiguousOutput, "-o "+c.outputs[1])
	case c.Output() == "-" || c.Output() == "/dev/stdout":
		return local(option.Stdout, "-o "+c.Output())
	case c.Output() == "" || filepath.Clean(c.Output()) == filepath.Clean(c.Source()):
		return local(option.AmbiguousOutput, "-o "+c.Output())
	}
	return Verdict{}
}

// dependencies judges -MD and its kin. What an option of theirs does without -MD is the compiler's to say (gcc: an
// error, clang: a warning).
func (c *Command) dependencies(Env) Verdict {
	d := c.depWords()
	deps, _ := c.Deps()
	switch {
	case !d.wanted && (d.named || d.phony || d.cpp || len(d.targets) > 0):
		return local(option.DependencyOptions, "no -MD or -MMD")
	case !d.wanted:
		return Verdict{}
	case c.language.IsPreprocessed():
		return local(option.DependencyOptions, "-MD of "+c.Source())
	case c.family == Clang && d.md && d.mmd && (c.saysLong("--write-") || c.handsOnDeps()):
		// clang says of -MD beside -MMD that it is not used, but not where it is spelt so.
		return local(option.DependencyOptions, "both -MD and -MMD, the first as --write-dependencies or behind -Wp,")
	case deps.File == "" || deps.File == "-" || deps.File == "/dev/stdout":
		return local(option.DependencyOptions, "-MF "+deps.File)
	}
	return Verdict{}
}

// handsOnDeps reports whether clang's driver makes one of the words into -MD.
func (c *Command) handsOnDeps() bool {
	for i, w := range c.words {
		if c.clangRewrite(i) && strings.HasPrefix(w.Value, "-MD,") {
			return true
		}
	}
	return false
}

// saysLong reports whether a word for dependencies is spelt with this beginning.
func (c *Command) saysLong(prefix string) bool {
	return slices.ContainsFunc(c.words, func(w option.Word) bool {
		return w.Kind == option.KindDependency && strings.HasPrefix(w.Text[0], prefix)
	})
}

// probe knows the sources of configure, CMake and Meson: thousands of tiny compiles that ask about this machine.
func (c *Command) probe(env Env) Verdict {
	if env.Pinned {
		return Verdict{}
	}
	base := filepath.Base(c.Source())
	for _, p := range []string{"conftest.", "tmp.conftest.", "_configtest.", "CMakeCCompiler", "CMakeCXXCompiler"} {
		if strings.HasPrefix(base, p) {
			return local(option.Probe, c.Source())
		}
	}
	exact := []string{"testCCompiler.c", "testCXXCompiler.cxx", "sanitycheckc.c", "sanitycheckcpp.cc"}
	if slices.Contains(exact, base) || c.Source() == "/dev/null" || c.Output() == "/dev/null" {
		return local(option.Probe, c.Source())
	}
	for _, name := range []string{c.Source(), c.Output()} {
		for _, dir := range []string{"CMakeFiles/CMakeTmp/", "CMakeFiles/CMakeScratch/", "/cmTC_", "meson-private/"} {
			if strings.Contains("/"+name, dir) {
				return local(option.Probe, name)
			}
		}
	}
	return Verdict{}
}

// environment finds variables that make a compiler do something else.
func environment(env Env) Verdict {
	if env.Getenv == nil {
		return Verdict{}
	}
	for _, name := range []string{
		"DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", // a second dependency file
		"CCC_OVERRIDE_OPTIONS", "CCC_ADD_ARGS", "QA_OVERRIDE_GCC3_OPTIONS", // clang's edits of its own command line
		"GCC_COMPARE_DEBUG",                                                               // compiles twice
		"GCC_ROOT",                                                                        // where gcc finds its parts
		"GLIBC_TUNABLES",                                                                  // which libm clang folds with
		"GCC_EXTRA_DIAGNOSTIC_OUTPUT", "GCC_DIAGNOSTICS_LOG", "EXPERIMENTAL_SARIF_SOCKET", // says more, elsewhere
		"CC_PRINT_OPTIONS", "CC_PRINT_HEADERS", "CC_LOG_DIAGNOSTICS", "CC_PRINT_PROC_STAT", // clang's log files
		"MACOSX_DEPLOYMENT_TARGET", "IPHONEOS_DEPLOYMENT_TARGET", "TVOS_DEPLOYMENT_TARGET", // part of clang's target
		"WATCHOS_DEPLOYMENT_TARGET", "XROS_DEPLOYMENT_TARGET", "DRIVERKIT_DEPLOYMENT_TARGET",
	} {
		if env.Getenv(name) != "" {
			return local(option.Environment, name)
		}
	}
	for _, lib := range strings.FieldsFunc(env.Getenv("LD_PRELOAD"), func(r rune) bool { return r == ':' || r == ' ' }) {
		if !harmless(filepath.Base(lib)) {
			return local(option.Environment, "LD_PRELOAD")
		}
	}
	return Verdict{}
}

// harmless knows libraries that are loaded into whole builds and change nothing that a compiler computes.
func harmless(lib string) bool {
	return strings.HasPrefix(lib, "libfakeroot") || strings.HasPrefix(lib, "libeatmydata")
}
