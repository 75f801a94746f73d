package argv

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
type kind int

const (
	kindPlain      kind = iota // moves the compiler proper, as far as we know: both runs
	kindTarget                 // selects machine, CPU or ABI: both runs
	kindDebug                  // -g…: both runs
	kindDiagnostic             // moves only what is said: both runs
	kindTree                   // as plain, but exact in tree form alone: reason says what is in the way of the other
	kindExtra                  // makes the compile write one more file, with a name that follows from the output's: tree form alone
	kindReads                  // makes the compiler read a file besides: it travels, in tree form alone
	kindDump                   // names of such files: in a job alone
	kindNamed                  // the same, into the file that the operand names
	kindOptInfo                // the same, -fopt-info-…=FILE; without FILE to stderr
	kindLTO                    // -flto, -fno-lto: the last decides
	kindAssembler              // to the assembler: the compile alone
	kindXclang                 // to clang's -cc1: checked as pairs, both runs
	kindCPP                    // spent once the text is preprocessed: -E alone
	kindToCPP                  // -Wp, and -Xpreprocessor: taken apart, -E alone
	kindDependency             // -MD and its kin
	kindLinker                 // no part of a compile, but clang speaks of it: -E alone
	kindMode                   // -c, -S
	kindLanguage               // -x
	kindOutput                 // -o
	kindInput                  // no option at all
	kindPreprocess             // ends the compile after preprocessing
	kindPrints                 // makes the driver print something and leave
	kindLocal                  // forces a local run: reason says why
)

// row is what we know of one option.
type row struct {
	name   string
	form   form
	kind   kind
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
	{name: "-c", kind: kindMode},
	{name: "--compile", alias: "-c"},
	{name: "-S", kind: kindMode},
	{name: "--assemble", alias: "-S"},
	{name: "-E", kind: kindPreprocess},
	{name: "--preprocess", alias: "-E"},
	{name: "-M", kind: kindPreprocess},
	{name: "--dependencies", alias: "-M"},
	{name: "-MM", kind: kindPreprocess},
	{name: "--user-dependencies", alias: "-MM"},
	{name: "-o", form: either, kind: kindOutput},
	{name: "--output", form: separate, alias: "-o"},
	{name: "--output=", form: joined, alias: "-o"},
	{name: "-x", form: either, kind: kindLanguage},
	{name: "--language", form: separate, alias: "-x"},
	{name: "--language=", form: joined, alias: "-x"},
	{name: "-fsyntax-only", kind: kindLocal, reason: OtherAction},
	{name: "--analyze", kind: kindLocal, reason: OtherAction},
	{name: "--precompile", kind: kindLocal, reason: OtherAction},
	{name: "-emit-", form: joined, kind: kindLocal, reason: OtherAction},
	{name: "-verify", form: joined, kind: kindLocal, reason: OtherAction, only: Clang},
	{name: "-module-file-info", kind: kindLocal, reason: OtherAction, only: Clang},
	{name: "-gen-reproducer", form: joined, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-rewrite-", form: joined, kind: kindLocal, reason: OtherAction},
	{name: "-extract-api", kind: kindLocal, reason: OtherAction},
	{name: "-cc1", form: joined, kind: kindLocal, reason: OtherAction},

	// What only prints.
	{name: "-###", kind: kindPrints},
	{name: "--version", kind: kindPrints},
	{name: "--help", form: joined, kind: kindPrints},
	{name: "-help", kind: kindPrints},
	{name: "--target-help", kind: kindPrints},
	{name: "-dumpmachine", kind: kindPrints},
	{name: "-dumpversion", kind: kindPrints},
	{name: "-dumpfullversion", kind: kindPrints},
	{name: "-dumpspecs", kind: kindPrints},
	{name: "-print-", form: joined, kind: kindPrints},
	{name: "--print-", form: joined, kind: kindPrints},
	{name: "--autocomplete=", form: joined, kind: kindPrints},
	{name: "-ccc-print-", form: joined, kind: kindPrints},
	{name: "-v", kind: kindLocal, reason: Verbose},
	{name: "--verbose", alias: "-v"},
	{name: "-Q", kind: kindLocal, reason: Verbose},
	{name: "-time", kind: kindLocal, reason: Verbose},
	{name: "-time=", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-ftime-report", form: joined, kind: kindLocal, reason: Verbose},
	{name: "-fmem-report", form: joined, kind: kindLocal, reason: Verbose},
	{name: "-fpre-ipa-mem-report", kind: kindLocal, reason: Verbose},
	{name: "-fpost-ipa-mem-report", kind: kindLocal, reason: Verbose},
	{name: "-fproc-stat-report", form: joined, kind: kindLocal, reason: Verbose},
	{name: "-fdebug-cpp", kind: kindLocal, reason: Verbose},

	// The preprocessor's.
	{name: "-D", form: either, kind: kindCPP},
	{name: "--define-macro", form: separate, alias: "-D"},
	{name: "--define-macro=", form: joined, alias: "-D"},
	{name: "-U", form: either, kind: kindCPP},
	{name: "--undefine-macro", form: separate, alias: "-U"},
	{name: "--undefine-macro=", form: joined, alias: "-U"},
	{name: "-A", form: either, kind: kindCPP},
	{name: "-I", form: either, kind: kindCPP},
	{name: "-I-", kind: kindCPP},
	{name: "--include-directory", form: separate, alias: "-I"},
	{name: "--include-directory=", form: joined, alias: "-I"},
	{name: "-F", form: either, kind: kindCPP},
	{name: "-include", form: either, kind: kindCPP},
	{name: "--include", form: separate, alias: "-include"},
	{name: "--include=", form: joined, alias: "-include"},
	{name: "-imacros", form: either, kind: kindCPP},
	{name: "--imacros", form: separate, alias: "-imacros"},
	{name: "--imacros=", form: joined, alias: "-imacros"},
	{name: "-isystem", form: either, kind: kindCPP},
	{name: "-isystem-after", form: either, kind: kindCPP, only: Clang},
	{name: "-cxx-isystem", form: either, kind: kindCPP, only: Clang},
	{name: "-stdlib++-isystem", form: either, kind: kindCPP, only: Clang},
	{name: "-iquote", form: either, kind: kindCPP},
	{name: "-idirafter", form: either, kind: kindCPP},
	{name: "-iprefix", form: either, kind: kindCPP},
	{name: "-iwithprefix", form: either, kind: kindCPP},
	{name: "-iwithprefixbefore", form: either, kind: kindCPP},
	{name: "-iwithsysroot", form: either, kind: kindCPP, only: Clang},
	{name: "-iframework", form: either, kind: kindCPP},
	{name: "-iframeworkwithsysroot", form: either, kind: kindCPP, only: Clang},
	{name: "-imultilib", form: separate, kind: kindCPP},
	{name: "-imultiarch", form: separate, kind: kindCPP},
	{name: "-isysroot", form: either, kind: kindCPP},
	{name: "--sysroot", form: separate, kind: kindCPP},
	{name: "--sysroot=", form: joined, kind: kindCPP},
	{name: "--no-sysroot-suffix", kind: kindCPP},
	{name: "--gcc-toolchain=", form: joined, kind: kindCPP, only: Clang},
	{name: "-gcc-toolchain", form: separate, kind: kindCPP, only: Clang},
	{name: "--gcc-install-dir=", form: joined, kind: kindCPP, only: Clang},
	{name: "--gcc-triple=", form: joined, kind: kindCPP, only: Clang},
	{name: "-stdlib=", form: joined, kind: kindCPP},
	{name: "--stdlib=", form: joined, kind: kindCPP},
	{name: "-nostdinc", kind: kindCPP},
	{name: "--no-standard-includes", alias: "-nostdinc"},
	{name: "-nostdinc++", kind: kindCPP},
	{name: "-nostdlibinc", kind: kindCPP},
	{name: "-nobuiltininc", kind: kindCPP},
	{name: "-ibuiltininc", kind: kindCPP},
	{name: "-undef", kind: kindCPP},
	{name: "-trigraphs", kind: kindCPP},
	{name: "-ftrigraphs", kind: kindCPP},
	{name: "-remap", kind: kindCPP},
	{name: "-H", kind: kindCPP},
	{name: "-traditional-cpp", kind: kindCPP},
	{name: "-traditional", kind: kindLocal, reason: PreprocessorOutput}, // an error but for -E
	{name: "-finput-charset=", form: joined, kind: kindCPP},             // the preprocessor's output is UTF-8 already
	{name: "-fmax-include-depth=", form: joined, kind: kindCPP},
	{name: "-ftrack-macro-expansion", form: joined, kind: kindCPP},
	{name: "-fworking-directory", kind: kindCPP},
	{name: "-fno-working-directory", kind: kindCPP},
	{name: "-pipe", kind: kindCPP}, // how the driver joins its programs, nothing else
	{name: "--pipe", alias: "-pipe"},
	{name: "-no-canonical-prefixes", kind: kindCPP},
	{name: "-canonical-prefixes", kind: kindCPP},
	{name: "-fintegrated-cc1", kind: kindCPP},
	{name: "-fno-integrated-cc1", kind: kindCPP},
	{name: "-Wp,", form: joined, kind: kindToCPP},
	{name: "-Xpreprocessor", form: separate, kind: kindToCPP},
	{name: "-C", kind: kindLocal, reason: PreprocessorOutput},
	{name: "-CC", kind: kindLocal, reason: PreprocessorOutput},
	{name: "-P", kind: kindLocal, reason: PreprocessorOutput},
	{name: "-fdirectives-only", kind: kindLocal, reason: PreprocessorOutput},
	{name: "-frewrite-", form: joined, kind: kindLocal, reason: PreprocessorOutput},
	{name: "-fpreprocessed", kind: kindLocal, reason: PreprocessorOutput},
	{name: "-fpch-preprocess", kind: kindLocal, reason: PreprocessorOutput},
	{name: "-no-integrated-cpp", kind: kindLocal, reason: OtherPrograms},
	{name: "--no-integrated-cpp", kind: kindLocal, reason: OtherPrograms},
	{name: "-fexec-charset=", form: joined, kind: kindLocal, reason: Charset},
	{name: "-fwide-exec-charset=", form: joined, kind: kindLocal, reason: Charset},

	// Dependencies.
	{name: "-MD", kind: kindDependency},
	{name: "--write-dependencies", alias: "-MD"},
	{name: "-MMD", kind: kindDependency},
	{name: "--write-user-dependencies", alias: "-MMD"},
	{name: "-MF", form: either, kind: kindDependency},
	{name: "-MT", form: either, kind: kindDependency},
	{name: "-MQ", form: either, kind: kindDependency},
	{name: "-MP", kind: kindDependency},
	{name: "-MG", kind: kindLocal, reason: DependencyOptions},
	{name: "-MV", kind: kindLocal, reason: DependencyOptions, only: Clang},
	{name: "-MJ", form: either, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-Mmodules", kind: kindLocal, reason: Modules},
	{name: "-Mno-modules", kind: kindLocal, reason: Modules},
	{name: "-fdeps-", form: joined, kind: kindLocal, reason: Modules},
	{name: "-dependency-dot", form: separate, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-dependency-file", form: separate, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-module-dependency-dir", form: separate, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-gen-cdb-fragment-path", form: separate, kind: kindLocal, reason: ExtraOutput, only: Clang},

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
	{name: "-m", form: joined, kind: kindTarget},
	{name: "-march=", form: joined, kind: kindTarget},
	{name: "-mcpu=", form: joined, kind: kindTarget},
	{name: "-mtune=", form: joined, kind: kindTarget},
	{name: "-meabi", form: separate, kind: kindTarget, only: Clang},
	{name: "-mthread-model", form: separate, kind: kindTarget, only: Clang},
	{name: "-mllvm", form: separate, kind: kindTree, reason: Internals},
	{name: "-mllvm=", form: joined, kind: kindLocal, reason: Internals},
	{name: "-mdevices-csv-loc=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-EB", kind: kindTarget},
	{name: "-EL", kind: kindTarget},
	{name: "--target=", form: joined, kind: kindTarget, only: Clang},
	{name: "-target", form: separate, kind: kindTarget, only: Clang},
	{name: "-arch", form: separate, kind: kindTarget},
	{name: "-g", form: joined, kind: kindDebug},
	{name: "-gsplit-dwarf=", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-gsplit-dwarf", kind: kindExtra, reason: ExtraOutput},
	{name: "-gno-split-dwarf", kind: kindExtra, reason: ExtraOutput},
	{name: "-gz", form: joined, kind: kindDebug},
	{name: "-gmodules", kind: kindLocal, reason: Modules},
	{name: "-gembed-source", kind: kindLocal, reason: ReadsFile},
	{name: "-grecord-command-line", kind: kindLocal, reason: RecordedCommand},
	{name: "-grecord-gcc-switches", kind: kindLocal, reason: RecordedCommand, only: Clang},
	{name: "-frecord-command-line", kind: kindLocal, reason: RecordedCommand},
	{name: "-frecord-gcc-switches", kind: kindTree, reason: RecordedCommand, only: GCC},
	{name: "-frecord-gcc-switches", kind: kindLocal, reason: RecordedCommand, only: Clang},
	{name: "-fembed-bitcode", form: joined, kind: kindLocal, reason: RecordedCommand},
	{name: "-fverbose-asm", kind: kindTree, reason: RecordedCommand, only: GCC},
	{name: "-flto", kind: kindLTO},
	{name: "-flto=", form: joined, kind: kindLTO},
	{name: "-fno-lto", kind: kindLTO},
	{name: "-fthinlto-index=", form: joined, kind: kindLocal, reason: LTO},
	{name: "-fthin-link-bitcode=", form: joined, kind: kindLocal, reason: LTO},
	{name: "-Wa,", form: joined, kind: kindAssembler},
	{name: "-Xassembler", form: separate, kind: kindAssembler},
	{name: "-fno-integrated-as", kind: kindLocal, reason: OtherPrograms},
	{name: "-no-integrated-as", kind: kindLocal, reason: OtherPrograms},
	{name: "-frandom-seed=", form: joined},
	{name: "-fsanitize", form: joined, kind: kindTree, reason: Sanitizer},
	{name: "-fsanitize-blacklist=", form: joined, kind: kindReads, reason: Sanitizer},
	{name: "-fsanitize-ignorelist=", form: joined, kind: kindReads, reason: Sanitizer},
	{name: "-fsanitize-system-", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-allowlist=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-ignorelist=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-whitelist=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fsanitize-coverage-blacklist=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fcompare-debug", form: joined, kind: kindLocal, reason: Internals},
	{name: "-fself-test=", form: joined, kind: kindLocal, reason: Internals},
	{name: "-fdbg-cnt", form: joined, kind: kindLocal, reason: Internals},

	// What is said, and how.
	{name: "-W", form: joined, kind: kindDiagnostic},
	{name: "-w", kind: kindDiagnostic},
	{name: "-pedantic", kind: kindDiagnostic},
	{name: "-pedantic-errors", kind: kindDiagnostic},
	{name: "-Qunused-arguments", kind: kindDiagnostic},
	{name: "-fdiagnostics-", form: joined, kind: kindDiagnostic},
	{name: "-fno-diagnostics-", form: joined, kind: kindDiagnostic},
	{name: "-fdiagnostics-color", kind: kindDiagnostic},
	{name: "-fdiagnostics-color=", form: joined, kind: kindDiagnostic},
	{name: "-fno-diagnostics-color", kind: kindDiagnostic},
	{name: "-fcolor-diagnostics", kind: kindDiagnostic},
	{name: "-fno-color-diagnostics", kind: kindDiagnostic},
	{name: "-fansi-escape-codes", kind: kindDiagnostic},
	{name: "-fmessage-length=", form: joined, kind: kindDiagnostic},
	{name: "-fmax-errors=", form: joined, kind: kindDiagnostic},
	{name: "-ferror-limit=", form: joined, kind: kindDiagnostic},
	{name: "-fshow-", form: joined, kind: kindDiagnostic},
	{name: "-fno-show-", form: joined, kind: kindDiagnostic},
	{name: "-fcaret-diagnostics", kind: kindDiagnostic},
	{name: "-fno-caret-diagnostics", kind: kindDiagnostic},
	{name: "-ftabstop=", form: joined, kind: kindDiagnostic},
	{name: "-fdiagnostics-format=", form: joined, kind: kindLocal, reason: DiagnosticsFormat},
	{name: "-fdiagnostics-format=text", kind: kindDiagnostic, only: GCC},
	{name: "-fdiagnostics-format=json", kind: kindTree, reason: DiagnosticsFormat, only: GCC},
	{name: "-fdiagnostics-format=json-stderr", kind: kindTree, reason: DiagnosticsFormat, only: GCC},
	{name: "-fdiagnostics-format=clang", kind: kindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-format=msvc", kind: kindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-format=vi", kind: kindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-add-output=", form: joined, kind: kindLocal, reason: DiagnosticsFormat},
	{name: "-fdiagnostics-set-output=", form: joined, kind: kindLocal, reason: DiagnosticsFormat},
	{name: "-R", form: joined, kind: kindTree, reason: DiagnosticsFormat, only: Clang},
	{name: "-fdiagnostics-generate-patch", kind: kindTree, reason: DiagnosticsFormat},
	{name: "-fdiagnostics-parseable-fixits", kind: kindTree, reason: DiagnosticsFormat},
	{name: "--serialize-diagnostics", form: separate, kind: kindNamed, reason: ExtraOutput, only: Clang},
	{name: "-serialize-diagnostics", form: separate, kind: kindNamed, reason: ExtraOutput, only: Clang},
	{name: "--warning-suppression-mappings=", form: joined, kind: kindLocal, reason: ReadsFile},

	// More outputs than one, or more inputs than the source and its headers.
	{name: "-save-temps", kind: kindExtra, reason: ExtraOutput, only: GCC},
	{name: "-save-temps", kind: kindLocal, reason: ExtraOutput, only: Clang}, // its objects name these files
	{name: "-save-temps=", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-save-temps=obj", kind: kindExtra, reason: ExtraOutput, only: GCC},
	{name: "--save-temps", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-d", form: joined, kind: kindLocal, reason: ExtraOutput}, // dumps; -dD and its kin are -E's
	{name: "-dumpdir", form: separate, kind: kindDump, reason: ExtraOutput, only: GCC},
	{name: "-dumpbase", form: separate, kind: kindDump, reason: ExtraOutput, only: GCC},
	{name: "-dumpbase-ext", form: separate, kind: kindDump, reason: ExtraOutput, only: GCC},
	{name: "-dumpdir", form: separate, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-dsym-dir", form: either, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-fdump-", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-fstack-usage", kind: kindExtra, reason: ExtraOutput, only: GCC},
	{name: "-fstack-usage", kind: kindLocal, reason: ExtraOutput, only: Clang}, // none for a source without functions
	{name: "-fcallgraph-info", form: joined, kind: kindExtra, reason: ExtraOutput, only: GCC},
	{name: "-ftime-trace=", form: joined, kind: kindLocal, reason: ExtraOutput}, // a file, or a directory for one
	{name: "-ftime-trace-", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-ftime-trace", kind: kindLocal, reason: ExtraOutput, only: GCC},
	{name: "-ftime-trace", kind: kindExtra, reason: ExtraOutput, only: Clang},
	{name: "-ftime-trace-granularity=", form: joined, kind: kindTree, reason: ExtraOutput, only: Clang},
	{name: "-fopt-info", form: joined, kind: kindOptInfo, reason: ExtraOutput, only: GCC},
	{name: "-fsave-optimization-record=", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-fsave-optimization-record", kind: kindLocal, reason: ExtraOutput, only: GCC}, // has addresses of gcc's own memory in it
	{name: "-fsave-optimization-record", kind: kindExtra, reason: ExtraOutput, only: Clang},
	{name: "-fno-save-optimization-record", kind: kindExtra, reason: ExtraOutput, only: Clang},
	{name: "-foptimization-record-", form: joined, kind: kindLocal, reason: ExtraOutput, only: Clang},
	{name: "-foptimization-record-", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-fcrash-diagnostics-dir=", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-aux-info=", form: joined, kind: kindLocal, reason: ExtraOutput},
	{name: "-aux-info", form: separate, kind: kindNamed, reason: ExtraOutput, only: GCC},
	{name: "-frepo", kind: kindLocal, reason: ExtraOutput},
	{name: "-index-store-path", form: separate, kind: kindLocal, reason: ExtraOutput},
	{name: "-fprofile", form: joined, kind: kindLocal, reason: Profile},
	{name: "-fprofile-arcs", kind: kindExtra, reason: Profile},
	{name: "-fno-profile-arcs", kind: kindExtra, reason: Profile},
	{name: "-fprofile-generate", kind: kindExtra, reason: Profile},
	{name: "-fprofile-update=", form: joined, kind: kindTree, reason: Profile},
	{name: "-fprofile-values", kind: kindTree, reason: Profile},
	{name: "-fprofile-correction", kind: kindTree, reason: Profile, only: GCC},
	{name: "-fprofile-partial-training", kind: kindTree, reason: Profile, only: GCC},
	{name: "-fprofile-reorder-functions", kind: kindTree, reason: Profile, only: GCC},
	{name: "-fprofile-use", kind: kindReads, reason: Profile},
	{name: "-fprofile-use=", form: joined, kind: kindReads, reason: Profile},
	{name: "-fprofile-instr-use=", form: joined, kind: kindReads, reason: Profile, only: Clang},
	{name: "-fprofile-sample-use=", form: joined, kind: kindReads, reason: Profile, only: Clang},
	{name: "-fprofile-instr-generate", form: joined, kind: kindTree, reason: Profile, only: Clang},
	{name: "-fauto-profile", form: joined, kind: kindLocal, reason: Profile},
	{name: "-fauto-profile=", form: joined, kind: kindReads, reason: Profile, only: Clang},
	{name: "-fcs-profile", form: joined, kind: kindLocal, reason: Profile},
	{name: "-fmemory-profile", form: joined, kind: kindLocal, reason: Profile},
	{name: "-fbranch-probabilities", kind: kindLocal, reason: Profile},
	{name: "-fcoverage-", form: joined, kind: kindLocal, reason: Profile},
	{name: "-fcoverage-mapping", kind: kindTree, reason: Profile, only: Clang},
	{name: "-fno-coverage-mapping", kind: kindTree, reason: Profile, only: Clang},
	{name: "-fcondition-coverage", kind: kindLocal, reason: Profile},
	{name: "-fpath-coverage", form: joined, kind: kindLocal, reason: Profile},
	{name: "-ftest-coverage", kind: kindExtra, reason: Profile},
	{name: "-fno-test-coverage", kind: kindExtra, reason: Profile},
	{name: "--coverage", kind: kindExtra, reason: Profile},
	{name: "-coverage", kind: kindExtra, reason: Profile},
	{name: "-fbasic-block-sections=list=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fxray-always-instrument=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fxray-never-instrument=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fxray-attr-list=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fbuild-session-file=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-frandomize-layout-seed-file=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-fembed-offload-object=", form: joined, kind: kindLocal, reason: ReadsFile},
	{name: "-iapinotes-modules", form: separate, kind: kindLocal, reason: ReadsFile},
	{name: "-ivfsoverlay", form: either, kind: kindLocal, reason: ReadsFile},
	{name: "-working-directory", form: either, kind: kindLocal, reason: WorkingDirectory, only: Clang},
	{name: "-working-directory=", form: joined, kind: kindLocal, reason: WorkingDirectory, only: Clang},
	{name: "-include-pch", form: separate, kind: kindLocal, reason: PrecompiledHeader, only: Clang},
	{name: "--output-pch=", form: joined, kind: kindLocal, reason: PrecompiledHeader},
	{name: "-fpch-", form: joined, kind: kindLocal, reason: PrecompiledHeader},
	{name: "-fmodule", form: joined, kind: kindLocal, reason: Modules},
	{name: "-fcxx-modules", kind: kindLocal, reason: Modules},
	{name: "-fimplicit-module", form: joined, kind: kindLocal, reason: Modules},
	{name: "-fprebuilt-", form: joined, kind: kindLocal, reason: Modules},
	{name: "-fimplicit-modules", kind: kindLocal, reason: Modules},

	// Other programs, or the driver made another one.
	{name: "-fplugin", form: joined, kind: kindLocal, reason: Plugin},
	{name: "-fpass-plugin=", form: joined, kind: kindLocal, reason: Plugin},
	{name: "-iplugindir=", form: joined, kind: kindLocal, reason: Plugin},
	{name: "-load", form: separate, kind: kindLocal, reason: Plugin},
	{name: "-Xclang", form: separate, kind: kindXclang},
	{name: "-Xclang=", form: joined, kind: kindLocal, reason: Internals},
	{name: "-X", form: joined, kind: kindLocal, reason: Internals},
	{name: "-Xarch_", form: joined, kind: kindLocal, reason: SeveralTargets},
	{name: "-ccc-", form: joined, kind: kindLocal, reason: Internals},
	{name: "-specs=", form: joined, kind: kindLocal, reason: OtherPrograms},
	{name: "-specs", form: separate, kind: kindLocal, reason: OtherPrograms},
	{name: "--specs=", form: joined, kind: kindLocal, reason: OtherPrograms},
	{name: "--specs", form: separate, kind: kindLocal, reason: OtherPrograms},
	{name: "-wrapper", form: separate, kind: kindLocal, reason: OtherPrograms},
	{name: "-B", form: either, kind: kindLocal, reason: OtherPrograms},
	{name: "--prefix", form: separate, kind: kindLocal, reason: OtherPrograms},
	{name: "--prefix=", form: joined, kind: kindLocal, reason: OtherPrograms},
	{name: "-b", form: separate, kind: kindLocal, reason: OtherPrograms},
	{name: "-V", form: separate, kind: kindLocal, reason: OtherPrograms},
	{name: "-resource-dir", form: separate, kind: kindLocal, reason: OtherPrograms, only: Clang},
	{name: "-resource-dir=", form: joined, kind: kindLocal, reason: OtherPrograms, only: Clang},
	{name: "--config", form: either, kind: kindLocal, reason: OtherPrograms, only: Clang},
	{name: "--no-default-config", kind: kindLocal, reason: OtherPrograms, only: Clang},
	{name: "--driver-mode=", form: joined, kind: kindLocal, reason: OtherPrograms, only: Clang},
	{name: "-foffload", form: joined, kind: kindLocal, reason: Offload},
	{name: "-fopenmp-targets=", form: joined, kind: kindLocal, reason: Offload},
	{name: "-fgpu-", form: joined, kind: kindLocal, reason: Offload},
	{name: "-fcuda-", form: joined, kind: kindLocal, reason: Offload},
	{name: "--cuda-", form: joined, kind: kindLocal, reason: Offload},
	{name: "--offload", form: joined, kind: kindLocal, reason: Offload},
	{name: "--hip-", form: joined, kind: kindLocal, reason: Offload},
	{name: "--", form: joined, kind: kindLocal, reason: LongOption},

	// The linker's.
	{name: "-l", form: either, kind: kindLinker},
	{name: "-L", form: either, kind: kindLinker},
	{name: "-Wl,", form: joined, kind: kindLinker},
	{name: "-Xlinker", form: separate, kind: kindLinker},
	{name: "-T", form: either, kind: kindLinker},
	{name: "-u", form: either, kind: kindLinker},
	{name: "-z", form: separate, kind: kindLinker},
	{name: "-e", form: separate, kind: kindLinker},
	{name: "-framework", form: separate, kind: kindLinker},
	{name: "-rpath", form: separate, kind: kindLinker},
	{name: "-fuse-ld=", form: joined, kind: kindLinker},
	{name: "-fuse-linker-plugin", kind: kindLinker},
	{name: "-fno-use-linker-plugin", kind: kindLinker},
	{name: "-flinker-output=", form: joined, kind: kindLinker},
	{name: "--ld-path=", form: joined, kind: kindLinker, only: Clang},
	{name: "--rtlib=", form: joined, kind: kindLinker, only: Clang},
	{name: "-rtlib=", form: joined, kind: kindLinker, only: Clang},
	{name: "--unwindlib=", form: joined, kind: kindLinker, only: Clang},
	{name: "-unwindlib=", form: joined, kind: kindLinker, only: Clang},
	// gcc's specs may ask for these where they choose what cc1 gets: some distributions' stack protector does.
	{name: "-static-libgcc", kind: kindPlain, only: GCC},
	{name: "-static-libstdc++", kind: kindPlain, only: GCC},
	{name: "-shared-libgcc", kind: kindPlain, only: GCC},
	{name: "-rdynamic", kind: kindPlain, only: GCC},
	{name: "-nostdlib", kind: kindPlain, only: GCC},
	{name: "-nodefaultlibs", kind: kindPlain, only: GCC},
	{name: "-nostartfiles", kind: kindPlain, only: GCC},
	{name: "-nolibc", kind: kindPlain, only: GCC},
	{name: "-s", kind: kindPlain, only: GCC},
	{name: "-static-libgcc", kind: kindLinker, only: Clang},
	{name: "-static-libstdc++", kind: kindLinker, only: Clang},
	{name: "-shared-libgcc", kind: kindLinker, only: Clang},
	{name: "-rdynamic", kind: kindLinker, only: Clang},
	{name: "-nostdlib", kind: kindLinker, only: Clang},
	{name: "-nodefaultlibs", kind: kindLinker, only: Clang},
	{name: "-nostartfiles", kind: kindLinker, only: Clang},
	{name: "-nolibc", kind: kindLinker, only: Clang},
	{name: "-s", kind: kindLinker, only: Clang},
}
