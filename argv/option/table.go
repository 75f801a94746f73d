// Package option knows the options of gcc's and clang's drivers one by one: how each takes its operand, what it means to
// whoever would have the compile done elsewhere ([Kind]), and why some words keep it at home ([Reason]).
//
// A new option is a new row of the table. [Read] takes a command line apart with it, word by word; what the words of one
// command mean together is for package argv to say.
package option

import "strings"

// form is how an option takes its operand.
type form int

const (
	flag     form = iota // none: the word is the name
	joined               // the rest of the word, possibly nothing
	separate             // the next word
	either               // the rest of the word, or the next word when nothing is left
)

// kind is what a word means to us, and so which of the two runs it goes to: the client's preprocessor run (-E) or the
// helper's compile of the preprocessed text.
type Kind int

const (
	KindPlain      Kind = iota // moves the compiler proper, as far as we know: both runs
	KindTarget                 // selects machine, CPU or ABI: both runs
	KindDebug                  // -g…: both runs
	KindDiagnostic             // moves only what is said: both runs
	KindTree                   // as plain, but exact in tree form alone: reason says what is in the way of the other
	KindExtra                  // makes the compile write one more file, with a name that follows from the output's: tree form alone
	KindReads                  // makes the compiler read a file besides: it travels, in tree form alone
	KindDump                   // names of such files: in a job alone
	KindNamed                  // the same, into the file that the operand names
	KindOptInfo                // the same, -fopt-info-…=FILE; without FILE to stderr
	KindLTO                    // -flto, -fno-lto: the last decides
	KindAssembler              // to the assembler: the compile alone
	KindXclang                 // to clang's -cc1: checked as pairs, both runs
	KindCPP                    // spent once the text is preprocessed: -E alone
	KindToCPP                  // -Wp, and -Xpreprocessor: taken apart, -E alone
	KindDependency             // -MD and its kin
	KindLinker                 // no part of a compile, but clang speaks of it: -E alone
	KindMode                   // -c, -S
	KindLanguage               // -x
	KindOutput                 // -o
	KindInput                  // no option at all
	KindPreprocess             // ends the compile after preprocessing
	KindPrints                 // makes the driver print something and leave
	KindLocal                  // forces a local run: reason says why
)

// row is what we know of one option.
type row struct {
	name   string
	form   form
	kind   Kind
	reason Reason // of kindLocal; of kindTree and kindExtra why not in the other form
	only   Family // Unknown: both families have it
	alias  string // the short option that a long GNU spelling stands for
}

// lookup finds the row for a word that begins with a dash: the longest name that fits. nil when there is none.
func lookup(s string, f Family) *row {
	var best *row
	for _, i := range options[initial(s)] {
		r := &table[i]
		if r.only != Unknown && r.only != f || best != nil && len(r.name) < len(best.name) {
			continue
		}
		if s == r.name || (r.form == joined || r.form == either) && strings.HasPrefix(s, r.name) {
			best = r
		}
	}
	return best
}

// options holds the indices of the table's rows by the letter behind the dash.
var options = byInitial()

func byInitial() (rows [256][]int) {
	for i, r := range table {
		rows[initial(r.name)] = append(rows[initial(r.name)], i)
	}
	return rows
}

func initial(s string) byte {
	if len(s) < 2 {
		return 0
	}
	return s[1]
}

// table has a row for every option that has an operand or a meaning of its own. The longest name that fits a word
// counts, so "-f" is what -f… words mean that have no row. Sources: gcc 12's common.opt, c.opt and specs, clang 14's
// Options.td and --help-hidden. Keep the groups; within a group, families of options stand together.
var table = []row{
	// What is done, to what, into what.
	{name: "-c", kind: KindMode},
	{name: "--compile", alias: "-c"},
	{name: "-S", kind: KindMode},
	{name: "--assemble", alias: "-S"},
	{name: "-E", kind: KindPreprocess},
	{name: "--preprocess", alias: "-E"},
	{name: "-M", kind: KindPreprocess},
	{name: "--dependencies", alias: "-M"},
	{name: "-MM", kind: KindPreprocess},
	{name: "--user-dependencies", alias: "-MM"},
	{name: "-o", form: either, kind: KindOutput},
	{name: "--output", form: separate, alias: "-o"},
	{name: "--output=", form: joined, alias: "-o"},
	{name: "-x", form: either, kind: KindLanguage},
	{name: "--language", form: separate, alias: "-x"},
	{name: "--language=", form: joined, alias: "-x"},
	{name: "-fsyntax-only", kind: KindLocal, reason: OtherAction},
	{name: "--analyze", kind: KindLocal, reason: OtherAction},
	{name: "--precompile", kind: KindLocal, reason: OtherAction},
	{name: "-emit-", form: joined, kind: KindLocal, reason: OtherAction},
	{name: "-verify", form: joined, kind: KindLocal, reason: OtherAction, only: Clang},
	{name: "-module-file-info", kind: KindLocal, reason: OtherAction, only: Clang},
	{name: "-gen-reproducer", form: joined, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-rewrite-", form: joined, kind: KindLocal, reason: OtherAction},
	{name: "-extract-api", kind: KindLocal, reason: OtherAction},
	{name: "-cc1", form: joined, kind: KindLocal, reason: OtherAction},

	// What only prints.
	{name: "-###", kind: KindPrints},
	{name: "--version", kind: KindPrints},
	{name: "--help", form: joined, kind: KindPrints},
	{name: "-help", kind: KindPrints},
	{name: "--target-help", kind: KindPrints},
	{name: "-dumpmachine", kind: KindPrints},
	{name: "-dumpversion", kind: KindPrints},
	{name: "-dumpfullversion", kind: KindPrints},
	{name: "-dumpspecs", kind: KindPrints},
	{name: "-print-", form: joined, kind: KindPrints},
	{name: "--print-", form: joined, kind: KindPrints},
	{name: "--autocomplete=", form: joined, kind: KindPrints},
	{name: "-ccc-print-", form: joined, kind: KindPrints},
	{name: "-v", kind: KindLocal, reason: Verbose},
	{name: "--verbose", alias: "-v"},
	{name: "-Q", kind: KindLocal, reason: Verbose},
	{name: "-time", kind: KindLocal, reason: Verbose},
	{name: "-time=", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-ftime-report", form: joined, kind: KindLocal, reason: Verbose},
	{name: "-fmem-report", form: joined, kind: KindLocal, reason: Verbose},
	{name: "-fpre-ipa-mem-report", kind: KindLocal, reason: Verbose},
	{name: "-fpost-ipa-mem-report", kind: KindLocal, reason: Verbose},
	{name: "-fproc-stat-report", form: joined, kind: KindLocal, reason: Verbose},
	{name: "-fdebug-cpp", kind: KindLocal, reason: Verbose},

	// The preprocessor's.
	{name: "-D", form: either, kind: KindCPP},
	{name: "--define-macro", form: separate, alias: "-D"},
	{name: "--define-macro=", form: joined, alias: "-D"},
	{name: "-U", form: either, kind: KindCPP},
	{name: "--undefine-macro", form: separate, alias: "-U"},
	{name: "--undefine-macro=", form: joined, alias: "-U"},
	{name: "-A", form: either, kind: KindCPP},
	{name: "-I", form: either, kind: KindCPP},
	{name: "-I-", kind: KindCPP},
	{name: "--include-directory", form: separate, alias: "-I"},
	{name: "--include-directory=", form: joined, alias: "-I"},
	{name: "-F", form: either, kind: KindCPP},
	{name: "-include", form: either, kind: KindCPP},
	{name: "--include", form: separate, alias: "-include"},
	{name: "--include=", form: joined, alias: "-include"},
	{name: "-imacros", form: either, kind: KindCPP},
	{name: "--imacros", form: separate, alias: "-imacros"},
	{name: "--imacros=", form: joined, alias: "-imacros"},
	{name: "-isystem", form: either, kind: KindCPP},
	{name: "-isystem-after", form: either, kind: KindCPP, only: Clang},
	{name: "-cxx-isystem", form: either, kind: KindCPP, only: Clang},
	{name: "-stdlib++-isystem", form: either, kind: KindCPP, only: Clang},
	{name: "-iquote", form: either, kind: KindCPP},
	{name: "-idirafter", form: either, kind: KindCPP},
	{name: "-iprefix", form: either, kind: KindCPP},
	{name: "-iwithprefix", form: either, kind: KindCPP},
	{name: "-iwithprefixbefore", form: either, kind: KindCPP},
	{name: "-iwithsysroot", form: either, kind: KindCPP, only: Clang},
	{name: "-iframework", form: either, kind: KindCPP},
	{name: "-iframeworkwithsysroot", form: either, kind: KindCPP, only: Clang},
	{name: "-imultilib", form: separate, kind: KindCPP},
	{name: "-imultiarch", form: separate, kind: KindCPP},
	{name: "-isysroot", form: either, kind: KindCPP},
	{name: "--sysroot", form: separate, kind: KindCPP},
	{name: "--sysroot=", form: joined, kind: KindCPP},
	{name: "--no-sysroot-suffix", kind: KindCPP},
	{name: "--gcc-toolchain=", form: joined, kind: KindCPP, only: Clang},
	{name: "-gcc-toolchain", form: separate, kind: KindCPP, only: Clang},
	{name: "--gcc-install-dir=", form: joined, kind: KindCPP, only: Clang},
	{name: "--gcc-triple=", form: joined, kind: KindCPP, only: Clang},
	{name: "-stdlib=", form: joined, kind: KindCPP},
	{name: "--stdlib=", form: joined, kind: KindCPP},
	{name: "-nostdinc", kind: KindCPP},
	{name: "--no-standard-includes", alias: "-nostdinc"},
	{name: "-nostdinc++", kind: KindCPP},
	{name: "-nostdlibinc", kind: KindCPP},
	{name: "-nobuiltininc", kind: KindCPP},
	{name: "-ibuiltininc", kind: KindCPP},
	{name: "-undef", kind: KindCPP},
	{name: "-trigraphs", kind: KindCPP},
	{name: "-ftrigraphs", kind: KindCPP},
	{name: "-remap", kind: KindCPP},
	{name: "-H", kind: KindCPP},
	{name: "-traditional-cpp", kind: KindCPP},
	{name: "-traditional", kind: KindLocal, reason: PreprocessorOutput}, // an error but for -E
	{name: "-finput-charset=", form: joined, kind: KindCPP},             // the preprocessor's output is UTF-8 already
	{name: "-fmax-include-depth=", form: joined, kind: KindCPP},
	{name: "-ftrack-macro-expansion", form: joined, kind: KindCPP},
	{name: "-fworking-directory", kind: KindCPP},
	{name: "-fno-working-directory", kind: KindCPP},
	{name: "-pipe", kind: KindCPP}, // how the driver joins its programs, nothing else
	{name: "--pipe", alias: "-pipe"},
	{name: "-no-canonical-prefixes", kind: KindCPP},
	{name: "-canonical-prefixes", kind: KindCPP},
	{name: "-fintegrated-cc1", kind: KindCPP},
	{name: "-fno-integrated-cc1", kind: KindCPP},
	{name: "-Wp,", form: joined, kind: KindToCPP},
	{name: "-Xpreprocessor", form: separate, kind: KindToCPP},
	{name: "-C", kind: KindLocal, reason: PreprocessorOutput},
	{name: "-CC", kind: KindLocal, reason: PreprocessorOutput},
	{name: "-P", kind: KindLocal, reason: PreprocessorOutput},
	{name: "-fdirectives-only", kind: KindLocal, reason: PreprocessorOutput},
	{name: "-frewrite-", form: joined, kind: KindLocal, reason: PreprocessorOutput},
	{name: "-fpreprocessed", kind: KindLocal, reason: PreprocessorOutput},
	{name: "-fpch-preprocess", kind: KindLocal, reason: PreprocessorOutput},
	{name: "-no-integrated-cpp", kind: KindLocal, reason: OtherPrograms},
	{name: "--no-integrated-cpp", kind: KindLocal, reason: OtherPrograms},
	{name: "-fexec-charset=", form: joined, kind: KindLocal, reason: Charset},
	{name: "-fwide-exec-charset=", form: joined, kind: KindLocal, reason: Charset},

	// Dependencies.
	{name: "-MD", kind: KindDependency},
	{name: "--write-dependencies", alias: "-MD"},
	{name: "-MMD", kind: KindDependency},
	{name: "--write-user-dependencies", alias: "-MMD"},
	{name: "-MF", form: either, kind: KindDependency},
	{name: "-MT", form: either, kind: KindDependency},
	{name: "-MQ", form: either, kind: KindDependency},
	{name: "-MP", kind: KindDependency},
	{name: "-MG", kind: KindLocal, reason: DependencyOptions},
	{name: "-MV", kind: KindLocal, reason: DependencyOptions, only: Clang},
	{name: "-MJ", form: either, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-Mmodules", kind: KindLocal, reason: Modules},
	{name: "-Mno-modules", kind: KindLocal, reason: Modules},
	{name: "-fdeps-", form: joined, kind: KindLocal, reason: Modules},
	{name: "-dependency-dot", form: separate, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-dependency-file", form: separate, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-module-dependency-dir", form: separate, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-gen-cdb-fragment-path", form: separate, kind: KindLocal, reason: ExtraOutput, only: Clang},

	// Code, target and debug information.
	{name: "-O", form: joined},
	{name: "-f", form: joined},
	{name: "-fmacro-prefix-map=", form: joined},
	{name: "-ffile-prefix-map=", form: joined},
	{name: "-std=", form: joined},
	{name: "--std=", form: joined, alias: "-std="},
	{name: "--std", form: separate, alias: "-std="},
	{name: "--param", form: separate},
	{name: "--param=", form: joined},
	{name: "-G", form: either},
	{name: "-fdebug-compilation-dir", form: separate, only: Clang},
	{name: "-m", form: joined, kind: KindTarget},
	{name: "-march=", form: joined, kind: KindTarget},
	{name: "-mcpu=", form: joined, kind: KindTarget},
	{name: "-mtune=", form: joined, kind: KindTarget},
	{name: "-meabi", form: separate, kind: KindTarget, only: Clang},
	{name: "-mthread-model", form: separate, kind: KindTarget, only: Clang},
	{name: "-mllvm", form: separate, kind: KindTree, reason: Internals},
	{name: "-mllvm=", form: joined, kind: KindLocal, reason: Internals},
	{name: "-mdevices-csv-loc=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-EB", kind: KindTarget},
	{name: "-EL", kind: KindTarget},
	{name: "--target=", form: joined, kind: KindTarget, only: Clang},
	{name: "-target", form: separate, kind: KindTarget, only: Clang},
	{name: "-arch", form: separate, kind: KindTarget},
	{name: "-g", form: joined, kind: KindDebug},
	{name: "-gsplit-dwarf=", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-gsplit-dwarf", kind: KindExtra, reason: ExtraOutput},
	{name: "-gno-split-dwarf", kind: KindExtra, reason: ExtraOutput},
	{name: "-gz", form: joined, kind: KindDebug},
	{name: "-gmodules", kind: KindLocal, reason: Modules},
	{name: "-gembed-source", kind: KindLocal, reason: ReadsFile},
	{name: "-grecord-command-line", kind: KindLocal, reason: RecordedCommand},
	{name: "-grecord-gcc-switches", kind: KindLocal, reason: RecordedCommand, only: Clang},
	{name: "-frecord-command-line", kind: KindLocal, reason: RecordedCommand},
	{name: "-frecord-gcc-switches", kind: KindTree, reason: RecordedCommand, only: GCC},
	{name: "-frecord-gcc-switches", kind: KindLocal, reason: RecordedCommand, only: Clang},
	{name: "-fembed-bitcode", form: joined, kind: KindLocal, reason: RecordedCommand},
	{name: "-fverbose-asm", kind: KindTree, reason: RecordedCommand, only: GCC},
	{name: "-flto", kind: KindLTO},
	{name: "-flto=", form: joined, kind: KindLTO},
	{name: "-fno-lto", kind: KindLTO},
	{name: "-fthinlto-index=", form: joined, kind: KindLocal, reason: LTO},
	{name: "-fthin-link-bitcode=", form: joined, kind: KindLocal, reason: LTO},
	{name: "-Wa,", form: joined, kind: KindAssembler},
	{name: "-Xassembler", form: separate, kind: KindAssembler},
	{name: "-fno-integrated-as", kind: KindLocal, reason: OtherPrograms},
	{name: "-no-integrated-as", kind: KindLocal, reason: OtherPrograms},
	{name: "-frandom-seed=", form: joined},
	{name: "-fsanitize", form: joined, kind: KindTree, reason: Sanitizer},
	{name: "-fsanitize-blacklist=", form: joined, kind: KindReads, reason: Sanitizer},
	{name: "-fsanitize-ignorelist=", form: joined, kind: KindReads, reason: Sanitizer},
	{name: "-fsanitize-system-", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-allowlist=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-ignorelist=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-whitelist=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-blacklist=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fcompare-debug", form: joined, kind: KindLocal, reason: Internals},
	{name: "-fself-test=", form: joined, kind: KindLocal, reason: Internals},
	{name: "-fdbg-cnt", form: joined, kind: KindLocal, reason: Internals},

	// What is said, and how.
	{name: "-W", form: joined, kind: KindDiagnostic},
	{name: "-w", kind: KindDiagnostic},
	{name: "-pedantic", kind: KindDiagnostic},
	{name: "-pedantic-errors", kind: KindDiagnostic},
	{name: "-Qunused-arguments", kind: KindDiagnostic},
	{name: "-fdiagnostics-", form: joined, kind: KindDiagnostic},
	{name: "-fno-diagnostics-", form: joined, kind: KindDiagnostic},
	{name: "-fdiagnostics-color", kind: KindDiagnostic},
	{name: "-fdiagnostics-color=", form: joined, kind: KindDiagnostic},
	{name: "-fno-diagnostics-color", kind: KindDiagnostic},
	{name: "-fcolor-diagnostics", kind: KindDiagnostic},
	{name: "-fno-color-diagnostics", kind: KindDiagnostic},
	{name: "-fansi-escape-codes", kind: KindDiagnostic},
	{name: "-fmessage-length=", form: joined, kind: KindDiagnostic},
	{name: "-fmax-errors=", form: joined, kind: KindDiagnostic},
	{name: "-ferror-limit=", form: joined, kind: KindDiagnostic},
	{name: "-fshow-", form: joined, kind: KindDiagnostic},
	{name: "-fno-show-", form: joined, kind: KindDiagnostic},
	{name: "-fcaret-diagnostics", kind: KindDiagnostic},
	{name: "-fno-caret-diagnostics", kind: KindDiagnostic},
	{name: "-ftabstop=", form: joined, kind: KindDiagnostic},
	{name: "-fdiagnostics-format=", form: joined, kind: KindLocal, reason: DiagnosticsFormat},
	{name: "-fdiagnostics-format=text", kind: KindDiagnostic, only: GCC},
	{name: "-fdiagnostics-format=json", kind: KindTree, reason: DiagnosticsFormat, only: GCC},
	{name: "-fdiagnostics-format=json-stderr", kind: KindTree, reason: DiagnosticsFormat, only: GCC},
	{name: "-fdiagnostics-format=clang", kind: KindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-format=msvc", kind: KindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-format=vi", kind: KindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-add-output=", form: joined, kind: KindLocal, reason: DiagnosticsFormat},
	{name: "-fdiagnostics-set-output=", form: joined, kind: KindLocal, reason: DiagnosticsFormat},
	{name: "-R", form: joined, kind: KindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-generate-patch", kind: KindTree, reason: DiagnosticsFormat},
	{name: "-fdiagnostics-parseable-fixits", kind: KindTree, reason: DiagnosticsFormat},
	{name: "--serialize-diagnostics", form: separate, kind: KindNamed, reason: ExtraOutput, only: Clang},
	{name: "-serialize-diagnostics", form: separate, kind: KindNamed, reason: ExtraOutput, only: Clang},
	{name: "--warning-suppression-mappings=", form: joined, kind: KindLocal, reason: ReadsFile},

	// More outputs than one, or more inputs than the source and its headers.
	// gcc marks the lines of its own directories by what it knows of them (cxx_aware: "3" or "3 4"), which a tree can't
	// say; clang's objects name these files.
	{name: "-save-temps", kind: KindLocal, reason: ExtraOutput},
	{name: "-save-temps=", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "--save-temps", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-d", form: joined, kind: KindLocal, reason: ExtraOutput}, // dumps; -dD and its kin are -E's
	{name: "-dumpdir", form: separate, kind: KindDump, reason: ExtraOutput, only: GCC},
	{name: "-dumpbase", form: separate, kind: KindDump, reason: ExtraOutput, only: GCC},
	{name: "-dumpbase-ext", form: separate, kind: KindDump, reason: ExtraOutput, only: GCC},
	{name: "-dumpdir", form: separate, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-dsym-dir", form: either, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-fdump-", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-fstack-usage", kind: KindExtra, reason: ExtraOutput, only: GCC},
	{name: "-fstack-usage", kind: KindLocal, reason: ExtraOutput, only: Clang}, // none for a source without functions
	{name: "-fcallgraph-info", form: joined, kind: KindExtra, reason: ExtraOutput, only: GCC},
	{name: "-ftime-trace=", form: joined, kind: KindLocal, reason: ExtraOutput}, // a file, or a directory for one
	{name: "-ftime-trace-", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-ftime-trace", kind: KindLocal, reason: ExtraOutput, only: GCC},
	{name: "-ftime-trace", kind: KindExtra, reason: ExtraOutput, only: Clang},
	{name: "-ftime-trace-granularity=", form: joined, kind: KindTree, reason: ExtraOutput, only: Clang},
	{name: "-fopt-info", form: joined, kind: KindOptInfo, reason: ExtraOutput, only: GCC},
	{name: "-fsave-optimization-record=", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-fsave-optimization-record", kind: KindLocal, reason: ExtraOutput, only: GCC}, // has addresses of gcc's own memory in it
	{name: "-fsave-optimization-record", kind: KindExtra, reason: ExtraOutput, only: Clang},
	{name: "-fno-save-optimization-record", kind: KindExtra, reason: ExtraOutput, only: Clang},
	{name: "-foptimization-record-", form: joined, kind: KindLocal, reason: ExtraOutput, only: Clang},
	{name: "-foptimization-record-", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-fcrash-diagnostics-dir=", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-aux-info=", form: joined, kind: KindLocal, reason: ExtraOutput},
	{name: "-aux-info", form: separate, kind: KindNamed, reason: ExtraOutput, only: GCC},
	{name: "-frepo", kind: KindLocal, reason: ExtraOutput},
	{name: "-index-store-path", form: separate, kind: KindLocal, reason: ExtraOutput},
	{name: "-fprofile", form: joined, kind: KindLocal, reason: Profile},
	{name: "-fprofile-arcs", kind: KindExtra, reason: Profile},
	{name: "-fno-profile-arcs", kind: KindExtra, reason: Profile},
	{name: "-fprofile-generate", kind: KindExtra, reason: Profile},
	{name: "-fprofile-update=", form: joined, kind: KindTree, reason: Profile},
	{name: "-fprofile-values", kind: KindTree, reason: Profile},
	{name: "-fprofile-correction", kind: KindTree, reason: Profile, only: GCC},
	{name: "-fprofile-partial-training", kind: KindTree, reason: Profile, only: GCC},
	{name: "-fprofile-reorder-functions", kind: KindTree, reason: Profile, only: GCC},
	{name: "-fprofile-use", kind: KindReads, reason: Profile},
	{name: "-fprofile-use=", form: joined, kind: KindReads, reason: Profile},
	{name: "-fprofile-instr-use=", form: joined, kind: KindReads, reason: Profile, only: Clang},
	{name: "-fprofile-sample-use=", form: joined, kind: KindReads, reason: Profile, only: Clang},
	{name: "-fprofile-instr-generate", form: joined, kind: KindTree, reason: Profile, only: Clang},
	{name: "-fauto-profile", form: joined, kind: KindLocal, reason: Profile},
	{name: "-fauto-profile=", form: joined, kind: KindReads, reason: Profile, only: Clang},
	{name: "-fcs-profile", form: joined, kind: KindLocal, reason: Profile},
	{name: "-fmemory-profile", form: joined, kind: KindLocal, reason: Profile},
	{name: "-fbranch-probabilities", kind: KindLocal, reason: Profile},
	{name: "-fcoverage-", form: joined, kind: KindLocal, reason: Profile},
	{name: "-fcoverage-mapping", kind: KindTree, reason: Profile, only: Clang},
	{name: "-fno-coverage-mapping", kind: KindTree, reason: Profile, only: Clang},
	{name: "-fcondition-coverage", kind: KindLocal, reason: Profile},
	{name: "-fpath-coverage", form: joined, kind: KindLocal, reason: Profile},
	{name: "-ftest-coverage", kind: KindExtra, reason: Profile},
	{name: "-fno-test-coverage", kind: KindExtra, reason: Profile},
	{name: "--coverage", kind: KindExtra, reason: Profile},
	{name: "-coverage", kind: KindExtra, reason: Profile},
	{name: "-fbasic-block-sections=list=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fxray-always-instrument=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fxray-never-instrument=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fxray-attr-list=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fbuild-session-file=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-frandomize-layout-seed-file=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-fembed-offload-object=", form: joined, kind: KindLocal, reason: ReadsFile},
	{name: "-iapinotes-modules", form: separate, kind: KindLocal, reason: ReadsFile},
	{name: "-ivfsoverlay", form: either, kind: KindLocal, reason: ReadsFile},
	{name: "-working-directory", form: either, kind: KindLocal, reason: WorkingDirectory, only: Clang},
	{name: "-working-directory=", form: joined, kind: KindLocal, reason: WorkingDirectory, only: Clang},
	{name: "-include-pch", form: separate, kind: KindLocal, reason: PrecompiledHeader, only: Clang},
	{name: "--output-pch=", form: joined, kind: KindLocal, reason: PrecompiledHeader},
	{name: "-fpch-", form: joined, kind: KindLocal, reason: PrecompiledHeader},
	{name: "-fmodule", form: joined, kind: KindLocal, reason: Modules},
	{name: "-fcxx-modules", kind: KindLocal, reason: Modules},
	{name: "-fimplicit-module", form: joined, kind: KindLocal, reason: Modules},
	{name: "-fprebuilt-", form: joined, kind: KindLocal, reason: Modules},
	{name: "-fimplicit-modules", kind: KindLocal, reason: Modules},

	// Other programs, or the driver made another one.
	{name: "-fplugin", form: joined, kind: KindLocal, reason: Plugin},
	{name: "-fpass-plugin=", form: joined, kind: KindLocal, reason: Plugin},
	{name: "-iplugindir=", form: joined, kind: KindLocal, reason: Plugin},
	{name: "-load", form: separate, kind: KindLocal, reason: Plugin},
	{name: "-Xclang", form: separate, kind: KindXclang},
	{name: "-Xclang=", form: joined, kind: KindLocal, reason: Internals},
	{name: "-X", form: joined, kind: KindLocal, reason: Internals},
	{name: "-Xarch_", form: joined, kind: KindLocal, reason: SeveralTargets},
	{name: "-ccc-", form: joined, kind: KindLocal, reason: Internals},
	{name: "-specs=", form: joined, kind: KindLocal, reason: OtherPrograms},
	{name: "-specs", form: separate, kind: KindLocal, reason: OtherPrograms},
	{name: "--specs=", form: joined, kind: KindLocal, reason: OtherPrograms},
	{name: "--specs", form: separate, kind: KindLocal, reason: OtherPrograms},
	{name: "-wrapper", form: separate, kind: KindLocal, reason: OtherPrograms},
	{name: "-B", form: either, kind: KindLocal, reason: OtherPrograms},
	{name: "--prefix", form: separate, kind: KindLocal, reason: OtherPrograms},
	{name: "--prefix=", form: joined, kind: KindLocal, reason: OtherPrograms},
	{name: "-b", form: separate, kind: KindLocal, reason: OtherPrograms},
	{name: "-V", form: separate, kind: KindLocal, reason: OtherPrograms},
	{name: "-resource-dir", form: separate, kind: KindLocal, reason: OtherPrograms, only: Clang},
	{name: "-resource-dir=", form: joined, kind: KindLocal, reason: OtherPrograms, only: Clang},
	{name: "--config", form: either, kind: KindLocal, reason: OtherPrograms, only: Clang},
	{name: "--no-default-config", kind: KindLocal, reason: OtherPrograms, only: Clang},
	{name: "--driver-mode=", form: joined, kind: KindLocal, reason: OtherPrograms, only: Clang},
	{name: "-foffload", form: joined, kind: KindLocal, reason: Offload},
	{name: "-fopenmp-targets=", form: joined, kind: KindLocal, reason: Offload},
	{name: "-fgpu-", form: joined, kind: KindLocal, reason: Offload},
	{name: "-fcuda-", form: joined, kind: KindLocal, reason: Offload},
	{name: "--cuda-", form: joined, kind: KindLocal, reason: Offload},
	{name: "--offload", form: joined, kind: KindLocal, reason: Offload},
	{name: "--hip-", form: joined, kind: KindLocal, reason: Offload},
	{name: "--", form: joined, kind: KindLocal, reason: LongOption},

	// The linker's.
	{name: "-l", form: either, kind: KindLinker},
	{name: "-L", form: either, kind: KindLinker},
	{name: "-Wl,", form: joined, kind: KindLinker},
	{name: "-Xlinker", form: separate, kind: KindLinker},
	{name: "-T", form: either, kind: KindLinker},
	{name: "-u", form: either, kind: KindLinker},
	{name: "-z", form: separate, kind: KindLinker},
	{name: "-e", form: separate, kind: KindLinker},
	{name: "-framework", form: separate, kind: KindLinker},
	{name: "-rpath", form: separate, kind: KindLinker},
	{name: "-fuse-ld=", form: joined, kind: KindLinker},
	{name: "-fuse-linker-plugin", kind: KindLinker},
	{name: "-fno-use-linker-plugin", kind: KindLinker},
	{name: "-flinker-output=", form: joined, kind: KindLinker},
	{name: "--ld-path=", form: joined, kind: KindLinker, only: Clang},
	{name: "--rtlib=", form: joined, kind: KindLinker, only: Clang},
	{name: "-rtlib=", form: joined, kind: KindLinker, only: Clang},
	{name: "--unwindlib=", form: joined, kind: KindLinker, only: Clang},
	{name: "-unwindlib=", form: joined, kind: KindLinker, only: Clang},
	// gcc's specs may ask for these where they choose what cc1 gets: some distributions' stack protector does.
	{name: "-static-libgcc", kind: KindPlain, only: GCC},
	{name: "-static-libstdc++", kind: KindPlain, only: GCC},
	{name: "-shared-libgcc", kind: KindPlain, only: GCC},
	{name: "-rdynamic", kind: KindPlain, only: GCC},
	{name: "-nostdlib", kind: KindPlain, only: GCC},
	{name: "-nodefaultlibs", kind: KindPlain, only: GCC},
	{name: "-nostartfiles", kind: KindPlain, only: GCC},
	{name: "-nolibc", kind: KindPlain, only: GCC},
	{name: "-s", kind: KindPlain, only: GCC},
	{name: "-static-libgcc", kind: KindLinker, only: Clang},
	{name: "-static-libstdc++", kind: KindLinker, only: Clang},
	{name: "-shared-libgcc", kind: KindLinker, only: Clang},
	{name: "-rdynamic", kind: KindLinker, only: Clang},
	{name: "-nostdlib", kind: KindLinker, only: Clang},
	{name: "-nodefaultlibs", kind: KindLinker, only: Clang},
	{name: "-nostartfiles", kind: KindLinker, only: Clang},
	{name: "-nolibc", kind: KindLinker, only: Clang},
	{name: "-s", kind: KindLinker, only: Clang},
}
