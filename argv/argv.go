// Package argv reads the command line of a gcc or clang driver: args in, an immutable [Command] and a verdict out.
//
// It is pure: no file, no environment and no process but what [Env] offers. A newcomer starts with [Parse], then reads
// package option, whose table says of every option that matters what it means to us and whose reasons say why a command is
// local; a new option is a new row there. verdict.go turns what was read into "one plain compile" or "local, because",
// output.go and extras.go compute the names that the driver would choose, split.go takes commands apart that have several
// sources or link, whole.go makes the command line of the tree form ([Command.Whole]), rewrite.go the two of the
// preprocessed form ([Command.Preprocess] on the client, [Command.Compile] on the helper), and security.go is the helper's
// own policy ([Admit], [AdmitWhole]), by the words of package allow. Package response reads response files.
package argv

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/argv/response"
)

// Env is everything outside the words that [Parse] needs.
type Env struct {
	// Driver is what the compiler is called, from [ParseDriver].
	Driver Driver
	// Family is what the driver really is when that is known (cc may be clang); Unknown means Driver.Family, and
	// Unknown there too is read as GCC.
	Family Family
	// ReadFile reads a response file, relative names against the working directory. nil: no file can be read.
	ReadFile func(name string) ([]byte, error)
	// Job says that the words are a job's, made by [Command.Whole] or [Command.Compile]: then they may hold what only those
	// say.
	Job bool
	// Getenv answers for variables that change what a compiler does. nil: the environment is empty.
	Getenv func(string) string
	// Native says that whoever runs the command will be told what native means: -march=native is then no reason to
	// stay, and gcc's words with it stay in what a helper runs.
	Native bool
	// Pinned says that the compiler is an image's, so that no other one need say the same: probes of this machine and what
	// two runs of one compiler would not make alike may go.
	Pinned bool
}

// family is the family whose rules apply.
func (e Env) family() Family {
	switch {
	case e.Family != Unknown:
		return e.Family
	case e.Driver.Family != Unknown:
		return e.Driver.Family
	}
	return GCC
}

// A Command is one command line, read. It never changes after [Parse]; methods that give words give copies.
type Command struct {
	given       []string // all words, response files expanded
	family      Family
	words       []option.Word
	cpp         []string // what -Wp, and -Xpreprocessor hand to the preprocessor, in order
	inputs      []input
	outputs     []string
	language    Language
	badLanguage Reason  // why the input's language is not one that can be sent; "" when it can
	keepsNative bool    // words with native go along
	compile     bool    // -c
	assembly    bool    // -S
	dumpName    *string // of a job: what the names of further outputs begin with, where the object says them
	verdict     Verdict
}

// input is one source (or object, or library) and the -x that was in effect where it stood.
type input struct {
	name, x string
}

// Parse reads the words that follow the program's name. It never fails: what it cannot read is a local verdict with a
// reason.
func Parse(args []string, env Env) *Command {
	c := &Command{given: slices.Clone(args), family: env.family()}
	words, err := response.Expand(args, env.ReadFile)
	if err != nil {
		c.verdict = local(option.ResponseFile, err.Error())
		return c
	}
	c.given = words
	c.scan()
	if len(c.inputs) == 1 {
		in := c.inputs[0]
		c.language, c.badLanguage = languageOf(in.name, in.x, env.Driver.CXX, c.family)
	}
	c.keepsNative = env.Native && c.family == GCC && c.Native()
	c.verdict = c.judge(env)
	return c
}

// scan walks the words from left to right; "-x" acts on the inputs behind it.
func (c *Command) scan() {
	x := ""
	for rest := c.given; len(rest) > 0; {
		w, n := option.Read(rest, c.family)
		rest = rest[n:]
		switch w.Kind {
		case option.KindInput:
			c.inputs = append(c.inputs, input{w.Value, x})
		case option.KindLanguage:
			x = w.Value
		case option.KindOutput:
			c.outputs = append(c.outputs, w.Value)
		case option.KindMode:
			c.compile = c.compile || w.Name == "-c"
			c.assembly = c.assembly || w.Name == "-S"
		case option.KindToCPP:
			c.cpp = append(c.cpp, handedOn(w, "-Wp,")...)
		}
		c.words = append(c.words, w)
	}
}

// handedOn are the words that a word hands to a program behind the driver: one, or those between commas.
func handedOn(w option.Word, commas string) []string {
	if w.Name == commas {
		return strings.Split(w.Value, ",")
	}
	return []string{w.Value}
}

// Words is the whole command line, response files expanded: what explain prints. Parsing it again gives an equal
// Command.
func (c *Command) Words() []string { return slices.Clone(c.given) }

// Verdict says whether the command is one plain compile that may be sent, and if not, why.
func (c *Command) Verdict() Verdict { return c.verdict }

// Source is the input as given. Like all that follows it has a meaning only for a remote verdict.
func (c *Command) Source() string {
	if len(c.inputs) == 0 {
		return ""
	}
	return c.inputs[0].name
}

// Language is the language of the source, by -x, by its suffix and by the driver (g++ reads a .c as C++).
func (c *Command) Language() Language { return c.language }

// Assembly reports whether the output is assembler text (-S), not an object.
func (c *Command) Assembly() bool { return c.assembly }

// Target is the value of clang's last --target=T or -target T; "" without one.
func (c *Command) Target() string {
	t := ""
	for _, w := range c.words {
		if w.Name == "--target=" || w.Name == "-target" {
			t = w.Value
		}
	}
	return t
}

// TargetWords are the words that select machine, CPU and ABI (--target, -arch, -m…), in order: for the expected kind
// of object, and for probes.
func (c *Command) TargetWords() []string { return c.pick(option.KindTarget) }

// CodegenWords are the words that the compiler proper is moved by: all but inputs, outputs, dependency, preprocessor,
// linker and diagnostics words. They are the key of whatever is remembered for a set of options.
func (c *Command) CodegenWords() []string {
	return c.pick(option.KindPlain, option.KindTree, option.KindTarget, option.KindDebug, option.KindAssembler, option.KindXclang)
}

// installationWords are clang's options that choose the gcc installation, C library or runtime beside it, by which its
// driver chooses features of the target as well (outline atomics).
var installationWords = []string{
	"--gcc-toolchain=", "-gcc-toolchain", "--gcc-install-dir=", "--gcc-triple=", "--sysroot", "--sysroot=", "-isysroot",
	"--rtlib=", "-rtlib=", "-stdlib=", "--stdlib=",
}

// FeatureWords are the words that move the final list of the target's features: CodegenWords, and with clang those that
// name an installation.
func (c *Command) FeatureWords() []string {
	out := c.CodegenWords()
	for _, w := range c.words {
		if c.family == Clang && slices.Contains(installationWords, w.Name) {
			out = append(out, w.Text...)
		}
	}
	return out
}

// pick gives the texts of the words of these kinds.
func (c *Command) pick(kinds ...option.Kind) []string {
	var out []string
	for _, w := range c.words {
		if slices.Contains(kinds, w.Kind) && !c.drops(&w) {
			out = append(out, w.Text...)
		}
	}
	return out
}

// Debug reports whether debug information is made: the last word that sets its level decides.
func (c *Command) Debug() bool {
	on := false
	for _, w := range c.words {
		if w.Kind == option.KindDebug && w.Name == "-g" {
			on = debugLevel(w.Value, on)
		}
	}
	return on
}

// Compresses reports whether the assembler compresses debug information: its bytes are then zlib's or zstd's as well.
func (c *Command) Compresses() bool {
	how := "=none"
	for _, w := range c.words {
		if w.Name == "-gz" {
			how = w.Value
		}
	}
	return how != "=none"
}

// debugLevel applies the text behind "-g" to what was decided before it. Unknown words are taken to make debug
// information: preprocessed text is then not used where it would not be exact.
func debugLevel(s string, on bool) bool {
	switch s {
	case "0", "gdb0", "stabs0", "stabs+0", "xcoff0", "vms0", "coff0", "ctf0", "btf0":
		return false
	case "strict-dwarf", "column-info", "statement-frontiers", "variable-location-views", "inline-points",
		"record-gcc-switches", "dwarf32", "dwarf64", "describe-dies", "as-loc-support", "as-locview-support",
		"pubnames", "gnu-pubnames", "32", "64":
		return on
	}
	if strings.HasPrefix(s, "no-") || strings.HasPrefix(s, "variable-location-views=") {
		return on
	}
	return true
}

// Colour is what the command itself says of coloured diagnostics: "always", "never", "auto", or "" when it leaves
// that to the terminal.
func (c *Command) Colour() string {
	when := ""
	for _, w := range c.words {
		switch {
		case w.Kind != option.KindDiagnostic:
		case w.Name == "-fdiagnostics-color=":
			when = w.Value
		case w.Name == "-fdiagnostics-color", w.Name == "-fcolor-diagnostics":
			when = "always"
		case w.Name == "-fno-diagnostics-color", w.Name == "-fno-color-diagnostics":
			when = "never"
		}
	}
	return when
}
