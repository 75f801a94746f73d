package sandbox_test

import (
	"path"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// TestNothingElse: all that can be found in a job's root, by a walk through it, are the
// programs and libraries that it shows, the tree, and the sandbox's few own places
// (X17): no header of this machine's, and nothing of another job's.
func TestNothingElse(t *testing.T) {
	walk := rig.Build(t, `#define _XOPEN_SOURCE 700
		#include <ftw.h>
		#include <stdio.h>
		static int see(const char *name, const struct stat *s, int kind, struct FTW *f) { puts(name); return 0; }
		int main() { return nftw("/", see, 16, FTW_PHYS); }`, "-static")
	driver := rig.Need(t, "gcc-12", "gcc-12")
	s := rig.Spec(walk)
	s.Programs = append(s.Programs, rig.ProgramsOf(t, driver, []string{"cc1", "as"})...)
	s.Tree, s.Dir = rig.LayTree(t, "w/a.c", "usr/include/only.h"), "/w"
	binds, err := sandbox.Closure(s.Programs, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string]bool{}
	expect := func(names ...string) {
		for _, name := range names {
			for ; !expected[name]; name = path.Dir(name) {
				expected[name] = true
			}
		}
	}
	expect("/w/a.c", "/usr/include/only.h", "/dev/null", "/tmp", s.Out)
	for _, b := range binds {
		expect(b.Dest)
	}
	for name, r := range walled(t) {
		o, err := r(rig.Context(t), s)
		if err != nil || o.ExitCode != 0 {
			t.Fatalf("%s: %+v, %v", name, o, err)
		}
		seen := strings.Split(strings.TrimSpace(string(o.Stdout)), "\n")
		for _, at := range seen {
			if !expected[at] {
				t.Errorf("%s: %s is there", name, at)
			}
		}
		if len(seen) != len(expected) {
			t.Errorf("%s: %d names are there, want %d", name, len(seen), len(expected))
		}
		o.Close()
	}
}
