package thin

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// build makes objects and archives of them by the machine's own programs.
func build(t *testing.T, dir string, commands ...[]string) {
	t.Helper()
	for _, c := range commands {
		cmd := exec.Command(c[0], c[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", c, err, out)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.c", "sub/a file with a long name.c", "c.c", "d.c"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("int "+filepath.Base(name)[:1]+";\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object := "sub/a file with a long name.o"
	build(t, dir,
		[]string{"gcc-12", "-c", "a.c"}, []string{"gcc-12", "-c", "sub/a file with a long name.c", "-o", object}, []string{"gcc-12", "-c", "c.c"},
		[]string{"ar", "rcsDT", "x.a", "a.o", object}, []string{"gcc-12", "-c", "d.c"}, []string{"ar", "rcs", "fat.a", "d.o"},
		[]string{"ar", "rcsDT", "sub/y.a", "x.a", "fat.a", filepath.Join(dir, "c.o")})
	for name, want := range map[string][]string{
		"x.a":     {"a.o", object},
		"sub/y.a": {"../a.o", "a file with a long name.o", "../fat.a", filepath.Join(dir, "c.o")},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		a, err := Read(text)
		if err != nil || !slices.Equal(a.Names, want) {
			t.Errorf("%s: %+v, %v; want %q", name, a, err, want)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "fat.a"))
	if a, errRead := Read(text); err != nil || errRead == nil {
		t.Errorf("an archive with members: %v, %+v", err, a)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(Magic + "//                                              6         `\na.o/\n\n/0              0           0     0     644     3         `\n"))
	f.Add([]byte(Magic + "/               0           0     0     0       4         `\n\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := Read(text)
		if err != nil {
			return
		}
		for _, name := range a.Names {
			if name == "" {
				t.Fatalf("%q has a name that is none", text)
			}
		}
	})
}
