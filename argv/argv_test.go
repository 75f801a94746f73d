package argv

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv/option"
)

// cmd splits a line at blanks; "␣" stands for a blank inside a word.
func cmd(s string) []string {
	words := strings.Fields(s)
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "␣", " ")
	}
	return words
}

// envFor is the environment of a driver's name, with the response files that the tests use.
func envFor(t testing.TB, driver string) Env {
	t.Helper()
	d, ok := ParseDriver(driver)
	if !ok {
		t.Fatalf("%s is no driver", driver)
	}
	files := map[string]string{
		"flags": "-O2 '-DX=a b' -c", "all": "@flags a.c -o a.o", "loop": "-O2 @loop", "bad": "'open", "native": "-march=native",
	}
	return Env{Driver: d, ReadFile: func(name string) ([]byte, error) {
		if s, ok := files[name]; ok {
			return []byte(s), nil
		}
		return nil, errors.New("no such file or directory")
	}}
}

// remotes are the command lines of real builds that must be sent.
var remotes = []struct{ driver, args string }{
	{"gcc", "-c a.c"},
	{"gcc", "-O2 -Wall -c -o x/y.o dir/a.c"},
	{"gcc", "-oa.o -c a.c -Iinc -I inc2 -DX=1 -D Y.c -include pre.c -U Z -isystem sys.c -iquote q.c"},
	{"gcc", "--param max-inline-insns-single=200 --param=ssp-buffer-size=4 -S a.c"},
	{"gcc", "@flags a.c -o a.o"},
	{"gcc", "@all"},
	{"gcc", "-xc++ -c a.c"},
	{"gcc", "-x c -c a.txt -o a.o"},
	{"g++", "-c a.c"},
	{"g++-12", "-std=c++20 -fno-exceptions -c a.cpp -lfoo -L/lib -Wl,-z,now -nostdlib -pthread -pipe"},
	{"cc", "-c a.mm -x none"},
	{"gcc", "-c -x cpp-output .crosscc-source.i -o a.o"},
	{"gcc", "-c a.i -o a.o"},
	{"aarch64-unknown-linux-gnu-gcc", "-march=native -O2 -march=armv8-a -c a.c"},
	{"gcc", "-flto -fno-lto -c a.c"},
	{"gcc", "--compile --output=a.o --include x.h --define-macro X=1 --std=c99 a.c"},
	// Linux 6.1, arch/arm64
	{"gcc", "-Wp,-MMD,init/.main.o.d -nostdinc -I./arch/arm64/include -I./include -include ./include/linux/compiler-version.h " +
		"-include ./include/linux/kconfig.h -D__KERNEL__ -mlittle-endian -DKASAN_SHADOW_SCALE_SHIFT= -fmacro-prefix-map=./= " +
		"-Wall -Wundef -Werror=strict-prototypes -fno-strict-aliasing -std=gnu11 -Wno-format-security -mgeneral-regs-only " +
		"-mabi=lp64 -Wa,-march=armv8.5-a -fno-delete-null-pointer-checks --param=allow-store-data-races=0 " +
		"-fstack-protector-strong -mbranch-protection=pac-ret+leaf+bti -mstack-protector-guard=sysreg " +
		"-mstack-protector-guard-reg=sp_el0 -mstack-protector-guard-offset=1288 -Wframe-larger-than=2048 -ffunction-sections " +
		"-fpatchable-function-entry=2 -Wimplicit-fallthrough=5 -DKBUILD_MODFILE='\"init/main\"' -c -o init/main.o init/main.c"},
	{"clang", "--target=aarch64-linux-gnu -fintegrated-as -Wp,-MMD,init/.main.o.d -Wp,-D_FORTIFY_SOURCE=2 -nostdinc -isystem /x -c -o m.o m.c"},
	{"gcc", "-Xpreprocessor -MD -Xpreprocessor x.d -Wp,-MT,tgt,-MP,-DX=1,-I,inc -c a.c"},
	// CMake, automake
	{"c++", "-DX -I/w/inc -isystem /w/third -O3 -DNDEBUG -std=gnu++17 -MD -MT CMakeFiles/a.dir/a.cpp.o -MF CMakeFiles/a.dir/a.cpp.o.d -o CMakeFiles/a.dir/a.cpp.o -c /w/a.cpp"},
	{"gcc", "-DHAVE_CONFIG_H -I. -Wall -g -O2 -MT x.o -MD -MP -MF .deps/x.Tpo -c -o x.o x.c"},
	{"clang-14", "-target riscv64-linux-gnu -Xclang -target-feature -Xclang +m -O2 -c a.c"},
	{"clang", "-c a.CC -working-dir"}, // an unknown word goes along
	{"gcc", "-O2 -g -gdwarf-4 -grecord-gcc-switches -ffile-prefix-map=/w=. -c a.c"},
	{"gcc", "-arch arm64 -c a.c"},
	{"gcc", "-c a.s"},
	{"gcc", "-x assembler-with-cpp -MD -D__ASSEMBLY__ -g -Wa,--gdwarf-5 -c a.c -o b/a.o"},
	{"g++", "-Wa,-gdwarf-2 -c a.S"},
}

func TestRemote(t *testing.T) {
	for _, tc := range remotes {
		if v := Parse(cmd(tc.args), envFor(t, tc.driver)).Verdict(); !v.Remote || v.Reason != "" {
			t.Errorf("%s %s: %+v, want remote", tc.driver, tc.args, v)
		}
	}
}

// locals has at least one command for each reason.
var locals = []struct {
	driver, args string
	want         Reason
}{
	{"gcc", "a.c -o a", option.Link},
	{"gcc", "-flto -march=native a.o b.o -o a", option.Link},
	{"gcc", "-E a.c", option.PreprocessOnly},
	{"gcc", "-M a.c -c", option.PreprocessOnly},
	{"gcc", "-MM -MF x a.c", option.PreprocessOnly},
	{"gcc", "-dM -E -", option.PreprocessOnly},
	{"gcc", "--version", option.Prints},
	{"gcc", "-v", option.Prints},
	{"gcc", "-### -c a.c", option.Prints},
	{"gcc", "-Q --help=target", option.Prints},
	{"gcc", "-print-prog-name=as", option.Prints},
	{"gcc", "-dumpmachine", option.Prints},
	{"gcc", "-fhelp -c a.c", option.Prints},
	{"gcc", "-fhelp=common -c a.c", option.Prints},
	{"gcc", "-ftarget-help -c a.c", option.Prints},
	{"gcc", "-fversion -c a.c", option.Prints},
	{"gcc", "", option.NoInput},
	{"gcc", "-c", option.NoInput},
	{"gcc", "-v -c a.c", option.Verbose},
	{"gcc", "-c a.c b.c", option.SeveralInputs},
	{"gcc", "-c a.c b.o", option.SeveralInputs},
	{"gcc", "-c -Ttext a.c", option.NoInput},
	{"gcc", "-c -R a.c", option.NoInput},
	{"gcc", "-c -h a.c", option.NoInput},
	{"clang", "-c -Tdata a.c", option.NoInput},
	{"gcc", "-c -Hf b.c a.c", option.OtherLanguage},
	{"gcc", "-c -fintrinsic-modules-path d a.c", option.OtherLanguage},
	{"clang", "-c -filelist l a.c", option.ReadsFile},
	{"clang", "-c -ObjC a.c", option.OtherLanguage},
	{"clang", "-c -fbuiltin-module-map a.c", option.Modules},
	{"clang", "-c -save-stats=obj a.c", option.ExtraOutput},
	{"clang", "-c -arcmt-migrate-report-output f a.c", option.OtherAction},
	{"gcc", "-c -x c -", option.Stdin},
	{"gcc", "-S a.c -o -", option.Stdout},
	{"gcc", "-S a.c -o /dev/stdout", option.Stdout},
	{"gcc", "-c a.c -o a.o -o b.o", option.AmbiguousOutput},
	{"gcc", "-c a.c -o ./a.c", option.AmbiguousOutput},
	{"gcc", "-march=native -c a.c", option.Native},
	{"gcc", "-march=armv8-a -mcpu=native -c a.c", option.Native},
	{"gcc", "-march=x86-64 -march=native -c a.c", option.Native},
	{"gcc", "@native -c a.c", option.Native},
	{"clang", "-mtune=native -c a.c", option.Native},
	{"gcc", "-flto -c a.c", option.LTO},
	{"gcc", "-fsave-optimization-record -c a.c", option.ExtraOutput},
	{"gcc", "-dumpdir x/ -dumpbase a.c -dumpbase-ext .c -c a.c", option.ExtraOutput},
	{"gcc", "-fstack-usage -c a.c -o x/.o", option.ExtraOutput},
	{"gcc", "-fopt-info-vec=a -fopt-info-inline=b -c a.c", option.ExtraOutput},
	{"gcc", "-aux-info x -c a.cc", option.ExtraOutput},
	{"clang", "-fstack-usage -c a.c", option.ExtraOutput},
	{"clang", "-gsplit-dwarf -c a.c -o a.o", option.ExtraOutput},
	{"clang", "-g -gsplit-dwarf=single -c a.c -o a.o", option.ExtraOutput},
	{"gcc", "-aux-info a.o -c a.c", option.AmbiguousOutput},
	{"gcc", "-aux-info /dev/stdout -c a.c", option.ExtraOutput},
	{"gcc", "-g -aux-info x -c a.c", option.ExtraOutput},
	{"g++", "-x none -c a.c", option.OtherLanguage},
	{"g++", "-x c -x none -c d/a.i", option.OtherLanguage},
	{"gcc", "-frecord-gcc-switches -fopt-info-vec=x -c a.c", option.ExtraOutput},
	{"gcc", "-fverbose-asm -fopt-info-vec=x -S a.c", option.ExtraOutput},
	{"gcc", "-flto -frandom-seed=1 -fopt-info-vec=x -c a.c", option.ExtraOutput},
	{"gcc", "-flto -frandom-seed=1 -fstack-usage -c a.c", option.ExtraOutput},
	{"gcc", "-flto -ffat-lto-objects -frandom-seed=1 -fcallgraph-info -c a.c", option.ExtraOutput},
	{"clang", "-g -gsplit-dwarf -gline-directives-only -c a.c -o a.o", option.ExtraOutput},
	{"clang", "-gsplit-dwarf -g1 -fsplit-dwarf-inlining -c a.c -o a.o", option.ExtraOutput},
	{"clang", "-Xclang -split-dwarf-file -Xclang x -g -c a.c", option.Internals},
	{"gcc", "-fauto-profile=x -c a.c", option.Profile},
	{"gcc", "-fprofile-use -fprofile-dir=x -c a.c", option.Profile},
	{"gcc", "--coverage -c a.c", option.Profile},
	{"gcc", "-ftest-coverage -c a.c", option.Profile},
	{"gcc", "-save-temps=cwd -c a.c", option.ExtraOutput},
	{"g++", "-save-temps=obj -c a.c", option.ExtraOutput},
	{"gcc", "-save-temps -c a.c", option.ExtraOutput},
	{"gcc", "-save-temps=obj -c a.c -o b/a.o", option.ExtraOutput},
	{"clang", "-save-temps -c a.c", option.ExtraOutput},
	{"clang", "-mllvm -print-after-all -c a.c", option.Internals},
	{"clang", "-mllvm -asan-x=/etc/passwd -c a.c", option.Internals},
	{"gcc", "-fdump-tree-all -c a.c", option.ExtraOutput},
	{"gcc", "-dr -c a.c", option.ExtraOutput},
	{"gcc", "-dD -c a.c", option.ExtraOutput},
	{"gcc", "-g -gsplit-dwarf -flto -frandom-seed=1 -c a.c", option.ExtraOutput},
	{"gcc", "-g -gsplit-dwarf -c a.S", option.ExtraOutput},
	{"gcc", "-O2 -g -gsplit-dwarf -c a.c", option.ExtraOutput},
	{"gcc", "-Og -gsplit-dwarf -S a.c", option.ExtraOutput},
	{"gcc", "-g1 -gsplit-dwarf -g -O -c a.c", option.ExtraOutput},
	{"gcc", "-O2 -fno-var-tracking -fvar-tracking-assignments -g -gsplit-dwarf -c a.c", option.ExtraOutput},
	{"gcc", "-g -gsplit-dwarf -fvar-tracking -c a.c", option.ExtraOutput},
	{"clang", "-ftime-trace=x -c a.c", option.ExtraOutput},
	{"clang", "-ftime-trace-verbose -c a.c", option.ExtraOutput},
	{"gcc", "-ftime-trace -c a.c", option.ExtraOutput},
	{"clang", "-MJ x.json -c a.c", option.ExtraOutput},
	{"gcc", "-frepo -c a.c", option.ExtraOutput},
	{"clang", "-grecord-command-line -c a.c", option.RecordedCommand},
	{"gcc", "-fplugin=x.so -c a.c", option.Plugin},
	{"gcc", "-fplugin-arg-x-y=1 -c a.c", option.Plugin},
	{"clang", "-fpass-plugin=x.so -c a.c", option.Plugin},
	{"gcc", "-specs=x -c a.c", option.OtherPrograms},
	{"gcc", "--specs=x -c a.c", option.OtherPrograms},
	{"gcc", "-wrapper valgrind -c a.c", option.OtherPrograms},
	{"gcc", "-B bin -c a.c", option.OtherPrograms},
	{"gcc", "-Bbin -c a.c", option.OtherPrograms},
	{"clang", "-fno-integrated-as -c a.c", option.OtherPrograms},
	{"clang", "--config x.cfg -c a.c", option.OtherPrograms},
	{"gcc", "-c a.h", option.PrecompiledHeader},
	{"gcc", "-x c++-header -c a", option.PrecompiledHeader},
	{"clang", "-include-pch x.pch -c a.c", option.PrecompiledHeader},
	{"gcc", "-fmodules-ts -c a.cc", option.Modules},
	{"clang", "-fmodule-file=x -c a.cc", option.Modules},
	{"clang", "-arch arm64 -arch x86_64 -c a.c", option.SeveralTargets},
	{"gcc", "-Wa,-adhln=x.lst -c a.c", option.AssemblerWords},
	{"gcc", "-Wa,--noexecstack,-al -c a.c", option.AssemblerWords},
	{"gcc", "-Wa,@x -c a.c", option.AssemblerWords},
	{"gcc", "-Wa,-march=native -c a.c", option.AssemblerWords},
	{"gcc", "-Xassembler --MD -c a.c", option.AssemblerWords},
	{"gcc", "-S a.S", option.Assembler},
	{"gcc", "-x assembler -S a.c", option.Assembler},
	{"gcc", "-fstack-usage -c a.S", option.ExtraOutput},
	{"gcc", "-Wa,--gdwarf-5 -c a.c", option.AssemblerWords},
	{"gcc", "-c a.f90", option.OtherLanguage},
	{"clang", "-x cuda -c a.c", option.OtherLanguage},
	{"clang", "-c a.c -x 1", option.OtherLanguage},
	{"gcc", "-x go -c a", option.OtherLanguage},
	{"gcc", "-c a.o", option.NotASource},
	{"gcc", "-c a", option.NotASource},
	{"gcc", "-c a.CC", option.NotASource},
	{"gcc", "-c d/.c", option.NotASource},
	{"gcc", "-C -c a.c", option.PreprocessorOutput},
	{"gcc", "-P -c a.c", option.PreprocessorOutput},
	{"gcc", "-fdirectives-only -c a.c", option.PreprocessorOutput},
	{"gcc", "-fexec-charset=latin1 -c a.c", option.Charset},
	{"gcc", "-Wp,-v -c a.c", option.PreprocessorWords},
	{"gcc", "-Wp,-MD -c a.c", option.PreprocessorWords},
	{"gcc", "-Wp,-include,x -c a.c", option.PreprocessorWords},
	{"gcc", "-Xpreprocessor -fpreprocessed -c a.c", option.PreprocessorWords},
	{"clang", "-Wp,-MT,x -MD -c a.c", option.PreprocessorWords},
	{"clang", "-Xpreprocessor -D -Xpreprocessor X -c a.c", option.PreprocessorWords},
	{"gcc", "-MF x.d -c a.c", option.DependencyOptions},
	{"gcc", "-Wp,-DX,-MT,x -c a.c", option.DependencyOptions},
	{"gcc", "-MD -MG -c a.c", option.DependencyOptions},
	{"gcc", "-MD -MF - -c a.c", option.DependencyOptions},
	{"gcc", "-MD -c a.i", option.DependencyOptions},
	{"gcc", "-fsyntax-only a.c", option.OtherAction},
	{"clang", "-emit-llvm -c a.c", option.OtherAction},
	{"clang", "--analyze a.c", option.OtherAction},
	{"clang", "-module-file-info -c a.c", option.OtherAction},
	{"clang", "--write-user-dependencies -Wp,-MD,a.wd -c a.c", option.DependencyOptions},
	{"clang", "-Wp,-MD,a.wd -MMD -c a.c", option.DependencyOptions},
	{"clang", "-MMD -MD -Wp,-MD,a.wd -c a.c", option.DependencyOptions},
	{"clang", "-cc1 -emit-obj a.c", option.OtherAction},
	{"clang", "-Xclang -load -Xclang x.so -c a.c", option.Internals},
	{"clang", "-Xclang -target-feature -c a.c", option.Internals},
	{"clang", "-mllvm -debug -c a.c", option.Internals},
	{"gcc", "-fdiagnostics-format=json-file -c a.c", option.DiagnosticsFormat},
	{"clang", "-fbasic-block-sections=list=x -c a.c", option.ReadsFile},
	{"clang", "-working-directory=/x -c a.c", option.WorkingDirectory},
	{"gcc", "-foffload=nvptx-none -c a.c", option.Offload},
	{"gcc", "--plugin=x.so -c a.c", option.LongOption},
	{"gcc", "-c a.c --", option.LongOption},
	{"gcc", "-c a.c -o", option.MissingOperand},
	{"gcc", "@missing -c a.c", option.ResponseFile},
	{"gcc", "@loop -c a.c", option.ResponseFile},
	{"gcc", "@bad -c a.c", option.ResponseFile},
	{"c99", "-c a.c", option.PosixDriver},
	{"gcc", "-c conftest.c", option.Probe},
	{"gcc", "-o CMakeFiles/cmTC_1234.dir/x.c.o -c /b/CMakeFiles/CMakeTmp/x.c", option.Probe},
	{"gcc", "-c meson-private/tmpx/testfile.c", option.Probe},
	{"gcc", "-S -x c /dev/null -o tmp", option.Probe},
	{"gcc", "-c a.c -o /dev/null", option.Probe},
}

func TestLocal(t *testing.T) {
	seen := map[Reason]bool{option.Environment: true, option.Sanitizer: true} // TestEnvironment, TestOnlyTree
	for _, tc := range locals {
		v := Parse(cmd(tc.args), envFor(t, tc.driver)).Verdict()
		if v.Remote || v.Reason != tc.want {
			t.Errorf("%s %s: %+v, want local: %s", tc.driver, tc.args, v, tc.want)
		}
		seen[v.Reason] = true
	}
	for _, r := range option.Reasons() {
		if !seen[r.Reason] {
			t.Errorf("no command above is local for %s", r.Reason)
		}
	}
}

// An -x of nothing names no language.
func TestEmptyLanguage(t *testing.T) {
	if v := Parse([]string{"-x", "", "-c", "a.c"}, Env{Family: GCC}).Verdict(); v.Reason != option.OtherLanguage {
		t.Errorf("%+v", v)
	}
}

func TestSlot(t *testing.T) {
	for args, want := range map[string]bool{
		"--version": false, "-v": false, "-dumpspecs": false, "": false, "-E a.c": true, "a.c": true, "-c a.c": true,
	} {
		if got := Parse(cmd(args), envFor(t, "gcc")).Verdict().Slot(); got != want {
			t.Errorf("gcc %s: slot %v", args, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, name := range []string{"DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "CCC_OVERRIDE_OPTIONS", "GCC_COMPARE_DEBUG"} {
		env := envFor(t, "gcc")
		env.Getenv = func(n string) string { return strings.Repeat("x", strings.Count(n, name)) }
		if v := Parse(cmd("-c a.c"), env).Verdict(); v != local(option.Environment, name) {
			t.Errorf("%s set: %+v", name, v)
		}
	}
}

func TestCommand(t *testing.T) {
	c := Parse(cmd("--target=riscv64-linux-gnu -march=native -O2 -mabi=lp64d -march=rv64gc -DX -Wall -g "+
		"-Wa,-mno-relax -MD -MFx.d -fPIC --param a=1 -lm d/a.cc -c -o o/a.o"), envFor(t, "clang"))
	if v := c.Verdict(); !v.Remote {
		t.Fatalf("%+v", v)
	}
	for _, tc := range []struct{ what, got, want any }{
		{"source", c.Source(), "d/a.cc"},
		{"output", c.Output(), "o/a.o"},
		{"language", c.Language(), CXX},
		{"target", c.Target(), "riscv64-linux-gnu"},
		{"target words", c.TargetWords(), cmd("--target=riscv64-linux-gnu -mabi=lp64d -march=rv64gc")},
		{"codegen words", c.CodegenWords(), cmd("--target=riscv64-linux-gnu -O2 -mabi=lp64d -march=rv64gc -g -Wa,-mno-relax -fPIC --param a=1")},
		{"preprocess", c.Preprocess("/t/d"), cmd("--target=riscv64-linux-gnu -march=native -O2 -mabi=lp64d -march=rv64gc -DX -Wall -g " +
			"-fPIC --param a=1 -lm d/a.cc -Wno-unknown-warning-option -MD -MF /t/d -MQ o/a.o -E")},
		{"compile", c.Compile("i.ii", "o.o", "-fcolor-diagnostics"), cmd("--target=riscv64-linux-gnu -O2 -mabi=lp64d -march=rv64gc -Wall -g " +
			"-Wa,-mno-relax -fPIC --param a=1 -Qunused-arguments -x c++-cpp-output -fcolor-diagnostics -c i.ii -o o.o")},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.what, tc.got, tc.want)
		}
	}
	if d, ok := c.Deps(); !ok || d != (Deps{File: "x.d", Target: "o/a.o"}) {
		t.Errorf("deps %+v", d)
	}
}

// TestImmutable: what a caller does to its words and to the words it is given changes nothing.
func TestImmutable(t *testing.T) {
	args := cmd("-O2 -c a.c")
	c := Parse(args, envFor(t, "gcc"))
	args[0] = "x"
	c.Words()[1] = "y"
	c.CodegenWords()[0] = "z"
	if got := c.Words(); !slices.Equal(got, cmd("-O2 -c a.c")) {
		t.Errorf("words became %q", got)
	}
}

func TestDebug(t *testing.T) {
	for args, want := range map[string]bool{
		"": false, "-g": true, "-g0": false, "-g -g0": false, "-g0 -g1": true, "-ggdb3": true, "-ggdb0": false, "-gdwarf-4": true,
		"-gno-column-info": false, "-g -gno-column-info": true, "-g0 -gstrict-dwarf": false, "-gline-tables-only": true,
		"-gdwarf64": false, "-gnew": true,
	} {
		if got := Parse(cmd("-c a.c "+args), envFor(t, "gcc")).Debug(); got != want {
			t.Errorf("%q: debug %v", args, got)
		}
	}
}

func TestColour(t *testing.T) {
	for args, want := range map[string]string{
		"": "", "-fdiagnostics-color": "always", "-fdiagnostics-color=never": "never", "-fcolor-diagnostics": "always",
		"-fdiagnostics-color=always -fno-diagnostics-color": "never", "-fno-color-diagnostics": "never",
	} {
		if got := Parse(cmd("-c a.c "+args), envFor(t, "clang")).Colour(); got != want {
			t.Errorf("%q: colour %q", args, got)
		}
	}
}

func TestReadsComments(t *testing.T) {
	for args, want := range map[string]bool{
		"-Wall": false, "-Wextra": true, "-W": true, "-Wextra -Wno-extra": false, "-Wextra -Wno-implicit-fallthrough": false,
		"-Wimplicit-fallthrough=5": false, "-Wimplicit-fallthrough": true, "-Werror=implicit-fallthrough=3": true,
		"-Wextra -Wimplicit-fallthrough=0": false,
	} {
		if got := Parse(cmd("-c a.c "+args), envFor(t, "gcc")).ReadsComments(); got != want {
			t.Errorf("gcc %q: %v", args, got)
		}
	}
	if Parse(cmd("-Wextra -c a.c"), envFor(t, "clang")).ReadsComments() {
		t.Error("clang reads no comments")
	}
}

// TestManyWords: 30,000 words are read, and in a time that nobody notices.
func TestManyWords(t *testing.T) {
	args := cmd("-c a.c")
	for range 30_000 {
		args = append(args, "-DX=1")
	}
	if v := Parse(args, envFor(t, "gcc")).Verdict(); !v.Remote {
		t.Errorf("%+v", v)
	}
}
