package files

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCacheBound(t *testing.T) {
	c := cache[int, string]{bound: 100}
	for i := range 1000 {
		c.put(i, fmt.Sprint(i), 10)
		c.get(0)
	}
	if n := len(c.young) + len(c.old); n > 11 {
		t.Errorf("%d values of cost 10 within 100", n)
	}
	if v, ok := c.get(0); !ok || v != "0" {
		t.Error("what was used all the time is gone")
	}
	if _, ok := c.get(500); ok {
		t.Error("what was not used is kept")
	}
	c.put(0, "new", 1000)
	if v, _ := c.get(0); v != "new" {
		t.Errorf("got %q", v)
	}
}

// view looks at a directory of the test's as if it were a root.
func view(t *testing.T, w *World, root string) *View {
	t.Helper()
	fd, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	v, err := w.View(t.Context(), w.Arrive(), fd)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		switch err := v.Begin("/cwd"); {
		case v.Stale():
		case err != nil:
			t.Fatal(err)
		default:
			return v
		}
	}
	t.Fatal("stale twice")
	return nil
}

// TestWalk: names are walked as by the kernel in a chroot, with a listing and
// without.
func TestWalk(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"cwd/a.h", "d/e/b.h", "d/up.h", "Mixed.h"} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"cwd/l": "/d/e", "cwd/f.h": "l/../up.h", "abs": "/../../d", "two": "cwd/l", "loop": "loop/x"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, want, from string }{
		{"a.h", "/cwd/a.h", "/cwd"},
		{"./../cwd//a.h", "/cwd/a.h", "/cwd"},
		{"l/b.h", "/d/e/b.h", "/d/e"},
		{"l/../up.h", "/d/up.h", "/d"}, // .. of where the link leads
		{"f.h", "/d/up.h", "/cwd"},     // found where the link lies
		{"/abs/up.h", "/d/up.h", "/d"}, // .. stops at the root
		{"/two/b.h", "/d/e/b.h", "/d/e"},
		{"../../../../d/up.h", "/d/up.h", "/d"},
		{"a.h/", "", ""}, {"a.h/x", "", ""}, {"none/../a.h", "", ""}, {"l", "", ""}, {"..", "", ""}, {"", "", ""},
		{"/mixed.h", "", ""}, {"/MIXED.H", "", ""}, {"é.h", "", ""},
	}
	for _, clock := range []func() time.Time{nil, func() time.Time { return time.Now().Add(time.Hour) }} {
		w := NewCache(clock).World()
		for range 2 {
			v := view(t, w, root)
			for _, tt := range tests {
				h, err := v.Find(v.Cwd, tt.name)
				got, from := "", ""
				if h.File != nil {
					got, from = h.File.Path(), h.From.Name
				}
				if err != nil || got != tt.want || from != tt.from {
					t.Errorf("%q: %q in %q, %v; want %q in %q", tt.name, got, from, err, tt.want, tt.from)
				}
			}
			if _, err := v.Find(v.Root, "loop/x"); err == nil {
				t.Error("a loop of links ends in a file")
			}
			v.Close()
		}
	}
}

// TestYoung: a file that was read too soon after its last change is read again,
// and an old one is not.
func TestYoung(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(root+"/cwd", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/cwd/a.h", []byte("#include <x>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := NewCache(func() time.Time { return now })
	w := c.World()
	for i, want := range []int64{1, 2, 3, 3, 3} {
		if i == 2 {
			now = now.Add(time.Minute)
		}
		v := view(t, w, root)
		h, err := v.Find(v.Cwd, "a.h")
		if err != nil {
			t.Fatal(err)
		}
		text, first, err := v.Text(h.File, AsSource)
		if err != nil || !first || len(text.Facts.Refs) != 1 {
			t.Fatal(text, first, err)
		}
		if c.Reads() != want {
			t.Errorf("look %d: %d reads, want %d", i, c.Reads(), want)
		}
		v.Close()
	}
}
