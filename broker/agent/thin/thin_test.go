package thin

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// An archive that was made elsewhere is what ar makes at home once its names are those of home.
func TestRenamed(t *testing.T) {
	for _, names := range [][]string{
		{"a.o"}, {"a.o", "far/b.o"}, {"a.o", "far/b.o", "ccc.o"},
		{"of-fourteen-.o", "of-fifteen---.o", "far/of-sixteen---.o", "far/and-a-longer-one-still.o"},
	} {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		at, far := []string{"ar", "csrDT", "lib/x.a"}, []string{"ar", "csrDT", "lib/deep/er/y.a"}
		for i, name := range names {
			for _, d := range []string{"far", "lib/deep/er"} {
				if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			source := name + ".c"
			if err := os.WriteFile(filepath.Join(dir, source), fmt.Appendf(nil, "int f%d, g%d;\n", i, i), 0o644); err != nil {
				t.Fatal(err)
			}
			build(t, dir, []string{"gcc-12", "-c", source, "-o", name})
			at, far = append(at, name), append(far, name)
		}
		build(t, dir, at, far)
		want, err := os.ReadFile(filepath.Join(dir, "lib/x.a"))
		if err != nil {
			t.Fatal(err)
		}
		made, err := os.ReadFile(filepath.Join(dir, "lib/deep/er/y.a"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := Read(made)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Renamed(func(name string) string { return strings.TrimPrefix(name, "../../") })
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %q, %v\nwant %q", names, got, err, want)
		}
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
		if _, err := a.Renamed(func(name string) string { return "longer/" + name }); err != nil {
			return
		}
		for _, name := range a.Names {
			if name == "" {
				t.Fatalf("%q has a name that is none", text)
			}
		}
	})
}
