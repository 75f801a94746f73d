// Package allow is the helper's policy for words. It is alone so that it can be read in one go, and it is an allowlist so that
// a new compiler's new option is refused until somebody has looked at it. Clients ask it of words for the assembler and for
// LLVM alone: of the others a helper that is newer than the client may know more.
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
package allow

import (
	"regexp"
	"slices"
	"strings"
)

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

// assemblerPermitted are words for the assembler that name no file, make no listing and compress nothing.
var assemblerPermitted = regexp.MustCompile(`^(--(no)?execstack|--fatal-warnings|--(no-)?warn|-W|--32|--64|--x32|--divide|` +
	`--size-check=[a-z]+|--generate-missing-build-notes=(yes|no)|-m[a-z0-9][A-Za-z0-9_.+-]*(=[A-Za-z0-9_.+-]+)?)$`)

// assemblerDebug are words that make line tables of the assembler text. For a compiler's text these name a temporary file.
var assemblerDebug = regexp.MustCompile(`^(-g|--?gdwarf-[2-5])$`)

// Assembler reports whether all words that are handed on to the assembler are permitted; text says that the source is
// assembler text itself.
func Assembler(words []string, text bool) bool {
	for _, s := range words {
		if text && assemblerDebug.MatchString(s) {
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

// LLVM reports whether a word may be handed to LLVM.
func LLVM(s string) bool { return llvmPermitted.MatchString(s) }

// feature is one word of clang's final list of the target's features.
var feature = regexp.MustCompile(`^[+-][A-Za-z0-9][A-Za-z0-9_.-]*$`)

// denormals is what becomes of denormal numbers: with -ffast-math clang's driver decides it by what is installed.
var denormals = regexp.MustCompile(`^-fdenormal-fp-math(-f32)?=[a-z-]+(,[a-z-]+)?$`)

// BadCC1 gives the first of the -Xclang words that is neither part of a -target-feature pair, nor names an include
// directory, nor is a prefix map for file names, which is text, nor says what becomes of denormal numbers; "" when all are.
//
// A job may name what its object says of files beside it: that is text, none of it is opened.
func BadCC1(cc1 []string, job bool) string {
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
		case CC1Directory(cc1[0]) && len(cc1) > 1:
			cc1 = cc1[2:]
		default:
			return cc1[0]
		}
	}
	return ""
}

// isCC1Name reports whether a word of -cc1 is followed by a file name that is put into the object.
func isCC1Name(s string) bool { return s == "-coverage-data-file" || s == "-split-dwarf-file" }

// CC1Directory reports whether a word of -cc1 is followed by one of the driver's own include directories.
func CC1Directory(s string) bool {
	return s == "-internal-isystem" || s == "-internal-externc-isystem"
}

// Word holds a word against the lists, an option and its separate operand joined by a blank.
func Word(s string) bool {
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

// Whole holds a word of a job in tree form, joined likewise, against those that only such a job may have.
func Whole(s string) bool {
	return slices.ContainsFunc(wholePermitted, func(r *regexp.Regexp) bool { return r.MatchString(s) })
}

// wholePermitted are the shapes of words that a helper runs in tree form alone. A name in them is that of an output, which
// argv.AdmitWhole judges, or text.
var wholePermitted = []*regexp.Regexp{
	regexp.MustCompile(`^-f(sanitize|no-sanitize)[a-z-]*(=[A-Za-z0-9_,:+-]*)?$`),
	regexp.MustCompile(`^-f(verbose-asm|record-gcc-switches|diagnostics-format=[a-z-]+|diagnostics-generate-patch|diagnostics-parseable-fixits)$`),
	regexp.MustCompile(`^-f(stack-usage|callgraph-info(=[a-z,]+)?|(no-)?save-optimization-record|(no-)?profile-arcs|profile-generate|` +
		`profile-update=[a-z-]+|profile-values|profile-correction|profile-partial-training|profile-reorder-functions|profile-instr-generate|(no-)?coverage-mapping|(no-)?test-coverage)$`),
	regexp.MustCompile(`^-f(no-lto|lto(=[a-z0-9]+)?)$`),
	regexp.MustCompile(`^-mllvm -[a-z-]+=[0-9a-z-]+$`), // of those that LLVM lets pass
	regexp.MustCompile(`^-ftime-trace(-granularity=[0-9]+)?$`),
	regexp.MustCompile(`^-R[a-z-]+(=[^\x00]*)?$`),
	regexp.MustCompile(`^--?coverage$|^-g(no-)?split-dwarf$`),
	regexp.MustCompile(`^-fopt-info[a-z-]*(=[^@\x00]*)?$`),
	regexp.MustCompile(`^(-aux-info|--?serialize-diagnostics) [^@\x00]+$`),
	regexp.MustCompile(`^-dump(dir|base|base-ext)( [^\x00]*)?$`),
}
