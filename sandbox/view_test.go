package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// toolchain is a merged-/usr one.
var toolchain = []Bind{
	{Dest: "/lib", Link: "usr/lib"},
	{Dest: "/usr"}, {Dest: "/usr/bin"}, {Dest: "/usr/lib"},
	{Dest: "/usr/bin/cc", Link: "gcc"},
	{Dest: "/usr/bin/gcc", Source: "/usr/bin/gcc"},
	{Dest: "/usr/lib/libc.so.6", Source: "/usr/lib/libc.so.6"},
}

// A tree's entries: "dir/" , "file", or "link>text".
func layTree(t *testing.T, entries ...string) string {
	t.Helper()
	tree := openTemp(t)
	for _, e := range entries {
		link, text, isLink := strings.Cut(e, ">")
		p := filepath.Join(tree, link)
		switch {
		case isLink:
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(text, p); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(e, "/"):
			if err := os.MkdirAll(p, 0o755); err != nil {
				t.Fatal(err)
			}
		default:
			write(t, p, e)
		}
	}
	return tree
}

func TestViewMerges(t *testing.T) {
	for _, tc := range []struct {
		name string
		tree []string
		want string // words that mention the tree, or links of it
	}{
		{"apart: one bind", []string{"w/x/a.c", "w/y/b.c"}, "--ro-bind T/w /w"},
		{"headers beside the toolchain", []string{"usr/include/a.h", "usr/lib/gcc/a.h"}, "--ro-bind T/usr/include /usr/include --ro-bind T/usr/lib/gcc /usr/lib/gcc"},
		{"a build in /tmp", []string{"tmp/b/a.c", "tmp/f"}, "--ro-bind T/tmp/b /tmp/b --ro-bind T/tmp/f /tmp/f"},
		{"the toolchain's file wins", []string{"usr/bin/gcc", "usr/bin/x"}, "--ro-bind T/usr/bin/x /usr/bin/x"},
		{"the same link", []string{"lib>usr/lib", "w/a.c"}, "--ro-bind T/w /w"},
		{"links", []string{"w>/home/w", "v/a.c"}, "--ro-bind T/v /v --symlink /home/w /w"},
	} {
		tree := layTree(t, tc.tree...)
		words, err := viewOf(&Spec{Tree: tree, Dir: "/", Path: "/usr/bin/gcc", Args: []string{"gcc"}, Out: "/.crosscc"}, toolchain, Limits{}.withDefaults())
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		all := strings.ReplaceAll(strings.Join(words, " "), tree, "T")
		if got := treeWords(words, tree); got != tc.want {
			t.Errorf("%s: %s", tc.name, cmp.Diff(tc.want, got))
		}
		if i, j := strings.LastIndex(all, " T/"), strings.Index(all, "--ro-bind /usr/bin/gcc"); i > j {
			t.Errorf("%s: the toolchain does not come last: %s", tc.name, all)
		}
	}
}

// TestWorkdirByLinks: the working directory may lie behind links of the tree, as
// the program will see them; none of them leads anything out of it.
func TestWorkdirByLinks(t *testing.T) {
	p := build(t, `#include <unistd.h>
		#include <stdio.h>
		#include <stdlib.h>
		int main() { char b[99]; printf("%s %s", getenv("PWD"), getcwd(b, 99)); return 0; }`)
	outside, all := openTemp(t), walled(t)
	if err := os.Chmod(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	tree := layTree(t, "home/u/src/a.c", "w>/home/u", "home/v>u/src/..", "out>"+outside, "up>../../../../oldroot"+outside, "old>/oldroot"+outside)
	for dir, want := range map[string]string{
		"/w/src": "/w/src /home/u/src", "/home/v": "/home/v /home/u", "/home/u": "/home/u /home/u", "/apart/x": "/apart/x /apart/x",
		"/out/x": "", "/up/x": "", "/old/x": "", "/w/none": "", "/home/u/src/a.c/x": "",
	} {
		s := spec(p)
		s.Tree, s.Dir = tree, dir
		for name, r := range all {
			o, err := r(ctxOf(t), s)
			f, conflict := errors.AsType[*Failure](err)
			switch {
			case want == "" && (!conflict || f.Kind != Conflict):
				t.Errorf("%s: %s: got %+v, %v, want a conflict", name, dir, o, err)
			case want != "" && (err != nil || string(o.Stdout) != want):
				t.Errorf("%s: %s: got %+v, %v, want %q", name, dir, o, err, want)
			}
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("made outside: %v", left)
	}
}

// treeWords keeps what a tree brought.
func treeWords(words []string, tree string) string {
	var kept []string
	for i, w := range words {
		own := w == "--symlink" && words[i+1] != "usr/lib" && words[i+1] != "gcc"
		if own || w == "--ro-bind" && strings.HasPrefix(words[i+1], tree) {
			kept = append(kept, w, strings.Replace(words[i+1], tree, "T", 1), words[i+2])
		}
	}
	return strings.Join(kept, " ")
}

func TestViewConflicts(t *testing.T) {
	for _, tree := range []string{
		"usr>w", "usr/lib>/w", "usr/bin", "lib/a.h", "lib>w", "usr/bin/gcc/x", "usr/bin/gcc>/w/evil",
		".crosscc/a.o", ".crosscc>w", ".crosscc-argv0>/w", "dev/null", "proc/self/exe", "sys/", "tmp>w", "etc/ld.so.preload", "run/x",
	} {
		s := &Spec{Tree: layTree(t, tree), Dir: "/", Path: "/usr/bin/gcc", Args: []string{"gcc"}, Out: "/.crosscc"}
		words, err := viewOf(s, toolchain, Limits{}.withDefaults())
		if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != Conflict {
			t.Errorf("%s: got %v, %q", tree, err, words)
		}
	}
}

func TestCalled(t *testing.T) {
	for _, tc := range []struct{ argv0, want string }{
		{"gcc", "/usr/bin/gcc"},
		{"/somewhere/gcc", "/usr/bin/gcc"},
		{"x86_64-pc-linux-gnu-gcc", "/usr/bin/x86_64-pc-linux-gnu-gcc"},
		{"cc", "/.crosscc-argv0/cc"}, // the toolchain's own link
	} {
		words, err := viewOf(&Spec{Dir: "/", Path: "/usr/bin/gcc", Args: []string{tc.argv0, "-v"}}, toolchain, Limits{}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if got := words[len(words)-2]; got != tc.want {
			t.Errorf("called %s: runs %s, want %s", tc.argv0, got, tc.want)
		}
	}
}

// TestTreeBesideToolchain: a tree with /usr/include and a build in /tmp, for real.
func TestTreeBesideToolchain(t *testing.T) {
	driver := need(t, "gcc-12", "gcc-12")
	tree := layTree(t, "usr/include/only.h", "tmp/b/", "usr/bin/as")
	write(t, filepath.Join(tree, "tmp/b/a.c"), "#include <only.h>\nint a = ONLY;\n")
	write(t, filepath.Join(tree, "usr/include/only.h"), "#define ONLY 1\n")
	s := &Spec{Path: driver, Dir: "/tmp/b", Tree: tree, Out: "/.crosscc", Outputs: []string{"a.o"}, Programs: programsOf(t, driver, []string{"cc1", "as"}),
		Env: []string{"PATH=/usr/bin"}, Args: []string{"gcc-12", "-isystem", "/usr/include", "-c", "a.c", "-o", "/.crosscc/a.o"}}
	for name, r := range walled(t) {
		for range 2 { // the second finds no trace of the first
			o, err := r(ctxOf(t), s)
			if err != nil || o.ExitCode != 0 {
				t.Fatalf("%s: got %+v, %v", name, o, err)
			}
			o.Close()
		}
	}
}
