package images_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
	"github.com/crosscc/crosscc/images/internal/imagetest"
)

// some are files for a pack, and what is in it.
func some(t *testing.T) (files []images.File, labels map[string]string, want string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"gcc": "driver", "cc1": strings.Repeat("cc1", 50_000), "specs": "text"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return []images.File{
			{Path: "/usr/lib/gcc/12/cc1", Mode: 0o555, From: filepath.Join(dir, "cc1")},
			{Path: "/usr/bin/gcc", Mode: 0o777 | fs.ModeSymlink, Target: "gcc-12"},
			{Path: "/usr/bin/gcc-12", Mode: 0o755, From: filepath.Join(dir, "gcc")},
			{Path: "/lib", Mode: fs.ModeSymlink, Target: "usr/lib"},
			{Path: "/usr/lib/gcc/12/specs", Mode: 0o600, From: filepath.Join(dir, "specs")},
			{Path: "/usr/include", Mode: fs.ModeDir | 0o700},
		}, map[string]string{"b": "2", "a": "1", "z": "3"}, "lib -> usr/lib\nusr/bin/gcc -> gcc-12\nusr/bin/gcc-12 = driver\nusr/lib/gcc/12/cc1 = " +
			strings.Repeat("cc1", 50_000) + "\nusr/lib/gcc/12/specs = text"
}

// A pack is the same whoever makes it, when, and in what order; it is an image for
// others too, and for us the files that it was made of.
func TestBuildPack(t *testing.T) {
	files, labels, want := some(t)
	var one, two bytes.Buffer
	d, err := images.BuildPack(&one, files, labels)
	check(t, err)
	slices.Reverse(files)
	for i, f := range files { // other times, and names elsewhere
		if f.From != "" {
			data, err := os.ReadFile(f.From)
			check(t, err)
			files[i].From = f.From + ".copy"
			check(t, os.WriteFile(files[i].From, data, 0o755))
			check(t, os.Chtimes(files[i].From, time.Unix(5, 0), time.Unix(5, 0)))
		}
	}
	again, err := images.BuildPack(&two, files, labels)
	check(t, err)
	if d != again || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("%s and %s of the same files", d, again)
	}
	path := filepath.Join(t.TempDir(), "pack.oci")
	check(t, os.WriteFile(path, one.Bytes(), 0o644))
	s, err := imagestore.Open(t.TempDir(), imagestore.Options{})
	check(t, err)
	e := add(t, s, path+"@"+d.String())
	if e.Digests[0] != d || e.Labels["z"] != "3" || e.Platform != "linux/"+runtime.GOARCH {
		t.Errorf("%+v", e)
	}
	r, err := s.Use(t.Context(), d)
	check(t, err)
	defer r.Release()
	if got := imagetest.Show(t, r.Dir); got != want {
		t.Errorf("there is\n%.300s", got)
	}
	for name, mode := range map[string]fs.FileMode{"usr/bin/gcc-12": 0o755, "usr/lib/gcc/12/specs": 0o644, "usr/include": fs.ModeDir | 0o755} {
		if info, err := os.Lstat(filepath.Join(r.Dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	validPack(t, one.Bytes())
}

// add adds the image of a file.
func add(t *testing.T, s *imagestore.Store, reference string) imagestore.Entry {
	t.Helper()
	src, err := images.Open(t.Context(), reference, offline)
	check(t, err)
	defer src.Close()
	e, err := s.Add(t.Context(), src, nil)
	check(t, err)
	return e
}

// validPack has another library look at a pack, and at what is in its tars.
func validPack(t *testing.T, data []byte) {
	t.Helper()
	dir := t.TempDir()
	var layerName string
	in := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		check(t, err)
		if !h.ModTime.Equal(time.Unix(0, 0)) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s is of %v, %d", h.Name, h.ModTime, h.Uid)
		}
		name := filepath.Join(dir, h.Name)
		check(t, os.MkdirAll(filepath.Dir(name), 0o755))
		content, err := io.ReadAll(in)
		check(t, err)
		check(t, os.WriteFile(name, content, 0o644))
		if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
			layerName = name
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	check(t, err)
	check(t, validate.Index(index))
	f, err := os.Open(layerName)
	check(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	check(t, err)
	if z.Name != "" || z.ModTime.Unix() != 0 || z.Comment != "" || len(z.Extra) > 0 {
		t.Errorf("gzip's header says %+v", z.Header)
	}
	var names []string
	in = tar.NewReader(z)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		check(t, err)
		names = append(names, h.Name)
		if !h.ModTime.Equal(time.Unix(0, 0)) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s is of %v, %d:%d", h.Name, h.ModTime, h.Uid, h.Gid)
		}
	}
	if got := strings.Join(names, " "); got != "lib usr/ usr/bin/ usr/bin/gcc usr/bin/gcc-12 usr/include/ usr/lib/ usr/lib/gcc/ usr/lib/gcc/12/ usr/lib/gcc/12/cc1 usr/lib/gcc/12/specs" {
		t.Errorf("names are %s", got)
	}
}

func TestBuildPackErrors(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	tests := []struct {
		files []images.File
		says  string
	}{
		{[]images.File{{Path: "usr/x", From: self}}, `"usr/x" is no absolute and clean path`},
		{[]images.File{{Path: "/usr/../x", From: self}}, "is no absolute and clean path"},
		{[]images.File{{Path: "/", Mode: fs.ModeDir}}, "is no absolute and clean path"},
		{[]images.File{{Path: "/.wh.x", From: self}}, "the name means removal"},
		{[]images.File{{Path: "/x", From: self}, {Path: "/x", From: self}}, "/x stands here twice"},
		{[]images.File{{Path: "/x", From: self}, {Path: "/x/y/z", From: self}}, "/x/y/z lies below /x, which is no directory"},
		{[]images.File{{Path: "/l", Mode: fs.ModeSymlink, Target: "/"}, {Path: "/l/y", From: self}}, "/l/y lies below /l, which is no directory"},
		{[]images.File{{Path: "/l", Mode: fs.ModeSymlink}}, "/l: a symbolic link to nothing"},
		{[]images.File{{Path: "/x", From: "/no/such"}}, "/x: open /no/such: no such file"},
		{[]images.File{{Path: "/x", From: t.TempDir()}}, "is no regular file"},
		{[]images.File{{Path: "/x", Mode: fs.ModeDevice}}, "a pack holds no D"},
	}
	for _, tt := range tests {
		if d, err := images.BuildPack(io.Discard, tt.files, nil); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %s, %v\nwant %s", tt.files, d, err, tt.says)
		}
	}
}

// Nothing is in a pack that its files do not say.
func TestEmptyPack(t *testing.T) {
	var b bytes.Buffer
	_, err := images.BuildPack(&b, nil, nil)
	check(t, err)
	path := filepath.Join(t.TempDir(), "pack.oci")
	check(t, os.WriteFile(path, b.Bytes(), 0o644))
	s, err := imagestore.Open(t.TempDir(), imagestore.Options{})
	check(t, err)
	e := add(t, s, path)
	if text, err := json.Marshal(e.Env); e.Entries != 1 || string(text) != "null" || err != nil {
		t.Errorf("%+v", e)
	}
}
