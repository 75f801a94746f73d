package view

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crosscc/crosscc/sandbox"
)

// toolchain is a merged-/usr one.
var toolchain = []sandbox.Bind{
	{Dest: "/lib", Link: "usr/lib"},
	{Dest: "/usr"}, {Dest: "/usr/bin"}, {Dest: "/usr/lib"},
	{Dest: "/usr/bin/cc", Link: "gcc"},
	{Dest: "/usr/bin/gcc", Source: "/usr/bin/gcc"},
	{Dest: "/usr/lib/libc.so.6", Source: "/usr/lib/libc.so.6"},
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
		tree := rig.LayTree(t, tc.tree...)
		words, err := Of(&sandbox.Spec{Tree: tree, Dir: "/", Path: "/usr/bin/gcc", Args: []string{"gcc"}, Out: "/.crosscc"}, toolchain, sandbox.Limits{}.OrDefaults())
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
		s := &sandbox.Spec{Tree: rig.LayTree(t, tree), Dir: "/", Path: "/usr/bin/gcc", Args: []string{"gcc"}, Out: "/.crosscc"}
		words, err := Of(s, toolchain, sandbox.Limits{}.OrDefaults())
		if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Conflict {
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
		words, err := Of(&sandbox.Spec{Dir: "/", Path: "/usr/bin/gcc", Args: []string{tc.argv0, "-v"}}, toolchain, sandbox.Limits{}.OrDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if got := words[len(words)-2]; got != tc.want {
			t.Errorf("called %s: runs %s, want %s", tc.argv0, got, tc.want)
		}
	}
}
