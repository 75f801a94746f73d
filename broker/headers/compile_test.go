package headers

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/probe"
)

// outDir is where a compile in a root writes; at home it is a link to there.
const outDir = "/.crosscc"

// maxTest bounds a file of a test's.
const maxTest = 64 << 20

// assemble makes the tree's files in an empty directory, as a helper would.
func assemble(t testing.TB, tree *Tree) string {
	t.Helper()
	root, err := os.MkdirTemp("", "headers-root-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(root, 0o755))
	classes := map[int]string{}
	for name, e := range tree.Root.All() {
		name = root + name
		switch {
		case e.Dir != nil:
			must(os.Mkdir(name, 0o755))
		case e.Link != nil:
			must(os.Symlink(e.Link.Target, name))
		case e.File.Class != 0 && classes[e.File.Class] != "":
			must(os.Link(classes[e.File.Class], name))
		default:
			classes[e.File.Class] = name
			data, err := e.File.Blob.Bytes(maxTest)
			must(err)
			must(os.WriteFile(name, data, 0o644))
			must(os.Chtimes(name, time.Unix(e.File.Modified, 0), time.Unix(e.File.Modified, 0)))
		}
	}
	return root
}

// result is what a compile gave.
type result struct {
	status         int
	stdout, stderr string
	object, deps   []byte
}

// atHome compiles in the working directory.
func (h *home) atHome(driver string, words []string) result {
	h.t.Helper()
	out := h.t.TempDir()
	cmd := exec.Command(driver, append(slices.Clone(words), "-o", out+"/o.o", "-MD", "-MF", out+"/o.d", "-MT", "o.o")...)
	cmd.Dir, cmd.Env = h.dir, append(slices.Clone(h.env), "PWD="+h.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	r := result{status: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	r.object, _ = os.ReadFile(out + "/o.o")
	r.deps, _ = os.ReadFile(out + "/o.d")
	return r
}

// away compiles in a root that has the tree and the compiler's programs.
func (h *home) away(driver string, words []string, src Source, tree *Tree) result {
	h.t.Helper()
	path := need(h.t, driver)
	programs, err := probe.Programs(h.t.Context(), h.system(), path)
	if err != nil {
		h.t.Fatal(err)
	}
	run, err := bubblewrap.New(bubblewrap.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	args := slices.Concat([]string{driver}, src.Expand(words), src.Words(tree), []string{"-o", outDir + "/o.o", "-MD", "-MF", outDir + "/o.d", "-MT", "o.o"})
	o, err := run(h.t.Context(), &sandbox.Spec{
		Path: path, Args: args, Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, Dir: h.dir, Programs: programs,
		Tree: assemble(h.t, tree), Out: outDir, Outputs: []string{"o.o", "o.d"},
	})
	if err != nil {
		h.t.Fatalf("%s %q: %v", driver, words, err)
	}
	defer o.Close()
	r := result{status: o.ExitCode, stdout: string(o.Stdout), stderr: string(o.Stderr)}
	if len(o.Outputs) == 2 {
		r.object, _ = io.ReadAll(o.Outputs[0].File)
		r.deps, _ = io.ReadAll(o.Outputs[1].File)
	}
	return r
}

// same is the proof: the compile with the tree alone is the compile at home.
func (h *home) same(driver string, words ...string) *Tree {
	h.t.Helper()
	words = append([]string{"-c"}, words...)
	src := h.source(driver, words...)
	tree, err := h.s.Scan(h.t.Context(), h.fd, src)
	if err != nil {
		h.t.Errorf("%s %q: %v", driver, words, err)
		return nil
	}
	want, got := h.atHome(driver, words), h.away(driver, words, src, tree)
	switch {
	case got.status != want.status || got.stderr != want.stderr || got.stdout != want.stdout:
		h.t.Errorf("%s %q: exit %d\n%s\nat home %d\n%s", driver, words, got.status, got.stderr, want.status, want.stderr)
	case !bytes.Equal(got.object, want.object):
		h.t.Errorf("%s %q: objects of %d and %d bytes differ", driver, words, len(got.object), len(want.object))
	case want.status == 0 && !bytes.Equal(got.deps, want.deps):
		h.t.Errorf("%s %q: dependencies differ:\n%s\n%s", driver, words, got.deps, want.deps)
	}
	h.holds(tree, want.deps)
	return tree
}

// holds checks that every dependency is in the tree.
func (h *home) holds(tree *Tree, deps []byte) {
	h.t.Helper()
	if missed, err := tree.Missed(deps, h.dir); err != nil || missed != nil {
		h.t.Errorf("dependencies %q are not in the tree (%v)", missed, err)
	}
}

const smallC = `small.c: #include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include "own.h"
#include <sys/types.h>
#if __has_include(<threads.h>)
#include <threads.h>
#endif
#ifndef NO_WARNING
#warning said
#endif
int main(void) { int unused; assert(argc_of(1)); printf("%s %f\n", __FILE__, sin(1)); return 0; }
`

const ownH = "inc/own.h: #pragma once\n#include <assert.h>\n#include \"deeper/../deeper/x.h\"\nstatic int argc_of(int n) { return n + X; }\n"

func TestCompilesC(t *testing.T) {
	h := newHome(t)
	h.write(smallC, ownH, "inc/deeper/x.h: #define X 4\n#include_next <limits.h>\n", "empty/none: ", "first.h: #define FIRST __FILE__\n")
	for _, driver := range []string{"gcc-12", "gcc-11", "clang-14", "aarch64-linux-gnu-gcc-12"} {
		for _, flags := range []string{
			"-O2 -g", "-g3 -Wall -Wextra", "-O0 -std=c99 -trigraphs", "-g -include first.h", "-isystem inc -iquote inc -g", "-g -H",
			"-idirafter inc -Iempty -Inope -Wmissing-include-dirs", "-I/usr/include -g", "-I/usr/local/include -isystem empty -g",
			"-nostdinc", "-I./inc/../inc -g -Wsystem-headers", "-gdwarf-4 -imacros first.h", "-I . -iquoteempty -DNO_WARNING",
		} {
			h.t = t
			h.same(driver, append(strings.Fields("small.c -Iinc "+flags), "-fno-ident")...)
		}
	}
}

func TestCompilesCXX(t *testing.T) {
	h := newHome(t)
	h.write("all.cc: #include <vector>\n#include <cstdio>\n#include <regex>\n#include <thread>\n#include \"x.hpp\"\nint f(std::vector<int> &v) { return v.size() + x; }\n", "x.hpp: #include <map>\nstatic int x;\n")
	for _, driver := range []string{"g++-12", "g++-11", "clang++-14", "aarch64-linux-gnu-g++-12"} {
		for _, flags := range []string{"-O1 -g", "-I. -isystem . -Wall -std=c++20", "-isystem /usr/include/c++/12 -g"} {
			h.same(driver, append(strings.Fields(flags), "all.cc")...)
		}
	}
	for _, driver := range []string{"gcc-12", "clang-14"} {
		h.same(driver, "-x", "c++", "all.cc", "-g")
	}
}

// TestCompilesPlaces has trees of awkward shape, each compiled at home and with
// the tree alone. "NAME>TARGET" is a link, "NAME@: TEXT" a file of 1970.
func TestCompilesPlaces(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		words string
	}{
		{"links", []string{"a.c: #include \"l/x.h\"\n#include <y.h>\n#include <m/y.h>\n", "r/x.h: #include \"../z.h\"\n", "z.h: int z;\n", "r/y.h: #pragma once\nint y;\n", "l>r", "m>l"}, "-Il -I."},
		{"directory by two names", []string{"a.c: #include <x.h>\n", "p/x.h: int p;\n#include_next <x.h>\n", "q/x.h: int q;\n", "l>p"}, "-Ip -Il -Iq"},
		{"equal directories", []string{"a.c: #include <x.h>\n", "p/x.h: int p;\n#ifndef X\n#define X\n#include_next <x.h>\n#endif\n", "q/x.h: int p;\n#ifndef X\n#define X\n#include_next <x.h>\n#endif\n"}, "-Ip -Iq"},
		{"once, in two places", []string{"a.c: #include \"p/x.h\"\n#include \"q/x.h\"\nint z = X;\n", "p/x.h: #pragma once\n#define X 1\n", "q/x.h: #pragma once\n#define X 1\n"}, ""},
		{"once, in two times", []string{"a.c: #include \"p/x.h\"\n#include \"q/x.h\"\n", "p/x.h: #pragma once\nint a;\n", "q/x.h@: #pragma once\nint a;\n"}, "-Wredundant-decls"},
		{"once, with a mark", []string{"a.c: #include \"p/x.h\"\n#include \"q/x.h\"\n", "p/x.h: #pragma once\nint a;\n", "q/x.h@: \xef\xbb\xbf#pragma once\nint a;\n"}, "-Wredundant-decls"},
		{"dots", []string{"a.c: #include \"sub/../inc/q.h\"\n", "sub/none: ", "inc/q.h: int q;\n"}, "-Wmissing-include-dirs -Isub -Inone"},
		{"line", []string{"a.c: #line 3 \"g.y\"\nint f(void) { }\n", "g.y: one\ntwo\nint three;\n"}, "-Wall"},
		{"error in a header", []string{"a.c: #include \"x.h\"\n", "x.h: int x\nint y = \"s\";\n"}, ""},
		{"missing header", []string{"a.c: #include \"x.h\"\n"}, "-Inone"},
		{"angled by mistake", []string{"a.c: #include \"s/x.h\"\n#include <q.h>\n#include <nope.h>\nint b = Q;\n", "q.h: #define Q nothing\n#include <r.h>\n", "r.h: #error r\n", "s/x.h: #include <y.h>\n", "s/y.h: int y = bad;\n"}, ""},
		{"blanks in a name", []string{"a.c: #include \" q.h\"\n#include <-./r.h..>\nint b = Q;\n", "q.h: #define Q nothing\n", "i/r.h: int r = bad;\n"}, "-Ii"},
		{"escapes in a line's file", []string{"a.c: #line 1 \"\\\\v.h\"\nint b = nothing;\n", "\\v.h: shown\n"}, ""},
		{"incbin", []string{"a.c: __asm__(\".incbin \\\"b\\\"\");", "b: 123", "q/b: 4567"}, "-Iq"},
		{"incbin in a directory", []string{"a.c: __asm__(\".incbin \\\"b\\\"\");", "q/b: 4567"}, "-Iq"},
		{"sysroot", []string{"a.c: #include <x.h>\n#include <y.h>\n", "r/i/x.h: int x;\n", "r/usr/include/y.h: int y;\n", "r/j/x.h: long x;\n"}, "--sysroot=r -I=/i -isystem =/j"},
		{"prefix", []string{"a.c: #include <x.h>\n", "pre1/x.h: int x;\n"}, "-iprefix pre -iwithprefix 1 -iwithprefixbefore 2"},
		{"computed", []string{"a.c: #include CONFIG\n#include X\n", "c.h: #define X <y.h>\n", "q/y.h: int y;\n"}, "-Iq -DCONFIG=\"c.h\""},
		{"splices", []string{"a.c: #inc\\\nlude \"x.h\"\n/\\\n* #if */ %:include \"y.h\"\n", "x.h: int x;\n", "y.h: int y;\n"}, ""},
		{"trigraphs", []string{"a.c: ??=include \"x.h\"\n// ??/\n#include \"y.h\"\n", "x.h: int x;\n", "y.h: int y;\n"}, "-std=c11"},
	}
	for _, tt := range tests {
		h := newHome(t)
		for _, f := range tt.files {
			if name, target, ok := strings.Cut(f, ">"); ok && !strings.Contains(name, " ") {
				if err := os.Symlink(target, filepath.Join(h.dir, name)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if name, text, ok := strings.Cut(f, "@: "); ok {
				h.write(name + ": " + text)
				h.change("touch " + name)
				continue
			}
			h.write(f)
		}
		for _, driver := range []string{"gcc-12", "clang-14"} {
			t.Log(tt.name)
			h.same(driver, append(strings.Fields(tt.words), "-g", "a.c")...)
		}
	}
}

// TestWorkingDirectory: the directory's name has a link in it, and PWD says so.
func TestWorkingDirectory(t *testing.T) {
	h := newHome(t)
	h.write("real/s/a.c: #include \"../x.h\"\nconst char *f = __FILE__;\n", "real/x.h: int x;\n")
	if err := os.Symlink("real", h.dir+"/link"); err != nil {
		t.Fatal(err)
	}
	h.dir += "/link/s"
	for _, driver := range []string{"gcc-12", "clang-14"} {
		h.same(driver, "-g", "-I..", "a.c")
	}
}

// TestVariables: gcc warns of directories that don't exist, but not of those that
// a variable names.
func TestVariables(t *testing.T) {
	h := newHome(t)
	h.write("a.c: #include <x.h>\n#include <y.h>\n", "p/x.h: int x;\n", "real/y.h: int y;\n", "empty/none: ")
	h.change("ln real l; ln nowhere dead")
	h.env = append(h.env, "CPATH=/nowhere/include:p:dead:empty:nope:p/../empty", "C_INCLUDE_PATH=l:gone:"+h.dir+"/empty")
	for _, driver := range []string{"gcc-12", "clang-14"} {
		for _, words := range []string{"", "-Inone", "-Werror", "-Iempty"} {
			h.same(driver, append(strings.Fields(words), "-Wmissing-include-dirs", "-g", "a.c")...)
		}
	}
}

// TestOrder checks the search path against what the compilers say themselves.
func TestOrder(t *testing.T) {
	h := newHome(t)
	for _, d := range []string{"a", "b", "c", "d/e", "pre1", "pre2"} {
		h.write(d + "/x.h: ")
	}
	h.write("x.c: ")
	if err := os.Symlink("a", filepath.Join(h.dir, "link")); err != nil {
		t.Fatal(err)
	}
	words := []string{
		"-Ia", "-Ib", "-Ilink", "-isystem a", "-isystem b", "-iquote a", "-iquote c", "-idirafter a", "-idirafter c",
		"-I/usr/include", "-isystem /usr/local/include", "-Inope", "-I.", "-isystem d/../d/e", "-I-",
		"-iprefix pre -iwithprefix 1", "-iprefix pre -iwithprefixbefore 2", "-Wp,-I,c", "--sysroot=/", "-I=" + h.dir + "/b",
		"-isystem =" + h.dir + "/c", "-idirafter /usr/include", "-iquote /usr/include", "-nostdinc", "-I link",
	}
	n := 0
	random := rand.New(rand.NewPCG(1, 2))
	for seed := range 60 {
		var line []string
		for range 1 + seed%6 {
			line = append(line, words[random.IntN(len(words))])
		}
		h.env = slices.DeleteFunc(h.env, func(s string) bool { return strings.Contains(s, "_PATH=") || strings.HasPrefix(s, "CPATH=") })
		if seed%4 == 1 {
			h.env = append(h.env, "CPATH=c:", "C_INCLUDE_PATH=:b", "CPLUS_INCLUDE_PATH=a")
		}
		args := append(strings.Fields(strings.Join(line, " ")), "-c", "x.c")
		for _, driver := range []string{"gcc-12", "clang-14"} {
			if h.order(driver, args, seed%3 == 2) {
				n++
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d command lines were compared", n)
	}
	t.Logf("%d command lines", n)
}

func (h *home) order(driver string, args []string, cxx bool) bool {
	if cxx {
		args = append([]string{"-x", "c++"}, args...)
	}
	src := h.source(driver, args...)
	chains, err := readWords(src)
	if err != nil {
		return false
	}
	w := h.s.cache.World()
	v, err := w.View(h.t.Context(), w.Arrive(), h.fd)
	if err != nil {
		h.t.Fatal(err)
	}
	defer v.Close()
	if err := v.Begin(h.dir); err != nil {
		h.t.Fatal(err)
	}
	p, err := findPath(v, src, chains)
	if err != nil {
		h.t.Fatalf("%s %q: %v", driver, args, err)
	}
	var got []string
	for i, d := range p.dirs {
		if i == p.bracket {
			got = append(got, "<>")
		}
		got = append(got, d.Name)
	}
	if p.bracket == len(p.dirs) {
		got = append(got, "<>")
	}
	want, ok := h.printed(driver, args)
	if ok && !slices.Equal(got, want) {
		h.t.Errorf("%s %q:\n got %q\nwant %q", driver, args, got, want)
	}
	return ok
}

// printed is the search path by -v, without links.
func (h *home) printed(driver string, args []string) ([]string, bool) {
	out, err := h.run(h.t.Context(), drivers.Program{Path: need(h.t, driver), Args: append(slices.Clone(args), "-E", "-v")})
	if err != nil {
		h.t.Fatal(err)
	}
	var list []string
	on := false
	for line := range strings.Lines(string(out.Stderr)) {
		switch line = strings.TrimRight(line, "\n"); {
		case strings.HasPrefix(line, `#include "..."`):
			on = true
		case strings.HasPrefix(line, "#include <...>"):
			list = append(list, "<>")
		case strings.HasPrefix(line, "End of search"):
			if !slices.Contains(list, "<>") {
				list = append(list, "<>") // clang says nothing of an empty list
			}
			return list, true
		case on:
			name := strings.TrimPrefix(line, " ")
			if !filepath.IsAbs(name) {
				name = h.dir + "/" + name
			}
			real, err := h.root.Real(name)
			if err != nil {
				h.t.Fatal(err)
			}
			list = append(list, real)
		}
	}
	return nil, false
}
