package differ

import (
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// builtCommand draws what builds say of several sources at once, of programs and of
// files besides the object, below what they do to the environment.
func (c compiler) builtCommand(t *rapid.T) command {
	driver := rapid.SampledFrom([][]string{c.c, c.c, c.cxx}).Draw(t, "driver")
	inputs := rapid.SliceOfN(rapid.SampledFrom(sourcesBuilt), 1, 3).Draw(t, "inputs")
	parts := [][]string{}
	for _, name := range inputs {
		parts = append(parts, strings.Split(name, " "))
	}
	for _, w := range rapid.SliceOfNDistinct(rapid.SampledFrom(furtherly), 0, 3, func(w string) string { return w }).Draw(t, "further words") {
		parts = append(parts, strings.Fields(w))
	}
	for _, w := range rapid.SliceOfN(rapid.SampledFrom(usually), 0, 3).Draw(t, "usual words") {
		parts = append(parts, strings.Fields(w))
	}
	parts = append(parts, strings.Fields(rapid.SampledFrom(endings).Draw(t, "ending")))
	parts = rapid.Permutation(parts).Draw(t, "order")
	return command{
		words: slices.Concat(driver, slices.Concat(parts...)),
		env:   slices.Concat(rapid.SampledFrom(environments).Draw(t, "environment"), rapid.SampledFrom(oddEnvironments).Draw(t, "odd environment")),
	}
}

// sourcesBuilt go together into one program, where they are C or assembler.
var sourcesBuilt = []string{
	"main.c", "main.c", "common.c", "common.c", "other/common.c", "scalars.c", "warned.c", "empty.c", "dated.c", "plain.s", "start.S", "frames.c",
	"-x c common.c -x none", "-x none common.c", "-x c common.c", "-x c++ other/common.c", "wrong.c", "absent.c", "-lm", "nowhere.o", "./main.c", "templates.cc",
}

// endings are what becomes of them.
var endings = []string{
	"-c", "-c", "-c", "-S", "-c -o out.o", "-c -o include/out.x.o", "-o prog", "-o prog", "-o include/prog.x", "-shared -fPIC -o lib.so", "-r -nostdlib -o out.o",
	"-o main.c", "-o nowhere/prog", "", "-c -o .out.o", "-static -o prog",
}

// furtherly are words for further files, for what is written into them, and those that
// drivers read themselves.
var furtherly = []string{
	"-frandom-seed=1", "-frandom-seed=1 --coverage", "-frandom-seed=1 -fprofile-arcs", "-frandom-seed=1 -flto", "-frandom-seed=1 -flto -ffat-lto-objects",
	"-ftest-coverage -frandom-seed=2", "-fno-test-coverage", "-fno-profile-arcs", "-fprofile-generate -frandom-seed=1", "-fprofile-use", "-fprofile-use=include", "-fno-lto", "-fstack-usage",
	"-fcallgraph-info=su", "-aux-info out.aux", "-fopt-info-vec=out.vec", "-fopt-info", "-fsave-optimization-record", "-fno-save-optimization-record",
	"--serialize-diagnostics out.dia", "-gsplit-dwarf", "-gno-split-dwarf", "-gline-tables-only", "-gz", "-g1", "-g0", "-fverbose-asm", "-frecord-gcc-switches",
	"-grecord-gcc-switches", "-fsanitize=address", "-fsanitize=undefined", "-fprofile-instr-generate", "-fcoverage-mapping", "-MD", "-MMD -MP", "-MD -MF out.d",
	"-Wp,-MMD,out.wd", "-MD -MT a -MQ b", "-march=native", "-mtune=native", "-march=native -march=x86-64-v2", "-mcpu=generic", "-pipe", "-save-temps",
	"-fdiagnostics-color=always", "-fdiagnostics-format=json", "-fmessage-length=40", "-Wl,-Map,out.map", "-Wl,--build-id", "-Wl,--gc-sections -ffunction-sections",
	"-pass-exit-codes", "-ffile-prefix-map=.=/src", "-fdebug-prefix-map=/tmp=/src", "-no-canonical-prefixes", "-D__DATE__=\"d\" -Wno-builtin-macro-redefined",
	"-Wdate-time", "-fno-working-directory", "-dumpdir out-", "-dumpbase x", "-include include/forced.h", "-H", "-ftrivial-auto-var-init=zero", "-nostdlib",
	"-fdebug-compilation-dir=.", "-ffile-compilation-dir=.", "-Xclang -fdebug-compilation-dir -Xclang .", "-fsplit-dwarf-inlining", "-fcrash-diagnostics-dir=include",
}

// oddEnvironments are variables that reach into compilers.
var oddEnvironments = [][]string{
	nil, nil, nil, nil, nil, nil, {"SOURCE_DATE_EPOCH=1"}, {"SOURCE_DATE_EPOCH=253402300800"}, {"SOURCE_DATE_EPOCH="}, {"SOURCE_DATE_EPOCH=1x"},
	{"GCC_COLORS=error=01;32", "TERM=xterm"}, {"TERM=dumb", "COLUMNS=20"}, {"COLUMNS=20"}, {"NO_COLOR=1"}, {"CLICOLOR_FORCE=1"}, {"TMPDIR=/nowhere"}, {"TMPDIR=include"},
	{"LIBRARY_PATH=include"}, {"OBJC_INCLUDE_PATH=include"}, {"DEPENDENCIES_OUTPUT=out.dep"}, {"LANGUAGE=de"}, {"LC_MESSAGES=C"}, {"COMPILER_PATH=/nowhere"}, {"COMPILER_PATH=."},
	{"GCC_EXEC_PREFIX="}, {"LD_RUN_PATH=/x"}, {"POSIXLY_CORRECT=1"}, {"PWD=relative"},
}
