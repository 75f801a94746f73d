package broker

import (
	"path"
	"slices"
	"strings"
	"testing"
)

func TestTree(t *testing.T) {
	d := new(Dir)
	for _, name := range []string{"/w/b", "/w/a.c", "/w/a/x", "/w/b", "/top"} {
		d.Put(name, File{Blob: BytesBlob([]byte(name))})
	}
	d.Mkdir("/w/empty/below")
	d.Mkdir("/").Links = []Link{{Name: "z", Target: "w"}}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for name := range d.All() {
		got = append(got, name)
	}
	want := []string{"/top", "/z", "/w", "/w/a.c", "/w/b", "/w/a", "/w/a/x", "/w/empty", "/w/empty/below"}
	if !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	for _, name := range []string{"/w/a/x", "/top"} {
		if f, ok := d.File(name); !ok || f.Blob.Digest != DigestOf([]byte(name)) {
			t.Errorf("File(%s) = %+v, %t", name, f, ok)
		}
	}
	for _, name := range []string{"/w/a", "/w/c", "/z/b", "/nowhere/x"} {
		if f, ok := d.File(name); ok {
			t.Errorf("File(%s) = %+v, want none", name, f)
		}
	}
}

func TestLookup(t *testing.T) {
	d := new(Dir)
	for _, name := range []string{"/home/u/p/a.c", "/home/u/a.c", "/usr/include/x.h"} {
		d.Put(name, File{Blob: BytesBlob([]byte(name))})
	}
	for name, target := range map[string]string{
		"/w": "home/u", "/home/u/p/up": "..", "/home/u/p/abs": "/usr/include", "/home/v": "u/p/../p/up", "/home/u/p/b.c": "../a.c",
		"/loop": "/loop", "/dead": "nowhere", "/root": "../../..", "/dir": "w/p/",
	} {
		in := d.Mkdir(path.Dir(name))
		in.Links = append(in.Links, Link{path.Base(name), target})
		slices.SortFunc(in.Links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/": "/", "/w": "/home/u", "/w/p": "/home/u/p", "/w/p/a.c": "/home/u/p/a.c", "/home/v/a.c": "/home/u/a.c", "/w/../v": "/home/u",
		"/w/p/up/p/abs/x.h": "/usr/include/x.h", "/w/p/b.c": "/home/u/a.c", "/../../w/./p//a.c": "/home/u/p/a.c", "/root/w": "/home/u", "/dir/a.c": "/home/u/p/a.c",
		"/loop": "", "/dead": "", "/w/none": "", "/w/a.c/x": "", "/w/a.c/": "", "/w/a.c/..": "",
	} {
		real, e, ok := d.Lookup(name)
		if !ok {
			real = ""
		}
		if real != want {
			t.Errorf("Lookup(%s) = %s, want %s", name, real, want)
		}
		if ok && e.File != nil && e.File.Blob.Digest != DigestOf([]byte(want)) || ok && (e.File == nil) == (e.Dir == nil) {
			t.Errorf("Lookup(%s) found %+v", name, e)
		}
	}
}

func TestBadTrees(t *testing.T) {
	file := func(names ...string) (list []File) {
		for _, n := range names {
			list = append(list, File{Name: n, Blob: BytesBlob(nil)})
		}
		return list
	}
	wide := new(Dir)
	for range 30 { // 2^30 entries in 30 values
		wide = &Dir{Dirs: []Subdir{{"a", wide}, {"b", wide}}}
	}
	deep := new(Dir)
	for range MaxDepth + 1 {
		deep = &Dir{Dirs: []Subdir{{"a", deep}}}
	}
	long := &Dir{Files: file("x")}
	for range 20 {
		long = &Dir{Dirs: []Subdir{{strings.Repeat("d", 240), long}}}
	}
	half := BytesBlob(nil)
	half.Digest.Size = MaxBytes/2 + 1
	for name, tt := range map[string]struct {
		dir  *Dir
		want string
	}{
		"slash":                {&Dir{Files: file("a/b")}, "not a file name"},
		"dots":                 {&Dir{Dirs: []Subdir{{"..", new(Dir)}}}, "not a file name"},
		"empty":                {&Dir{Links: []Link{{"", "x"}}}, "not a file name"},
		"NUL":                  {&Dir{Files: file("a\x00")}, "not a file name"},
		"twice":                {&Dir{Files: file("a", "a")}, "twice"},
		"file and directory":   {&Dir{Files: file("a", "b"), Dirs: []Subdir{{"b", new(Dir)}}}, "twice"},
		"link and directory":   {&Dir{Links: []Link{{"b", "/"}}, Dirs: []Subdir{{"a", new(Dir)}, {"b", new(Dir)}}}, "twice"},
		"out of order":         {&Dir{Files: file("b", "a")}, "not sorted"},
		"link to nothing":      {&Dir{Links: []Link{{"a", ""}}}, "no path"},
		"link with NUL":        {&Dir{Links: []Link{{"a", "x\x00"}}}, "no path"},
		"no digest":            {&Dir{Files: []File{{Name: "a"}}}, "digest"},
		"too many by sharing":  {wide, "entries"},
		"too deep":             {deep, "deeper"},
		"too long":             {long, "longer"},
		"too large by sharing": {&Dir{Files: []File{{Name: "a", Blob: half}, {Name: "b", Blob: half}}}, "bytes"},
	} {
		if err := tt.dir.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Validate = %v, want %q", name, err, tt.want)
		}
	}
}

// A link more is in the copy alone, and in the place of nothing.
func TestWithLink(t *testing.T) {
	d := new(Dir)
	d.Mkdir("/w/obj")
	d.Put("/w/a.c", File{Blob: BytesBlob(nil)})
	with, err := d.WithLink("/w/obj/a.gcno", "/out/0.gcno")
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for name, e := range with.All() {
		if e.Link != nil {
			links = append(links, name+" "+e.Link.Target)
		}
	}
	if len(links) != 1 || links[0] != "/w/obj/a.gcno /out/0.gcno" || with.Validate() != nil {
		t.Errorf("links %q, %v", links, with.Validate())
	}
	for name, e := range d.All() {
		if e.Link != nil {
			t.Errorf("the tree itself has %s now", name)
		}
	}
	for _, name := range []string{"/w/a.c", "/w/obj", "/x/a", "/w/a.c/x", "/w/obj/a.gcno"} {
		if _, err := with.WithLink(name, "x"); err == nil {
			t.Errorf("%s was free", name)
		}
	}
}

func TestWithout(t *testing.T) {
	d := new(Dir)
	for _, name := range []string{"/w/a", "/w/b", "/v/a"} {
		d.Put(name, File{Blob: BytesBlob([]byte(name))})
	}
	for name, want := range map[string]int{"/w/a": 2, "/w/none": 3, "/none/a": 3, "/w": 3} {
		left := 0
		for at, e := range d.Without(name).All() {
			if e.File != nil {
				left++
			}
			if at == name && e.File != nil {
				t.Errorf("%s is there", name)
			}
		}
		if left != want {
			t.Errorf("without %s there are %d files", name, left)
		}
	}
	if _, ok := d.File("/w/a"); !ok {
		t.Error("the tree has changed")
	}
}
