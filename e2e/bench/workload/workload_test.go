package workload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A round changes every source and nothing else, so that no cache can know it.
func TestWorkloads(t *testing.T) {
	for name, w := range All() {
		w = w.Few(3)
		dir := t.TempDir()
		if err := w.Write(dir, 1); err != nil {
			t.Fatal(err)
		}
		before := read(t, dir)
		if err := w.Edit(dir, 2); err != nil {
			t.Fatal(err)
		}
		changed := 0
		for file, text := range read(t, dir) {
			if strings.HasPrefix(file, "src/") {
				if before[file] == text {
					t.Errorf("%s: %s is as before", name, file)
				}
				if strings.Count(before[file], "\n") != strings.Count(text, "\n") {
					t.Errorf("%s: %s has other lines", name, file)
				}
				changed++
			} else if before[file] != text {
				t.Errorf("%s: %s has changed", name, file)
			}
		}
		if changed != w.Jobs {
			t.Errorf("%s: %d sources, want %d", name, changed, w.Jobs)
		}
		if n := strings.Count(before["Makefile"], " obj/f"); n != w.Jobs {
			t.Errorf("%s: the Makefile names %d objects, want %d", name, n, w.Jobs)
		}
	}
	lines := huge(200_000).source(0, 1)
	if n := strings.Count(lines, "\n"); n < 199_000 || n > 200_000 {
		t.Errorf("the huge file has %d lines", n)
	}
}

func read(t *testing.T, dir string) map[string]string {
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
