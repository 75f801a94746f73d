package wrapper

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
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

// What is judged is what is read: of a directory whose name leads to another by then, that
// one's file and that one's owner and mode.
func TestMayBePinnedSwapped(t *testing.T) {
	for name, tt := range map[string]struct {
		opened, later os.FileMode // modes of the directory that was found, and of the one that takes its name
		want          string
	}{
		"an honest one takes its place": {0o777, 0o755, ""},
		"it goes for a bad one":         {0o755, 0o777, "opened"},
	} {
		top := t.TempDir()
		dir := filepath.Join(top, "p")
		put := func(text string, mode os.FileMode) {
			t.Helper()
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, projectFile), []byte(text), 0o644), os.Chmod(dir, mode)); err != nil {
				t.Fatal(err)
			}
		}
		put("opened", tt.opened)
		in, err := syscall.Open(dir, oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(in)
		if err := os.Rename(dir, filepath.Join(top, "was")); err != nil {
			t.Fatal(err)
		}
		put("later", tt.later)
		if text, err := readProjectIn(in); err != nil || string(text) != tt.want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// A file that this user can't read, or that is none, does not count, and hides what lies
// further up, as for the agent.
func TestMayBePinnedUnreadable(t *testing.T) {
	top := t.TempDir()
	below := filepath.Join(top, "p", "src")
	if err := errors.Join(os.MkdirAll(below, 0o755), os.WriteFile(filepath.Join(top, projectFile), []byte("toolchain = 'x'\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	w := &wrapper{}
	file := filepath.Join(top, "p", projectFile)
	for name, tt := range map[string]struct {
		put  func() error
		want string
	}{
		"none":              {func() error { return nil }, filepath.Join(top, projectFile)},
		"a link to nothing": {func() error { return os.Symlink("nothing", file) }, filepath.Join(top, projectFile)},
		"a link to itself":  {func() error { return os.Symlink(projectFile, file) }, ""},
		"a directory":       {func() error { return os.Mkdir(file, 0o755) }, ""},
		"a pipe":            {func() error { return syscall.Mkfifo(file, 0o600) }, ""},
	} {
		if err := errors.Join(os.RemoveAll(file), tt.put()); err != nil {
			t.Fatal(err)
		}
		if got := w.mayBePinned(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
