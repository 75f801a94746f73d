package argv

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tests of this file ask the real compilers: what they write, under which name, and whether the two runs make
// what the one run makes.

// compilers are Debian 12's, all of which the tests need.
var compilers = []string{"gcc-11", "gcc-12", "clang-14"}

// need finds a program; a missing peer is a failure, not a test that passes unseen.
func need(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: apt-get install gcc-11 g++-11 gcc-12 g++-12 clang-14", name)
	}
	return path
}

// plusplus is the C++ driver beside a C driver: gcc-12 → g++-12, clang-14 → clang++-14.
func plusplus(cc string) string {
	return strings.NewReplacer("gcc", "g++", "clang", "clang++").Replace(cc)
}

// tree writes the sources into a new directory.
func tree(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"d/a.c": source, "a.c": source, "d/x.y.c": source, "noext": source, "d/a b$c#d.c": source, "d/a.cc": cxxSource,
		"inc/h.h": "#include <stddef.h>\n#define TWICE(x) ((x) + (x))\nextern int table[4];\n", "pre.h": "#define PRE 3\n",
		"out/keep": "", "out.d/keep": "",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const source = `#include "h.h"
#ifdef NOLIBC
unsigned strlen(const char *);
char *strcpy(char *, const char *);
#else
#include <string.h>
#endif
#ifndef PRE
#define PRE 1
#endif
int table[4] = { PRE, TWICE(2), __LINE__, sizeof(size_t) };
static const char name[] = __FILE__;
const char *file(void) { return __builtin_FILE(); }
int sum(const char *s) { char b[40]; strcpy(b, s); /* a comment */ return TWICE(b[0]) + (int)strlen(name); }
`

const cxxSource = `#include "h.h"
#ifndef PRE
#define PRE 1
#endif
#include <new>
namespace { struct Local { const char *s; int n; ~Local() { s = __FILE__; } } local; }
int table[4] = {};
int sum(const int (&v)[4], const char *from = __builtin_FILE()) { int n = *from; for (int i : v) n += TWICE(i); return n + local.n; }
int total() { try { return sum({1, 2, 3, 4}) + *new int(PRE); } catch (const std::bad_alloc &) { return __LINE__; } }
template <class T> T twice(T t) { return TWICE(t); }
template long twice(long);
`

// run runs a compiler in dir and gives what it writes.
func run(t testing.TB, dir, cc string, args ...string) (stdout, stderr []byte) {
	t.Helper()
	var out, said bytes.Buffer
	c := exec.Command(need(t, cc), args...)
	c.Dir, c.Stdout, c.Stderr = dir, &out, &said
	if err := c.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", cc, args, err, said.Bytes())
	}
	return out.Bytes(), said.Bytes()
}

// files lists the files below dir.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			p, _ = filepath.Rel(dir, p)
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// nameCases are command lines whose output, dependency file and target the driver chooses in different ways.
var nameCases = []string{
	"-c d/a.c",
	"-S d/a.c",
	"-c d/x.y.c",
	"-c -x c noext",
	"-c d/a.c -o out/b.o",
	"-c d/a.c -oout/b.obj",
	"-c d/a.c -o out/b",
	"-c d/a.c -o out.d/b",
	"-c d/a.c -o out/.hidden",
	"-c d/a.c -o out/b.tar.gz",
	"-c d/a.c -o ./out/../out/b.o",
	"-MD -c d/a.c",
	"-MD -S d/a.c",
	"-MD -S d/a.c -o out/b.s",
	"-MD -c d/x.y.c",
	"-MD -c -x c noext",
	"-MD -c d/a.c -o out/b.o",
	"-MMD -c d/a.c -o out/b.obj",
	"-MD -c d/a.c -o out/b",
	"-MD -c d/a.c -o out.d/b",
	"-MD -c d/a.c -o out/.hidden",
	"-MD -c d/a.c -o out/b.tar.gz",
	"-MD -MMD -c d/a.c",
	"-MMD -MD -c d/a.c",
	"-MD -MF out/x.dep -c d/a.c",
	"-MD -MFout/x.dep -MF out/y.dep -c d/a.c -o out/b.o",
	"-MD -MP -MT tgt -MF out/x.d -c -o out/b.o d/a.c",
	"-MD -MT tgt␣one -MQ tgt$two -MT three -c -o out/b.o d/a.c",
	"-MMD -MP -MQ a$b -c d/a.c",
	"-MD -MTjoined -c d/a.c",
	"-MD -c d/a␣b$c#d.c",
	"-MD -c d/a␣b$c#d.c -o out/p␣q$r#s.o",
	"-MMD -S d/a␣b$c#d.c",
	"-Wp,-MD,out/w.d -c d/a.c",
	"-Wp,-MMD,out/w.d -c d/a.c -o out/b.o",
	"-Wp,-MMD,out/w.d -MT tgt -c d/a.c -o out/b.o",
	"-MD -Wp,-MMD,out/w.d -c d/a.c -o out/b.o",
	"-Wp,-MMD,out/w.d -MD -MP -c d/a.c -o out/b.o",
	"-Wp,-MD,out/w.d -MF out/x.d -c d/a.c -o out/b.o",
}

// gccNameCases are words for the preprocessor that clang's own one does not know.
var gccNameCases = []string{
	"-Wp,-MD,out/w.d,-MT,tgt,-MP -c d/a.c -o out/b.o",
	"-MD -Wp,-MT,tgt -c d/a.c -o out/b.o",
	"-MD -Wp,-MQ,t$t -MT other -c d/a.c",
	"-MD -Wp,-MF,out/f.d -MF out/x.d -c d/a.c",
	"-Xpreprocessor -MD -Xpreprocessor out/w.d -Wp,-MT,t1 -c d/a.c",
	"-MMD -Wp,-MD,out/w.d -c d/a.c",
	"-Wp,-MD,out/w.d -Wp,-MMD,out/v.d -c d/a.c",
	"-MD -Wp,-MT,tgt,-MP -c d/a.c",
}

// TestNames: the names of output and dependency file, and the contents of the latter, are the driver's.
func TestNames(t *testing.T) {
	for _, cc := range compilers {
		cases := nameCases
		if strings.HasPrefix(cc, "gcc") {
			cases = slices.Concat(nameCases, gccNameCases)
		}
		for _, line := range cases {
			t.Run(cc+" "+line, func(t *testing.T) {
				t.Parallel()
				compareNames(t, cc, append(cmd(line), "-Iinc"))
			})
		}
	}
}

func compareNames(t *testing.T, cc string, args []string) {
	dir := tree(t)
	c := Parse(args, envFor(t, cc))
	if v := c.Verdict(); !v.Remote {
		t.Fatalf("verdict %+v", v)
	}
	before := files(t, dir)
	_, said := run(t, dir, cc, args...)
	want := []string{filepath.Clean(c.Output())}
	deps, hasDeps := c.Deps()
	if hasDeps {
		want = append(want, filepath.Clean(deps.File))
	}
	slices.Sort(want)
	var made []string
	for _, f := range files(t, dir) {
		if !slices.Contains(before, f) {
			made = append(made, f)
		}
	}
	if !slices.Equal(made, want) {
		t.Fatalf("the driver made %q, we expect %q", made, want)
	}
	if hasDeps {
		compareDeps(t, dir, cc, c, deps, said)
	}
}

// compareDeps makes the dependency file by the preprocessor run.
func compareDeps(t *testing.T, dir, cc string, c *Command, deps Deps, said []byte) {
	want, err := os.ReadFile(filepath.Join(dir, deps.File))
	if err != nil {
		t.Fatal(err)
	}
	ours := filepath.Join(t.TempDir(), "ours")
	if _, saysNow := run(t, dir, cc, c.Preprocess(ours)...); !bytes.Equal(saysNow, said) {
		t.Errorf("%q says %q, our preprocessor run %q", c.Words(), said, saysNow)
	}
	got, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("dependencies of %q:\n%s\nof our preprocessor run %q:\n%s", c.Words(), want, c.Preprocess(ours), got)
	}
	if hasHeader := bytes.Contains(want, []byte("string.h")); hasHeader == deps.UserOnly {
		t.Errorf("UserOnly is %v, system headers in the file: %v", deps.UserOnly, hasHeader)
	}
	if hasRule := bytes.Contains(want, []byte("\ninc/h.h:")); hasRule != deps.Phony {
		t.Errorf("Phony is %v, rules for headers in the file: %v", deps.Phony, hasRule)
	}
	target, _, _ := bytes.Cut(want, []byte(": "))
	unquoted := strings.NewReplacer(`\ `, " ", "$$", "$", `\#`, "#").Replace(string(target))
	if deps.Target != "" && unquoted != deps.Target && unquoted != "tgt "+deps.Target {
		t.Errorf("target %q, the compiler's is %q", deps.Target, unquoted)
	}
}

// mixes are flags under which preprocessing and compiling apart must make the same bytes.
var mixes = []string{
	"", "-O2", "-O3 -march=x86-64-v3", "-Os -m32 -ffreestanding -DNOLIBC", "-O2 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections",
	"-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fcf-protection", "-O1 -DPOST=5 -Iinc -UFOO -include pre.h",
	"-O2 -fmacro-prefix-map=d/=x/ -ffile-prefix-map=/=y", "-Wall -Wextra -Werror -pedantic -O2", "-S -O2", "-S", "-O2 -MD -MF out/z.d -MT t -MP",
	"-Wp,-DPRE=7,-Iinc -O2 -Wp,-MMD,out/q.d", "-Xpreprocessor -DPRE=8 -O2", "-isystem inc -iquote d -idirafter out -nostdinc -isystem /usr/include " +
		"-isystem /usr/include/x86_64-linux-gnu -isystem HEADERS", "-imacros pre.h -trigraphs -O2", "-O2 -fno-common -fno-plt -mtune=generic -pthread -pipe",
	"-Wa,--noexecstack -O2", "-Wa,-mrelax-relocations=no -fPIC", "-O2 -frandom-seed=x -fno-ident", "-O2 -ftrivial-auto-var-init=zero",
	"-O2 -fpatchable-function-entry=2", "-pg -O2", "-O2 -finstrument-functions", "-O2 -static -lm -L. -Wl,-z,now -fuse-ld=gold", "-Wstrict-prototypes -Wall -Wnon-virtual-dtor", "-Wno-such-warning -Wundef", "-O0 -g -g0", "-w -fdiagnostics-color=always",
	"--sysroot=/ -O2", "-O2 -fdebug-prefix-map=/=x -fno-working-directory", "-finput-charset=UTF-8 -O2", "-O2 -fno-asynchronous-unwind-tables -mno-red-zone",
}

// TestTwoRuns: preprocessing here and compiling there makes the object that the plain compile makes.
func TestTwoRuns(t *testing.T) {
	for _, cc := range compilers {
		printed, _ := run(t, "/", cc, "-print-file-name=include")
		headers := strings.TrimSpace(string(printed))
		for _, mix := range mixes {
			mix := adjust(cc, strings.ReplaceAll(mix, "HEADERS", headers))
			t.Run(cc+" "+mix, func(t *testing.T) {
				t.Parallel()
				compareRuns(t, cc, append(cmd(mix), "-Iinc", "-c", "d/a.c", "-o", "out/a.o"), true)
				if !strings.Contains(mix, "-nostdinc") && !strings.Contains(mix, "-m32") { // no C++ headers there
					compareRuns(t, plusplus(cc), append(cmd(mix), "-Iinc", "-c", "d/a.cc", "-o", "out/a.o"), true)
					compareRuns(t, plusplus(cc), append(cmd(mix), "-Iinc", "-x", "c", "d/a.c", "-c"), true)
				}
			})
		}
		for _, mix := range []string{"-g", "-g3 -O2", "-ggdb -gdwarf-4", "-g1 -ffile-prefix-map=/=x"} {
			t.Run(cc+" "+mix, func(t *testing.T) {
				t.Parallel()
				compareRuns(t, cc, append(cmd(mix), "-Iinc", "-c", "d/a.c", "-o", "out/a.o"), false)
				compareRuns(t, plusplus(cc), append(cmd(mix), "-Iinc", "-c", "d/a.cc"), false)
			})
		}
	}
}

// adjust leaves out what a compiler does not have or has a word to say about.
func adjust(cc, mix string) string {
	var drop []string
	if strings.HasPrefix(cc, "clang") {
		drop = []string{"-fno-working-directory", "-ftrivial-auto-var-init=zero"}
	}
	if cc == "gcc-11" {
		drop = append(drop, "-ftrivial-auto-var-init=zero")
	}
	words := slices.DeleteFunc(strings.Fields(mix), func(w string) bool { return slices.Contains(drop, w) })
	return strings.Join(words, " ")
}

func compareRuns(t *testing.T, cc string, args []string, same bool) {
	t.Helper()
	dir := tree(t)
	c := Parse(args, envFor(t, cc))
	if v := c.Verdict(); !v.Remote {
		t.Fatalf("%s %q: verdict %+v", cc, args, v)
	}
	_, said := run(t, dir, cc, args...)
	want, err := os.ReadFile(filepath.Join(dir, c.Output()))
	if err != nil {
		t.Fatal(err)
	}
	text, first := run(t, dir, cc, c.Preprocess(filepath.Join(t.TempDir(), "d"))...)
	input := ".crosscc-source" + c.Language().Preprocessed().Suffix()
	if err := os.WriteFile(filepath.Join(dir, input), text, 0o666); err != nil {
		t.Fatal(err)
	}
	words := c.Compile(input, "out/ours.o")
	if err := Admit(Parse(words, envFor(t, cc))); err != nil {
		t.Errorf("%q: %v", words, err)
	}
	_, second := run(t, dir, cc, words...)
	if says := slices.Concat(first, second); !bytes.Equal(says, said) {
		t.Errorf("%s %q says\n%s\nthe two runs\n%s\n%s", cc, args, said, first, second)
	}
	got, err := os.ReadFile(filepath.Join(dir, "out/ours.o"))
	if err != nil {
		t.Fatal(err)
	}
	if same && !bytes.Equal(got, want) {
		t.Errorf("%s %q and %q make different files", cc, args, words)
	}
}
