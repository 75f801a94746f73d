package sandbox_test

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// TestNothingElse: all that can be found in a job's root, by a walk through it, are the
// programs and libraries that it shows, the tree, and the sandbox's few own places
// (X17): no header of this machine's, and nothing of another job's.
func TestNothingElse(t *testing.T) {
	walk := rig.Build(t, walker, "-static")
	driver := rig.Need(t, "gcc-12", "gcc-12")
	s := rig.Spec(walk)
	s.Programs = append(s.Programs, rig.ProgramsOf(t, driver, []string{"cc1", "as"})...)
	s.Tree, s.Dir = rig.LayTree(t, "w/a.c", "usr/include/only.h"), "/w"
	binds, err := sandbox.Closure(s.Programs, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"/w/a.c", "/usr/include/only.h"}
	for _, b := range binds {
		names = append(names, b.Dest)
	}
	nothingElse(t, s, names)
}

// TestNothingElseOfAnImage: of an image that is shown as a whole all is there but its
// /dev, /proc, /run and /sys, and of this machine nothing.
func TestNothingElseOfAnImage(t *testing.T) {
	image := rig.LayTree(t, "etc/passwd", "usr/lib/x", "lib>usr/lib", "var/lib/y", "proc/evil", "dev/evil", "run/evil", "sys/evil", "tmp/", "home/z")
	rig.Run(t, "/", "cp", rig.Build(t, walker, "-static"), filepath.Join(image, "usr/walk"))
	s := &sandbox.Spec{Path: "/usr/walk", Args: []string{"/usr/walk"}, Dir: "/w", Out: "/.crosscc", Root: image, Whole: true, Tree: rig.LayTree(t, "w/a.c", "home/me/b.c")}
	nothingElse(t, s, []string{"/w/a.c", "/home/me/b.c", "/etc/passwd", "/usr/lib/x", "/usr/walk", "/lib", "/var/lib/y", "/home/z"})
}

// walker prints the name of all that it finds.
const walker = `#define _XOPEN_SOURCE 700
	#include <ftw.h>
	#include <stdio.h>
	static int see(const char *name, const struct stat *s, int kind, struct FTW *f) { puts(name); return 0; }
	int main() { return nftw("/", see, 16, FTW_PHYS); }`

// nothingElse: a walk finds the names, the directories above them, and what each sandbox
// has of its own.
func nothingElse(t *testing.T, s *sandbox.Spec, names []string) {
	t.Helper()
	expected := map[string]bool{}
	for _, name := range append(names, "/dev/null", "/tmp", s.Out) {
		for ; !expected[name]; name = path.Dir(name) {
			expected[name] = true
		}
	}
	for by, r := range walled(t) {
		o, err := r(rig.Context(t), s)
		if err != nil || o.ExitCode != 0 {
			t.Fatalf("%s: %+v, %v", by, o, err)
		}
		seen := strings.Split(strings.TrimSpace(string(o.Stdout)), "\n")
		for _, at := range seen {
			if !expected[at] {
				t.Errorf("%s: %s is there", by, at)
			}
		}
		if len(seen) != len(expected) {
			t.Errorf("%s: %d names are there, want %d", by, len(seen), len(expected))
		}
		o.Close()
	}
}
