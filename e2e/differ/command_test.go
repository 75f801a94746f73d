package differ

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/crosscc/crosscc/argv"
)

// A compiler is one family for one target.
type compiler struct {
	family argv.Family
	target string // Debian's spelling
	c, cxx []string
	words  vocabulary
}

func (c compiler) String() string { return fmt.Sprintf("%v %s", c.family, c.target) }

// compilers are those of the promise: four targets, two families.
func compilers() []compiler {
	var list []compiler
	for _, target := range []string{"x86_64-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabihf", "riscv64-linux-gnu"} {
		list = append(list,
			compiler{family: argv.GCC, target: target, c: []string{target + "-gcc"}, cxx: []string{target + "-g++"}},
			compiler{family: argv.Clang, target: target, c: []string{"clang-14", "--target=" + target}, cxx: []string{"clang++-14", "--target=" + target}})
	}
	return list
}

// A command is one command line, with what it finds around it.
type command struct {
	words []string // with the compiler
	env   []string // besides the client's
	stdin string   // a file of the corpus; "" for none
}

// String is the command as a shell reads it.
func (c command) String() string {
	var b strings.Builder
	if len(c.env) > 0 {
		b.WriteString("env ")
	}
	for _, w := range append(slices.Clone(c.env), c.words...) {
		if w == "" || strings.ContainsAny(w, " \"'$()*?<>|&;#\n\\") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		b.WriteString(w + " ")
	}
	if c.stdin != "" {
		b.WriteString("< " + c.stdin)
	}
	return strings.TrimSpace(b.String())
}

// exec is the command as a process, through crosscc unless that is "".
func (c command) exec(dir, crosscc string, env []string) *exec.Cmd {
	words := c.words
	if crosscc != "" {
		words = append([]string{crosscc}, words...)
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env = dir, slices.Concat(env, c.env)
	return cmd
}

// Sources by language; those of the first lists compile.
var (
	sourcesC    = []string{"scalars.c", "frames.c", "floats.c", "memory.c", "vectors.c", "files.c", "data.c", "common.c", "odd name.c", "./scalars.c", "include/../frames.c"}
	sourcesCXX  = []string{"templates.cc", "exceptions.cc", "library.cc", "scalars.c", "frames.c"}
	sourcesBad  = []string{"warned.c", "warned.c", "warned.cc", "wrong.c", "wrong.cc", "absent.c"}
	sourcesElse = []string{"dated.c", "object.m", "start.S", "plain.s", "made.i", "no-such-file.c", "include/forced.h", "include/data.bin"}
)

// plainCommand draws a compile as builds have them, with any words that a plain
// compile may have.
func (c compiler) plainCommand(t *rapid.T) command {
	cxx := rapid.IntRange(0, 2).Draw(t, "c++") == 0
	source := rapid.SampledFrom(sourcesC)
	driver := c.c
	if cxx {
		source, driver = rapid.SampledFrom(sourcesCXX), c.cxx
	}
	name := source.Draw(t, "source")
	if rapid.IntRange(0, 7).Draw(t, "bad") == 0 {
		name = rapid.SampledFrom(sourcesBad).Draw(t, "bad source")
	}
	words := rapid.SliceOfN(rapid.SampledFrom(c.words.plain), 0, 4).Draw(t, "words")
	usual := rapid.SliceOfNDistinct(rapid.SampledFrom(usually), 0, 5, func(w string) string { return w }).Draw(t, "usual words")
	cmd := command{words: slices.Clone(driver)}
	at := rapid.IntRange(0, len(words)).Draw(t, "source's place")
	for i, w := range words {
		if i == at {
			cmd.words = append(cmd.words, name)
		}
		cmd.words = append(cmd.words, w...)
	}
	if at == len(words) {
		cmd.words = append(cmd.words, name)
	}
	for _, w := range usual {
		cmd.words = append(cmd.words, strings.Fields(w)...)
	}
	cmd.words = append(cmd.words, rapid.SampledFrom([]string{"-c", "-c", "-c", "-S"}).Draw(t, "mode"))
	if !slices.Contains(cmd.words, "-o") && rapid.Bool().Draw(t, "output named") {
		cmd.words = append(cmd.words, "-o", rapid.SampledFrom([]string{"out.o", "out", "include/out.o"}).Draw(t, "output"))
	}
	cmd.env = rapid.SampledFrom(environments).Draw(t, "environment")
	return cmd
}

// usually are words that builds are full of.
var usually = []string{
	"-O2", "-O0", "-O1", "-O3", "-Os", "-g", "-g3", "-gdwarf-4", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fPIE", "-pipe", "-MD", "-MMD -MP", "-MD -MF out.d",
	"-MMD -MT t", "-Wp,-MD,out.wd", "-DNDEBUG", "-DX=1", "-Iinclude", "-Iinclude -Iinclude/sub", "-isystem include", "-include include/forced.h",
	"-ffunction-sections", "-fdata-sections", "-fstack-protector-strong", "-fno-strict-aliasing", "-fvisibility=hidden", "-fomit-frame-pointer",
	"-fno-plt", "-fcommon", "-fno-common", "-pthread", "-fopenmp", "-ffast-math", "-funroll-loops", "-fwrapv", "-fno-exceptions", "-w", "-H",
}

// environments are variables that builds have set.
var environments = [][]string{
	nil, nil, nil, nil, {"LC_ALL=C"}, {"CPATH=include"}, {"C_INCLUDE_PATH=include:nowhere"}, {"CPLUS_INCLUDE_PATH=:include"},
	{"SOURCE_DATE_EPOCH=1600000000"}, {"GCC_COLORS="}, {"PWD=/"},
}

// others is a language whose messages a helper may not have.
var others = []string{"LC_ALL=", "LANG=en_US.UTF-8"}

// wildCommand draws any command: several inputs or none, words that keep it at
// home, words in any order.
func (c compiler) wildCommand(t *rapid.T) command {
	driver := rapid.SampledFrom([][]string{c.c, c.c, c.cxx}).Draw(t, "driver")
	every := slices.Concat(sourcesC, sourcesCXX, sourcesBad, sourcesElse)
	var parts [][]string
	parts = append(parts, rapid.SliceOfN(rapid.SampledFrom(c.words.wild), 0, 2).Draw(t, "wild words")...)
	parts = append(parts, rapid.SliceOfN(rapid.SampledFrom(c.words.plain), 0, 3).Draw(t, "words")...)
	for _, s := range rapid.SliceOfN(rapid.SampledFrom(every), 0, 2).Draw(t, "sources") {
		parts = append(parts, []string{s})
	}
	for _, w := range rapid.SliceOfN(rapid.SampledFrom(usually), 0, 3).Draw(t, "usual words") {
		parts = append(parts, strings.Fields(w))
	}
	mode := rapid.SampledFrom([]string{"-c", "-c", "-c", "-S", "-E", "-fsyntax-only", "@words.rsp", "-", "-xc"}).Draw(t, "mode")
	parts = rapid.Permutation(append(parts, []string{mode})).Draw(t, "order")
	cmd := command{words: slices.Concat(driver, slices.Concat(parts...))}
	cmd.env = rapid.SampledFrom(append(slices.Clone(environments), others)).Draw(t, "environment")
	if slices.Contains(cmd.words, "-") {
		cmd.stdin = "common.c"
	}
	return cmd
}
