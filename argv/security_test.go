package argv

import "testing"

// job is a client's command with these words among it.
func job(words string) *Command {
	c := Parse(cmd(words+" -x cpp-output -c .crosscc-source.i -o a.o"), Env{Family: Clang, Job: true})
	if g := Parse(c.Words(), Env{Family: GCC, Job: true}); !c.Verdict().Remote && g.Verdict().Remote {
		return g
	}
	return c
}

func TestAdmitGood(t *testing.T) {
	for _, s := range []string{
		"", "-O2 -Wall -Wextra -Wno-error=foo -Wformat=2 -Wframe-larger-than=2048 -W#warnings -w -pedantic", "-g -gdwarf-4 -ggdb3 -gno-column-info -gz -gz=zlib",
		"-std=gnu++20 -std=iso9899:1999 -ansi", "-fPIC -fno-strict-aliasing -fstack-protector-strong -fvisibility=hidden -ftls-model=initial-exec",
		"-fmacro-prefix-map=/a=/b -ffile-prefix-map=/w=. -fdebug-prefix-map=/x=y -frandom-seed=/a/b.c", "-fdebug-compilation-dir /w",
		"-m64 -march=armv8.2-a+crypto -mcpu=cortex-a53 -mabi=lp64 -mstack-protector-guard-offset=-24 -mrecip=all,!sqrt -mno-sse",
		"-march=rv64imafdc_zicsr", "--param max-inline=3 --param=ssp-buffer-size=4 -G 0", "-Wa,--noexecstack,-mno-relax -Xassembler -W",
		"--target=aarch64-linux-gnu -Xclang -target-feature -Xclang +neon", "-Xclang -fdenormal-fp-math=preserve-sign,preserve-sign", "-target x86_64-pc-linux-gnu", "-arch arm64",
		"-pthread -pg -static -fdiagnostics-color=always -fmessage-length=0 -fno-sanitize=all", "-falign-functions=16:8 -fpatchable-function-entry=2,1",
		"-Qunused-arguments -ferror-limit=0 -fcolor-diagnostics",
	} {
		if err := Admit(job(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestAdmitBad(t *testing.T) {
	for _, s := range []string{
		"-fplugin=x.so", "-fplugin-arg-x-y", "-fpass-plugin=x", "-specs=x", "--specs=x", "-specs x", "-wrapper sh,-c", "-B.", "-B .", "--prefix=.",
		"@x", "-O2 @x", "-fuse-ld=./x", "-fdump-tree-all=x", "-fdump-rtl-all", "-dA", "-save-temps", "--save-temps=obj", "-fprofile-use=x", "-fprofile-arcs",
		"--coverage", "-Xclang -load -Xclang x.so", "-Xclang -target-feature -Xclang @x", "-Xclang -fplugin=x", "-Xclang -emit-llvm-bc", "-Xclang -fdenormal-fp-math=/x",
		"-mllvm -load=x.so", "-mllvm=-x", "-load x.so", "-fmodules", "-fmodule-file=x", "-fmodule-mapper=|sh", "-fprebuilt-module-path=x",
		"-fsanitize-ignorelist=x", "-fsanitize-blacklist=x", "-fsanitize=address", "-iplugindir=.", "-idirafter /etc", "-I/etc", "-I.", "-DX", "-include x",
		"-imacros /etc/passwd", "-isystem /", "--sysroot=/", "-isysroot /", "-MD", "-MF x", "-MD -MF /x", "-Wp,-MD,x", "-Wp,-DX", "-Wl,-o,x", "-L.", "-lx", "-T x",
		"-Wa,-a=x", "-Wa,@x", "-Wa,-o,x", "-Xassembler @x", "-Wa,-I,/etc", "--plugin=x", "--foo", "-v", "-###", "--version", "-E", "-M", "-unknown", "-Zx",
		"-ftime-trace=/x", "-fopt-info=x", "-foptimization-record-file=x", "-fsave-optimization-record", "-fstack-usage", "-gsplit-dwarf",
		"-frandomize-layout-seed-file=x", "-fnew-option=x", "-fbasic-block-sections=list=x", "-fvisibility=/x", "-fcrash-diagnostics-dir=x",
		"-fproc-stat-report=x", "-fauto-profile=x", "-fxray-attr-list=x", "-fthinlto-index=x", "-flto", "-flto=thin -fno-lto", "-foffload=x", "-dumpbase x", "-dumpdir x",
		"-mdevices-csv-loc=x", "-mmcu=../../x", "-march=native", "-march=../x", "-resource-dir=x", "--config x", "-ivfsoverlay x", "-working-directory=/",
		"-aux-info x", "--serialize-diagnostics x", "-MJ x", "-std=/x", "-O/x", "-Wfoo=/x", "--param x=/y", "-fdebug-compilation-dir @x", "-pipe",
		"-ccc-gcc-name x", "-Xpreprocessor -DX", "-Xlinker x", "--gcc-toolchain=x", "-no-integrated-cpp", "-fno-integrated-as", "-embed-dir=x", "--embed-dir=x",
	} {
		if err := Admit(job(s)); err == nil {
			t.Errorf("%s: admitted", s)
		}
	}
}

// TestAdmitNames: a job reads and writes below its own directory, whatever its names.
func TestAdmitNames(t *testing.T) {
	for _, s := range []string{
		"-x cpp-output -c /etc/passwd -o a.o", "-x cpp-output -c ../a.i -o a.o", "-x cpp-output -c a.i -o /a.o", "-x cpp-output -c a.i -o ../a.o",
		"-x cpp-output -c a.i -o x/../../a.o", "-x cpp-output -c a.i -o ./a.o", "-x cpp-output -c a.i -o x//a.o", "-x cpp-output -c a.i",
		"-x cpp-output -c a.i -o -x.o", "-x cpp-output -c a.i -o .", "-x cpp-output -c a.i -o ..", "-x c -c a.i -o a.o", "-c a.c -o a.o",
		"-x assembler -c a.s -o a.o", "-x cpp-output a.i -o a.o", "-x cpp-output -c a.i b.i -o a.o", "-x cpp-output -c - -o a.o",
	} {
		if err := Admit(Parse(cmd(s), Env{Family: GCC})); err == nil {
			t.Errorf("%s: admitted", s)
		}
	}
	if err := Admit(Parse([]string{"-c", "a.i", "-o", "x\x00.o"}, Env{Family: GCC})); err == nil {
		t.Error("a name with a zero byte: admitted")
	}
}

// TestAdmitWhatIsSent: what the client makes of the commands of real builds is what a helper runs.
func TestAdmitWhatIsSent(t *testing.T) {
	for _, tc := range remotes {
		env := envFor(t, tc.driver)
		sent := Parse(cmd(tc.args), env)
		if reason, _ := sent.OnlyTree(); reason != "" {
			continue // TestWhole
		}
		words := sent.Compile(".crosscc-source.i", "o/a.o")
		c := Parse(words, Env{Driver: env.Driver})
		if err := Admit(c); err != nil && tc.args != "-c a.CC -working-dir" {
			t.Errorf("%s %s:\n%q\n%v", tc.driver, tc.args, words, err)
		}
	}
}
