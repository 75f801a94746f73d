package pack

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crosscc/crosscc/images"
)

const searchPath = "/usr/local/bin:/usr/bin:/bin"

func TestMake(t *testing.T) {
	p, err := Make(t.Context(), []string{"/usr/bin/gcc"}, searchPath)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Make(t.Context(), []string{"/usr/bin/gcc"}, searchPath)
	if err != nil || cmp.Diff(p, again) != "" {
		t.Errorf("made twice: %v %s", err, cmp.Diff(p, again))
	}
	at := func(name string) images.File {
		i := slices.IndexFunc(p.Files, func(f images.File) bool { return f.Path == name })
		if i < 0 {
			t.Errorf("%s is not in the pack", name)
			return images.File{}
		}
		return p.Files[i]
	}
	if f := at("/usr/bin/gcc"); f.Mode&fs.ModeSymlink == 0 || f.Target != "gcc-12" {
		t.Errorf("gcc is %+v, not the link that it is here", f)
	}
	if f := at("/usr/lib/gcc/x86_64-linux-gnu/12/cc1"); f.Mode != 0o755 || f.From == "" {
		t.Errorf("cc1 is %+v", f)
	}
	if f := at("/usr/lib"); f.Mode != fs.ModeDir|0o755 {
		t.Errorf("/usr/lib is %+v", f)
	}
	var sum int64
	for _, f := range p.Files {
		if strings.HasSuffix(f.Path, ".h") || strings.HasPrefix(f.Path, "/etc") || f.Path != filepath.Clean(f.Path) {
			t.Errorf("%s is in the pack", f.Path)
		}
		if f.From != "" {
			st, err := os.Stat(f.From)
			if err != nil {
				t.Fatal(err)
			}
			sum += st.Size()
		}
	}
	if sum != p.Bytes || len(p.Toolchains) != 1 {
		t.Errorf("%d bytes, and the files have %d; %d toolchains", p.Bytes, sum, len(p.Toolchains))
	}
	drivers, path := Drivers(p.Labels)
	if !slices.Equal(drivers, []string{"/usr/bin/gcc"}) || path != searchPath || !strings.Contains(p.Labels[LabelIdentities], p.Toolchains[0].Package) {
		t.Errorf("labels %q give %q and %q", p.Labels, drivers, path)
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, driver := range []string{"/usr/bin/true", "/nowhere/gcc", "gcc"} {
		if p, err := Make(t.Context(), []string{driver}, searchPath); err == nil {
			t.Errorf("%s: %d files", driver, len(p.Files))
		}
	}
}

// A pack that can't be written leaves no file, and none of that name is lost.
func TestWriteFileWhole(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "gcc.oci")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Pack{Files: []images.File{{Path: "/a", Mode: 0o644, From: "/nowhere/a"}}}
	if sum, _, err := p.WriteFile(name); err == nil {
		t.Errorf("written as %s", sum)
	}
	left, err := os.ReadDir(dir)
	if text, _ := os.ReadFile(name); err != nil || len(left) != 1 || string(text) != "old" {
		t.Errorf("left %v, %q, %v", left, text, err)
	}
}

// What a stranger's labels say is looked at before it is used.
func TestDrivers(t *testing.T) {
	many, _ := json.Marshal(make([]string, maxDrivers+1))
	for text, want := range map[string]int{
		`["/opt/gcc"]`: 1, `["/opt/gcc","/opt/g++"]`: 2, "": 0, "gcc": 0, `["gcc"]`: 0, `["/opt/../etc/gcc"]`: 0, `["/a\u0000"]`: 0,
		string(many): 0, `["/` + strings.Repeat("a", maxLabel) + `"]`: 0,
	} {
		if got, _ := Drivers(map[string]string{LabelDrivers: text}); len(got) != want {
			t.Errorf("%.40s: got %q", text, got)
		}
	}
}
