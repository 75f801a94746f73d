package option

// Reason is why a command is run locally: a short slug that is counted, shown by explain, and explained by [Reasons].
type Reason string

// The reasons that [Parse] gives.
const (
	AmbiguousOutput    Reason = "ambiguous-output"
	Assembler          Reason = "assembler"
	AssemblerWords     Reason = "assembler-words"
	Charset            Reason = "charset"
	DependencyOptions  Reason = "dependency-options"
	DiagnosticsFormat  Reason = "diagnostics-format"
	Environment        Reason = "environment"
	ExtraOutput        Reason = "extra-output"
	Internals          Reason = "internals"
	Link               Reason = "link"
	LongOption         Reason = "long-option"
	LTO                Reason = "lto"
	MissingOperand     Reason = "missing-operand"
	Modules            Reason = "modules"
	Native             Reason = "native"
	NoInput            Reason = "no-input"
	NotASource         Reason = "not-a-source"
	Offload            Reason = "offload"
	OtherAction        Reason = "other-action"
	OtherLanguage      Reason = "language"
	OtherPrograms      Reason = "other-programs"
	Plugin             Reason = "plugin"
	PosixDriver        Reason = "posix-driver"
	PrecompiledHeader  Reason = "precompiled-header"
	PreprocessOnly     Reason = "preprocess-only"
	PreprocessorOutput Reason = "preprocessor-output"
	PreprocessorWords  Reason = "preprocessor-words"
	Prints             Reason = "prints"
	Probe              Reason = "probe-source"
	Profile            Reason = "profile"
	ReadsFile          Reason = "reads-file"
	RecordedCommand    Reason = "recorded-command"
	ResponseFile       Reason = "response-file"
	Sanitizer          Reason = "sanitizer"
	SeveralInputs      Reason = "several-inputs"
	SeveralTargets     Reason = "several-targets"
	Stdin              Reason = "stdin"
	Stdout             Reason = "stdout"
	Verbose            Reason = "verbose"
	WorkingDirectory   Reason = "working-directory"
)

// ReasonDoc is a row of docs/reasons.md.
type ReasonDoc struct {
	Reason Reason
	Text   string // one sentence
}

// Reasons lists every reason of [Parse] with its sentence, sorted by the slug.
func Reasons() []ReasonDoc {
	return []ReasonDoc{
		{AmbiguousOutput, "The output is named more than once, or it is the source itself."},
		{Assembler, "The source is assembler, and there is no tree: preprocessed text lacks the files of .include and .incbin; or -S is asked of it."},
		{AssemblerWords, "A word for the assembler (-Wa, or -Xassembler) is not one of the few that name no file and make no listing."},
		{Charset, "The execution character set needs conversion tables of the C library, which differ between machines."},
		{DependencyOptions, "The dependency options are ones that need the whole compile (-MG), make no sense alone, or print to standard output."},
		{DiagnosticsFormat, "Diagnostics are asked for in a file (SARIF), or in a form (JSON, fix-its, patches) that only a tree gives, and there is none."},
		{Environment, "A variable of the environment changes what the compiler does or writes."},
		{ExtraOutput, "The compile writes files besides its output and dependency file whose names or number can't be foreseen (dumps), that the object names (clang's -save-temps), whose line markers a tree can't say (gcc's), that no two runs make alike (gcc's -gsplit-dwarf where it optimises, unless with -g1 or -fno-var-tracking); or it makes others, and there is no tree or the compile fails."},
		{Internals, "A word goes past the driver to the insides of the compiler (-Xclang, -mllvm, -X…), and is not one of the few that are known, or there is no tree for it."},
		{OtherLanguage, "The source is in a language other than C, C++, Objective-C and Objective-C++."},
		{Link, "The command links. Sources in it are compiled at helpers, where that is known to be exact; its link is counted here."},
		{LongOption, "An option with two dashes is not one that we know, and may stand for any short one."},
		{LTO, "Link-time optimisation (-flto) makes objects that differ between two runs of one gcc (but with -frandom-seed=), or there is no tree."},
		{MissingOperand, "The last option lacks its operand; the compiler has its own words for that."},
		{Modules, "Modules and header units are read from and written to files that we do not follow."},
		{Native, "-march, -mtune or -mcpu is native, and what that means here could not be found out: the compiler rejects it, or was not to be asked."},
		{NoInput, "There is no input file."},
		{NotASource, "The only input is no source file by its name; a compiler leaves it to the linker."},
		{Offload, "Code is made for a second device (CUDA, HIP, OpenMP targets, OpenACC)."},
		{OtherAction, "The compiler is asked for something else than an object or assembler text (-fsyntax-only, --analyze, -emit-llvm)."},
		{OtherPrograms, "The driver is made another one: -B, -specs, -wrapper, a configuration file, an external assembler."},
		{Plugin, "A plugin is loaded into the compiler."},
		{PosixDriver, "The compiler is c89 or c99, a script that adds words of its own."},
		{PrecompiledHeader, "A precompiled header is made (two runs of gcc make no two alike: it is an image of its memory), or named by the command."},
		{PreprocessOnly, "The command only preprocesses (-E, -M, -MM)."},
		{PreprocessorOutput, "An option for preprocessed output (-C, -P, -fdirectives-only) stands in a command that compiles."},
		{PreprocessorWords, "A word for the preprocessor (-Wp, or -Xpreprocessor) is not a plain -D, -U, -I, -MD, -MMD, -MF, -MT, -MQ or -MP."},
		{Prints, "The command only prints something about the compiler."},
		{Probe, "The source is a probe of configure, CMake or Meson, which asks about this machine."},
		{Profile, "A profile is used, or gcc is to count at run time without -frandom-seed=, which no two runs do alike; or there is no tree."},
		{ReadsFile, "An option reads a file that is neither the source nor a header."},
		{RecordedCommand, "The command line is recorded in the output, which would show how it was changed for the helper."},
		{ResponseFile, "A response file (@file) is missing, too large, in a loop, or one that compilers read differently; or an operand begins with @, which may become one (-I@dir)."},
		{Sanitizer, "Sanitizers put line and column of the source into the object, and there is no tree: preprocessed text has other columns."},
		{SeveralInputs, "There is more than one input file, and the command can't be taken apart: a source does not compile, or an input is no source."},
		{SeveralTargets, "Code is made for more than one architecture in one command (-arch twice)."},
		{Stdin, "The source comes from standard input, which can be read once: a helper's job would take it from the local compiler, should that have to do the work after all."},
		{Stdout, "The output goes to standard output."},
		{Verbose, "The compiler is asked to tell about its work (-v, -Q, -time, -ftime-report)."},
		{WorkingDirectory, "Relative names are not relative to the working directory (-working-directory)."},
	}
}
