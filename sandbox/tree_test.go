package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
)

// TestWorkdirByLinks: the working directory may lie behind links of the tree, as
// the program will see them; none of them leads anything out of it.
func TestWorkdirByLinks(t *testing.T) {
	p := rig.Build(t, `#include <unistd.h>
		#include <stdio.h>
		#include <stdlib.h>
		int main() { char b[99]; printf("%s %s", getenv("PWD"), getcwd(b, 99)); return 0; }`)
	outside, all := rig.OpenTemp(t), walled(t)
	if err := os.Chmod(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	tree := rig.LayTree(t, "home/u/src/a.c", "w>/home/u", "home/v>u/src/..", "out>"+outside, "up>../../../../oldroot"+outside, "old>/oldroot"+outside)
	for dir, want := range map[string]string{
		"/w/src": "/w/src /home/u/src", "/home/v": "/home/v /home/u", "/home/u": "/home/u /home/u", "/apart/x": "/apart/x /apart/x",
		"/out/x": "", "/up/x": "", "/old/x": "", "/w/none": "", "/home/u/src/a.c/x": "",
	} {
		s := rig.Spec(p)
		s.Tree, s.Dir = tree, dir
		for name, r := range all {
			o, err := r(rig.Context(t), s)
			f, conflict := errors.AsType[*sandbox.Failure](err)
			switch {
			case want == "" && (!conflict || f.Kind != sandbox.Conflict):
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

// TestTreeBesideToolchain: a tree with /usr/include and a build in /tmp, for real.
func TestTreeBesideToolchain(t *testing.T) {
	driver := rig.Need(t, "gcc-12", "gcc-12")
	tree := rig.LayTree(t, "usr/include/only.h", "tmp/b/", "usr/bin/as")
	rig.Write(t, filepath.Join(tree, "tmp/b/a.c"), "#include <only.h>\nint a = ONLY;\n")
	rig.Write(t, filepath.Join(tree, "usr/include/only.h"), "#define ONLY 1\n")
	s := &sandbox.Spec{Path: driver, Dir: "/tmp/b", Tree: tree, Out: "/.crosscc", Outputs: []string{"a.o"}, Programs: rig.ProgramsOf(t, driver, []string{"cc1", "as"}),
		Env: []string{"PATH=/usr/bin"}, Args: []string{"gcc-12", "-isystem", "/usr/include", "-c", "a.c", "-o", "/.crosscc/a.o"}}
	for name, r := range walled(t) {
		for range 2 { // the second finds no trace of the first
			o, err := r(rig.Context(t), s)
			if err != nil || o.ExitCode != 0 {
				t.Fatalf("%s: got %+v, %v", name, o, err)
			}
			o.Close()
		}
	}
}
