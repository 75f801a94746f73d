package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"os"
	"path/filepath"
	"testing"
)

// TestReadOnly: what the host lets anybody write to is read-only inside all the same.
func TestReadOnly(t *testing.T) {
	p := rig.Build(t, `#include <stdio.h>
		#include <fcntl.h>
		#include <sys/stat.h>
		int main(int c, char **v) {
			for (int i = 1; i < c; i++) if (open(v[i], O_WRONLY) >= 0 || open(v[i], O_WRONLY | O_CREAT, 0666) >= 0 || chmod(v[i], 0777) == 0) puts(v[i]);
			return 0; }`)
	q := rig.Build(t, `int main() { return 0; }`)
	tree := rig.LayTree(t, "w/a.c")
	for _, name := range []string{q, filepath.Dir(q), tree + "/w", tree + "/w/a.c"} {
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range walled(t) {
		s := rig.Spec(p, q, "/w/a.c", "/w/new", "/new")
		s.Tree, s.Programs = tree, append(s.Programs, q)
		o, err := r(rig.Context(t), s)
		if err != nil || len(o.Stdout) > 0 {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
	}
}
