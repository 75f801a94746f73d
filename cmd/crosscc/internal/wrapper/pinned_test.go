package wrapper

import (
	"os"
	"path/filepath"
	"testing"
)

// Without an agent a project's file counts where an agent would count it, and what
// somebody else may have written keeps no build from going on.
func TestMayBePinned(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	file, below := filepath.Join(project, ".crosscc.toml"), filepath.Join(project, "src")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("toolchain = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	w := &wrapper{}
	for _, tt := range []struct {
		file, dir os.FileMode
		want      string
	}{{0o644, 0o755, file}, {0o666, 0o755, ""}, {0o664, 0o755, ""}, {0o644, 0o777, ""}, {0o644, 0o775, ""}, {0o600, 0o700, file}} {
		if err := os.Chmod(file, tt.file); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(project, tt.dir); err != nil {
			t.Fatal(err)
		}
		if got := w.mayBePinned(); got != tt.want {
			t.Errorf("file %04o in a directory %04o: %q, want %q", tt.file, tt.dir, got, tt.want)
		}
	}
	if os.Geteuid() == 0 { // who is not root can't make somebody else's
		if err := os.Lchown(file, 990, 990); err != nil {
			t.Fatal(err)
		}
		if got := w.mayBePinned(); got != "" {
			t.Errorf("of another user: %q", got)
		}
	}
	if err := os.WriteFile(filepath.Join(below, ".crosscc.toml"), []byte("match = \"identical\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := w.mayBePinned(); got != "" {
		t.Errorf("with a nearer one that pins nothing: %q", got)
	}
}
