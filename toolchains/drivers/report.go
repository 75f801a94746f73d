package drivers

import (
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
)

// A Report is what a driver says of itself and of what it would run, read from
// the standard error of `-###`. gcc and clang print it alike.
type Report struct {
	Family   argv.Family
	Version  string     // "12.2.0"; "12.3.1 20230526" for a snapshot, "Apple 15.0.0" for another's numbers
	Package  string     // who built it: "Debian 12.2.0-14"
	Target   string     // as printed
	Self     string     // gcc's COLLECT_GCC: the real driver's argv[0], which a script or link may hide
	Specs    []string   // files of specs that gcc read
	Configs  []string   // configuration files that clang read
	Commands [][]string // each command line, program first
	Options  []string   // gcc's options as its own specs have changed them, without quotes: the last COLLECT_GCC_OPTIONS
}

// ReadReport reads the output of `-###`. Family is Unknown when it is of
// neither compiler.
func ReadReport(text string) Report {
	var r Report
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, " ") {
			if words := splitWords(line); len(words) > 1 { // clang's "(in-process)" is one
				r.Commands = append(r.Commands, words)
			}
			continue
		}
		r.header(line)
	}
	return r
}

// header reads a line that is no command.
func (r *Report) header(line string) {
	value := func(prefix string) (string, bool) { return strings.CutPrefix(line, prefix) }
	if v, ok := value("Target: "); ok {
		r.Target = strings.TrimSpace(v)
	} else if v, ok := value("COLLECT_GCC="); ok {
		r.Self = v
	} else if v, ok := value("COLLECT_GCC_OPTIONS="); ok {
		r.Options = strings.Fields(strings.ReplaceAll(v, "'", ""))
	} else if v, ok := value("Reading specs from "); ok {
		r.Specs = append(r.Specs, v)
	} else if v, ok := value("Configuration file: "); ok {
		r.Configs = append(r.Configs, v)
	} else if v, ok := value("gcc version "); ok {
		r.Family = argv.GCC
		r.Version, r.Package = gccVersion(v)
	} else if before, v, ok := strings.Cut(line, "clang version "); ok && r.Family == argv.Unknown && !strings.Contains(before, ":") {
		r.Family = argv.Clang
		r.Version, r.Package = clangVersion(strings.TrimSpace(before), v)
	}
}

// gccVersion takes "12.2.0 (Debian 12.2.0-14) " apart. A snapshot's date is
// part of the version: two snapshots of 12.3.1 are two compilers.
func gccVersion(s string) (version, pkg string) {
	version, pkg, _ = strings.Cut(strings.TrimSpace(s), "(")
	pkg = strings.TrimSuffix(pkg, ")")
	return strings.TrimSpace(version), pkg
}

// distributors print their name before "clang version" and keep LLVM's numbers.
// Any other name (Apple, AMD) counts versions of its own and is part of ours.
var distributors = [...]string{"", "Debian", "Ubuntu", "Raspbian", "Alpine", "Fedora", "Gentoo"}

// clangVersion takes "14.0.6" or "15.0.7 (https://… 8dfdcc7)" apart; vendor is
// what stands before "clang version".
func clangVersion(vendor, s string) (version, pkg string) {
	s = strings.TrimSpace(s)
	version = s
	if i := strings.IndexFunc(s, func(c rune) bool { return c != '.' && (c < '0' || c > '9') }); i >= 0 {
		version = s[:i]
	}
	for _, d := range distributors {
		if d == vendor {
			return version, strings.TrimSpace(vendor + " " + s)
		}
	}
	return vendor + " " + version, s
}

// splitWords splits a command line of `-###`: words are bare, or in double
// quotes with a backslash before `"`, `\` and `$`.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	open, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			open, quoted = true, !quoted
		case c == '\\' && quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == ' ' && !quoted:
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			open = true
			word.WriteByte(c)
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

// Program finds the first command whose program has this base name.
func (r Report) Program(base string) ([]string, bool) {
	for _, c := range r.Commands {
		if path.Base(c[0]) == base {
			return c, true
		}
	}
	return nil, false
}

// Assembler is the name of the assembler that the driver would run, bare when
// it leaves the search to PATH; "" when it assembles by itself.
func (r Report) Assembler() string {
	for _, c := range r.Commands {
		if base := path.Base(c[0]); base == "as" || strings.HasSuffix(base, "-as") {
			return c[0]
		}
	}
	return ""
}

// operandPaths are words whose next word is a path or a file's name. Where such
// a pair stands depends on where a compiler is installed and on which
// directories exist, not on what it makes of a source.
var operandPaths = [...]string{
	"-iprefix", "-isysroot", "-isystem", "-idirafter", "-include", "-imacros", "-o", "-dumpbase", "-dumpdir", // gcc
	"-triple", "-main-file-name", "-resource-dir", "-internal-isystem", "-internal-externc-isystem", // clang
	"-internal-iframework", "-internal-externc-iframework", "-fdebug-compilation-dir", "-fcoverage-compilation-dir",
}

// DefaultWords keeps the words of a compiler's line that are defaults of its
// code: none that holds a path, and not clang's outline-atomics, which follows
// from the gcc installations beside it and is made explicit for each job.
func DefaultWords(command []string) []string {
	var keep []string
	words := command[1:]
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case slices.Contains(operandPaths[:], w):
			i++
		case w == "-target-feature" && i+1 < len(words) && strings.HasSuffix(words[i+1], "outline-atomics"):
			i++
		case !strings.Contains(w, "/"):
			keep = append(keep, w)
		}
	}
	return keep
}

// OptionRow reads a row of an option table, `  -mabi=   lp64`. It gives no value
// for lines that are no such row, and for rows that say something else than a
// default of the code: paths, what other languages have, and colours and links,
// which follow the environment.
func OptionRow(line string) (option, value string) {
	fields := strings.Fields(line)
	if !strings.HasPrefix(line, "  -") || len(fields) < 2 {
		return "", ""
	}
	option, value = fields[0], strings.Join(fields[1:], " ")
	if strings.Contains(value, "/") || strings.HasPrefix(value, "[available") ||
		strings.HasPrefix(option, "-fdiagnostics-color") || strings.HasPrefix(option, "-fdiagnostics-urls") {
		return option, ""
	}
	return option, value
}
