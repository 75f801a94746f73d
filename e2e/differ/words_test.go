package differ

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
)

// samples are operands for options whose operand means something. What is not
// here gets one of anything.
var samples = map[string][]string{
	"-D": {"A", "B=2", "C(x)=x", "FROM=\"a b\"", "FORCED=9"}, "-U": {"A", "__linux__"}, "-A": {"machine(x)"},
	"-I": {"include", "include/sub", "nowhere", ".", "/usr/include", "=/usr/include"}, "-F": {"include"},
	"-isystem": {"include", "nowhere", "/usr/include"}, "-iquote": {"include"}, "-idirafter": {"include", "/usr/local/include"},
	"-include": {"include/forced.h", "nowhere.h", "stdint.h"}, "-imacros": {"include/forced.h"},
	"-iprefix": {"include/"}, "-iwithprefix": {"sub"}, "-iwithprefixbefore": {"sub"}, "-isysroot": {"/", "nowhere"},
	"--sysroot": {"/", "nowhere"}, "--sysroot=": {"/"}, "-stdlib=": {"libstdc++", "libc++"},
	"-std=": {"c99", "gnu11", "c17", "gnu2x", "c++14", "c++17", "gnu++20", "c++2b", "c90", "none"}, "-x": {"c", "c++", "none", "assembler-with-cpp", "c-header"},
	"-o":  {"out.o", "out", "out.x.o", "include/out.o", "nowhere/out.o", "scalars.c", "-", "/dev/null"},
	"-MF": {"out.d", "out.dep", "nowhere/out.d", "-"}, "-MT": {"a target", "$(x)"}, "-MQ": {"a target", "$(x)"}, "-MJ": {"out.json"},
	"-Wp,": {"-MD,out.wp", "-MMD,out.wp", "-DA,-DB=2", "-v", "-P"}, "-Wa,": {"--noexecstack", "-L", "-adhln=out.lst", "-W", "-Iinclude"},
	"-Xpreprocessor": {"-DX", "-v"}, "-Xassembler": {"--noexecstack", "-L"}, "-Xclang": {"-disable-llvm-passes", "-fno-pch-timestamp"},
	"-Xlinker": {"-s"}, "-mllvm": {"-inline-threshold=3"}, "--param": {"max-inline-insns-auto=3", "nothing=1"}, "--param=": {"ssp-buffer-size=4"},
	"-O": {"0", "1", "2", "3", "s", "g", "fast", "", "z"}, "-g": {"", "0", "1", "3", "dwarf-4", "gdb", "line-tables-only"}, "-gz": {"", "=zlib", "=none"},
	"-march=": {"native", "x86-64-v3", "armv8.2-a", "rv64gc", "rv64imac", "armv7-a", "nothing"}, "-mtune=": {"native", "generic"}, "-mcpu=": {"native", "cortex-a72", "nothing"},
	"-flto=": {"auto", "thin", "2"}, "-fmacro-prefix-map=": {"include=x", "="}, "-ffile-prefix-map=": {".=/src"}, "-fsanitize": {"=address", "=undefined", "=nothing"},
	"-fdiagnostics-color=": {"always", "never", "auto"}, "-fmessage-length=": {"40", "0"}, "-fmax-errors=": {"1"}, "-ferror-limit=": {"1"},
	"-finput-charset=": {"UTF-8", "latin1"}, "-fexec-charset=": {"UTF-8"}, "-fprofile": {"-generate", "-use", "-arcs"}, "-save-temps": {"", "=obj", "=cwd"},
	"-specs=": {"nowhere"}, "-B": {"nowhere", "/usr/bin"}, "-fplugin": {"=nowhere"}, "-wrapper": {"env"}, "-dumpdir": {"out-"}, "-dumpbase": {"out"},
	"-frandom-seed=": {"7"}, "-fdump": {"-tree-optimized", "-rtl-final=out.rtl"}, "-fdebug-prefix-map=": {".=/src"}, "--target=": {"x86_64-linux-gnu", "nothing"},
}

// anything is what an option without samples is given.
var anything = []string{"1", "include", "out.other", "none"}

// A vocabulary is what commands for one compiler are made of.
type vocabulary struct {
	plain [][]string // words that a plain compile may have
	wild  [][]string // those that keep a command at home, as the option table says
}

// vocabularyOf asks a compiler for its options, and adds the option table's own.
// Their order is the seed's: what is drawn for one compiler is not what is drawn
// for the next.
func vocabularyOf(f argv.Family, program string, seed uint64) (v vocabulary, err error) {
	defer func() {
		for _, list := range [][][]string{v.plain, v.wild} {
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}()
	for _, r := range option.Rules(f) {
		if runsOthers[r.Name] {
			continue
		}
		for _, words := range spellings(r.Name, r.Operand) {
			if staysHome(f, words) != "" || r.Name == "-o" || r.Name == "-x" { // a plain compile has its own -o
				v.wild = append(v.wild, words)
			} else {
				v.plain = append(v.plain, words)
			}
		}
	}
	said, err := helpOf(f, program)
	if err != nil {
		return v, err
	}
	for _, w := range said {
		switch staysHome(f, []string{w}) {
		case option.MissingOperand, option.PreprocessOnly, option.Prints:
		case "":
			v.plain = append(v.plain, []string{w})
		default:
			v.wild = append(v.wild, []string{w})
		}
	}
	return v, nil
}

// staysHome is why a compile with these words alone would be local.
func staysHome(f argv.Family, words []string) argv.Reason {
	return argv.Parse(append([]string{"-c", "a.c"}, words...), argv.Env{Family: f, Native: true}).Verdict().Reason
}

// runsOthers are options that a test should not give: they may wait for a
// terminal, or write where it does not look.
var runsOthers = map[string]bool{"-cc1": true, "-dumpbase-ext": true, "-fmodules-cache-path=": true}

// spellings are ways to write an option.
func spellings(name string, o option.Operand) [][]string {
	values := samples[name]
	if values == nil {
		values = anything
		if name == "-f" || name == "-m" || name == "-W" || name == "-X" || name == "--" {
			return nil // the compiler's own list has these
		}
	}
	var list [][]string
	for _, s := range values {
		switch o {
		case option.NoOperand:
			return [][]string{{name}}
		case option.JoinedOperand:
			list = append(list, []string{name + s})
		case option.SeparateOperand:
			list = append(list, []string{name, s})
		case option.EitherOperand:
			list = append(list, []string{name, s}, []string{name + s})
		}
	}
	return list
}

// helpOf is what a compiler says of its options that have no operand, or a choice
// of a few, or a number.
func helpOf(f argv.Family, program string) ([]string, error) {
	asks := [][]string{{"--help=optimizers,^joined,^separate"}, {"--help=target"}, {"--help=warnings"}, {"--help=common,^separate"}, {"--help=c++,^separate"}}
	if f == argv.Clang {
		asks = [][]string{{"--help-hidden"}}
	}
	found := map[string]bool{}
	for _, ask := range asks {
		out, err := exec.Command(program, ask...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s %v: %w", program, ask, err)
		}
		for line := range strings.Lines(string(out)) {
			for _, w := range fromHelp(line) {
				found[w] = true
			}
		}
	}
	var list []string
	for w := range found {
		list = append(list, w)
	}
	slices.Sort(list)
	return list, nil
}

// helpLine is one option and its operand as a help text shows them.
var helpLine = regexp.MustCompile(`^  (-[-A-Za-z0-9+_,.]+)(=?)(\S*)`)

// fromHelp reads one line of a help text.
func fromHelp(line string) []string {
	m := helpLine.FindStringSubmatch(line)
	if m == nil || !strings.HasPrefix(m[1], "-f") && !strings.HasPrefix(m[1], "-m") && !strings.HasPrefix(m[1], "-W") {
		return nil
	}
	name, equals, operand := m[1], m[2], strings.Trim(m[3], "[]<>")
	switch {
	case equals == "" && operand == "":
		list := []string{name}
		if plain := strings.TrimPrefix(name, "-fno-"); plain == name && strings.HasPrefix(name, "-f") {
			list = append(list, "-fno-"+name[2:])
		}
		return list
	case equals == "":
		return nil
	case strings.Contains(operand, "|"):
		var list []string
		for v := range strings.SplitSeq(operand, "|") {
			list = append(list, name+"="+v)
		}
		return list
	}
	return []string{name + "=8"}
}
