package images

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file without a name is written and read as any other, and nothing of it is seen.
func TestUnnamed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, open := range map[string]func(string) (*os.File, error){"": Unnamed, "with a name first": named} {
		f, err := open("")
		if err != nil {
			t.Fatal(name, err)
		}
		_, err = io.WriteString(f, "text")
		text, readErr := io.ReadAll(io.NewSectionReader(f, 0, 100))
		if err != nil || readErr != nil || string(text) != "text" {
			t.Errorf("%s: %q, %v, %v", name, text, err, readErr)
		}
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
			t.Errorf("%s: %v are there, %v", name, left, err)
		}
		if err := f.Close(); err != nil {
			t.Error(name, err)
		}
		if f, err := open(filepath.Join(os.TempDir(), "nowhere")); err == nil {
			t.Errorf("%s: %s", name, f.Name())
		}
	}
}
