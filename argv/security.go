package argv

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// This file is the helper's policy. It is alone so that it can be read in one go, and it is an allowlist so that a
// new compiler's new option is refused until somebody has looked at it.
//
// The attack: a job's words come from a peer that is not trusted. A compiler's driver runs programs and reads and
// writes files when it is told to: -fplugin=, -specs=, -wrapper, -B, -Xclang -load, -fpass-plugin= and @file run or
// read what the peer names; -fdump-…=FILE, -fprofile-use=FILE, -fsanitize-ignorelist=FILE, -o, -MF and their kin read
// or write it; -Wa,@file and -Wa,-a=FILE do so by way of the assembler; -fuse-ld= and -mllvm reach other programs
// and the insides of this one. The sandbox stands behind this list; it is not a reason to leave anything out of it.
//
// Odd facts: -f…=VALUE is a file for some names and a number for others, so only names that are listed may have a
// value. gcc takes --foo for -ffoo. -Wp, and -Wl, split at commas; so does -Wa,. A word beginning with @ is a file
// wherever it stands. The operand of an option is a word of its own and looks like any other.

// valued are the -f options that may have "=VALUE": numbers, names of modes, symbols.
var valued = strings.Fields(`
abi-compat-version abi-version align-functions align-jumps align-labels align-loops aligned-new altivec-src-compat
asan-shadow-offset basic-block-sections binutils-version blas-matmul-limit bracket-depth c++-abi cf-protection checking
clang-abi-compat concepts-diagnostics-depth const-string-class constant-string-class constexpr-backtrace-limit
constexpr-cache-depth constexpr-depth constexpr-loop-limit constexpr-ops-limit constexpr-steps debug-default-version
denormal-fp-math denormal-fp-math-f32 diagnostics-color diagnostics-column-origin diagnostics-column-unit
diagnostics-escape-format diagnostics-hotness-threshold diagnostics-minimum-margin-width diagnostics-path-format
diagnostics-show-category diagnostics-show-location diagnostics-urls emit-struct-debug-detailed error-limit
excess-precision extend-arguments fp-contract fp-exception-behavior fp-model gnuc-version hardened inline-limit
instrument-functions-exclude-function-list ira-algorithm ira-region ira-verbose keep-static-consts lax-vector-conversions
lifetime-dse live-patching macro-backtrace-limit max-errors max-tokens max-type-align message-length ms-compatibility-version
msc-version multi-rtti new-alignment new-infallible no-builtin no-sanitize no-sanitize-coverage no-sanitize-recover
no-sanitize-trap no-sanitize-address-use-after-return objc-abi-version objc-runtime objc-std openacc-dim openmp
openmp-version pack-struct patchable-function-entry permitted-flt-eval-methods reorder-blocks-algorithm
sched-stalled-insns sched-stalled-insns-dep sched-verbose short-enums show-overloads simd-cost-model spell-checking-limit
sso-struct stack-check stack-limit-register stack-limit-symbol stack-reuse strict-flex-arrays strict-overflow
strong-eval-order swift-async-fp tabstop tail-call-workaround template-backtrace-limit template-depth tls-model
track-macro-expansion trap-function trapv-handler tree-parallelize-loops tree-vectorizer-verbose trivial-auto-var-init
trivial-auto-var-init-stop-after vect-cost-model veclib visibility visibility-dllexport visibility-externs-dllimport
visibility-externs-nodllstorageclass visibility-nodllstorageclass vtable-verify wrapv-pointer xray-function-groups
xray-instruction-threshold xray-instrumentation-bundle xray-modes xray-selected-function-group zero-call-used-regs
zero-initialized-in-bss`)

// texts are the -f options whose value is free text that ends up in the object or is compared with names in it, and
// never opened.
var texts = []string{
	"macro-prefix-map", "file-prefix-map", "debug-prefix-map", "debug-compilation-dir", "file-compilation-dir",
	"random-seed", "instrument-functions-exclude-file-list",
}

// bareDenied are -f options without a value that the pattern below would let through.
var bareDenied = regexp.MustCompile(`^-f(plugin|pass-plugin|dump|profile|auto-profile|cs-profile|test-coverage|coverage|` +
	`save|stack-usage|callgraph|time-trace|opt-info|module|cxx-module|implicit-module|prebuilt|lto|thin|use-ld|sanitize|` +
	`embed|offload|openmp-targets|gpu|cuda|record|repo|rewrite|directives|preprocessed|pch|no-integrated|compare-debug)`)

// permitted are the shapes of words that a helper runs, an option and its separate operand joined by a blank.
var permitted = []*regexp.Regexp{
	regexp.MustCompile(`^-O([0-9]+|[sgz]|fast)?$`),
	regexp.MustCompile(`^-g[a-z0-9-]*(=[a-z0-9-]+)?$`),
	regexp.MustCompile(`^-std=[a-z0-9+:]+$`),
	regexp.MustCompile(`^-W[A-Za-z0-9#+-]*(=[A-Za-z0-9+._-]+)?$`),
	regexp.MustCompile(`^-f[A-Za-z][A-Za-z0-9+_-]*$`),
	regexp.MustCompile(`^-m[a-z0-9][A-Za-z0-9_.+-]*(=[A-Za-z0-9_.,:!+-]*)?$`),
	regexp.MustCompile(`^--param[ =][a-z0-9-]+=[A-Za-z0-9-]+$`),
	regexp.MustCompile(`^-G ?[0-9]+$`),
	regexp.MustCompile(`^(--target=|-target |-arch )[A-Za-z0-9][A-Za-z0-9_.-]*$`),
	regexp.MustCompile(`^-(EB|EL|ansi|w|p|pg|pedantic|pedantic-errors|pthread|static|shared|pie|no-pie|static-pie|r|s|` +
		`static-libgcc|static-libstdc\+\+|shared-libgcc|rdynamic|nostdlib|nodefaultlibs|nostartfiles|nolibc|` +
		`pass-exit-codes|Qunused-arguments|Qn|Qy)$`),
}

// value is what a listed -f option may be given.
var value = regexp.MustCompile(`^[A-Za-z0-9_.,:+-]*$`)

// assemblerPermitted are words for the assembler that name no file, make no listing and compress nothing. Parse uses
// the same list on the client.
var assemblerPermitted = regexp.MustCompile(`^(--(no)?execstack|--fatal-warnings|--(no-)?warn|-W|--32|--64|--x32|--divide|` +
	`--size-check=[a-z]+|--generate-missing-build-notes=(yes|no)|-m[a-z0-9][A-Za-z0-9_.+-]*(=[A-Za-z0-9_.+-]+)?)$`)

// assemblerDebug are words that make line tables of the assembler text. For a compiler's text these name a temporary file.
var assemblerDebug = regexp.MustCompile(`^(-g|--?gdwarf-[2-5])$`)

// plainAssembler reports whether all that a -Wa, or -Xassembler word hands on is permitted.
func plainAssembler(w option.Word, l Language) bool {
	words := []string{w.Value}
	if w.Name == "-Wa," {
		words = strings.Split(w.Value, ",")
	}
	for _, s := range words {
		if l.Assembles() && assemblerDebug.MatchString(s) {
			continue
		}
		if !assemblerPermitted.MatchString(s) || strings.Contains(strings.ToLower(s), "=native") || strings.HasPrefix(s, "-mllvm") {
			return false
		}
	}
	return true
}

// llvmPermitted are the words for LLVM that real builds use: numbers for passes. Others of its make it print, write files or
// start a viewer.
var llvmPermitted = regexp.MustCompile(`^-((hw)?asan|tsan|msan|unroll|force-vector|align-all|inline|inlinehint|inlinecold|` +
	`instcombine-lower-dbg-declare|split-threshold-for-reg-with-hint|import-instr-limit)(-[a-z-]+)?=(-?[0-9]+|0x[0-9a-f]+|true|false)$`)

// feature is one word of clang's final list of the target's features.
var feature = regexp.MustCompile(`^[+-][A-Za-z0-9][A-Za-z0-9_.-]*$`)

// denormals is what becomes of denormal numbers: with -ffast-math clang's driver decides it by what is installed.
var denormals = regexp.MustCompile(`^-fdenormal-fp-math(-f32)?=[a-z-]+(,[a-z-]+)?$`)

// badCC1Word gives the first of the -Xclang words that is neither part of a -target-feature pair, nor names an include
// directory, nor is a prefix map for file names, which is text, nor says what becomes of denormal numbers; "" when all are.
//
// A job may name what its object says of files beside it: that is text, none of it is opened.
func badCC1Word(cc1 []string, job bool) string {
	for len(cc1) > 0 {
		switch {
		case job && isCC1Name(cc1[0]) && len(cc1) > 1 && !strings.HasPrefix(cc1[1], "-"):
			cc1 = cc1[2:]
		case strings.HasPrefix(cc1[0], "-fmacro-prefix-map="):
			cc1 = cc1[1:]
		case denormals.MatchString(cc1[0]):
			cc1 = cc1[1:]
		case cc1[0] == "-target-feature" && len(cc1) > 1 && feature.MatchString(cc1[1]):
			cc1 = cc1[2:]
		case isCC1Directory(cc1[0]) && len(cc1) > 1:
			cc1 = cc1[2:]
		default:
			return cc1[0]
		}
	}
	return ""
}

// isCC1Name reports whether a word of -cc1 is followed by a file name that is put into the object.
func isCC1Name(s string) bool { return s == "-coverage-data-file" || s == "-split-dwarf-file" }

// isCC1Directory reports whether a word of -cc1 is followed by one of the driver's own include directories.
func isCC1Directory(s string) bool {
	return s == "-internal-isystem" || s == "-internal-externc-isystem"
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
			for _, s := range preprocessorWords(w) {
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
		ok = permittedWord(s)
	}
	if !ok || slices.ContainsFunc(w.Text, func(s string) bool { return strings.HasPrefix(s, "@") }) {
		return fmt.Errorf("option %q is not one that a helper runs", s)
	}
	return nil
}

// permittedWord holds a word against the lists.
func permittedWord(s string) bool {
	if strings.ContainsRune(s, 0) || strings.HasPrefix(s, "-mllvm") || strings.HasPrefix(s, "-mdevices") {
		return false
	}
	if name, v, ok := strings.Cut(s, "="); ok && strings.HasPrefix(name, "-f") {
		return slices.Contains(texts, name[2:]) || slices.Contains(valued, name[2:]) && value.MatchString(v)
	}
	if dir, ok := strings.CutPrefix(s, "-fdebug-compilation-dir "); ok {
		return dir != ""
	}
	if bareDenied.MatchString(s) {
		return false
	}
	return slices.ContainsFunc(permitted, func(r *regexp.Regexp) bool { return r.MatchString(s) })
}
