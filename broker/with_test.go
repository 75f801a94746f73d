package broker

import "testing"

func TestWith(t *testing.T) {
	tree := func(files ...string) *Dir {
		d := new(Dir)
		for i := 0; i+1 < len(files); i += 2 {
			d.Put(files[i], File{Blob: BytesBlob([]byte(files[i+1]))})
		}
		return d
	}
	a, b := tree("/p/a.c", "a", "/p/x.h", "x"), tree("/p/b.c", "b", "/p/x.h", "x", "/q/y.h", "y")
	both, err := a.With(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/p/a.c", "/p/b.c", "/p/x.h", "/q/y.h"} {
		if _, ok := both.File(name); !ok {
			t.Errorf("%s is not in both", name)
		}
	}
	if _, ok := a.File("/p/b.c"); ok || both.Validate() != nil {
		t.Errorf("a has changed, or both is malformed: %v", both.Validate())
	}
	if _, err := a.With(tree("/p/x.h", "other")); err == nil {
		t.Error("two texts of one file were taken")
	}
	if _, err := a.With(tree("/p/x.h/z", "z")); err == nil {
		t.Error("a file and a directory of one name were taken")
	}
	linked := tree("/p/c.c", "c")
	linked.Put("/p/d.c", File{Blob: BytesBlob([]byte("c")), Class: 1})
	if _, err := a.With(linked); err == nil {
		t.Error("classes of two trees were put together")
	}
	links := new(Dir)
	links.Mkdir("/p").Links = []Link{{"l", "a.c"}}
	other := new(Dir)
	other.Mkdir("/p").Links = []Link{{"l", "b.c"}}
	if _, err := links.With(other); err == nil {
		t.Error("two links of one name were taken")
	}
}

func TestClosedToLinks(t *testing.T) {
	for name, want := range map[string]bool{
		"/home/me/lib/libx.so": true, "/home/me/libx.so.1.2": true, "/home/me/x.o": true,
		"/lib/libx.so": false, "/usr/lib/x/libx.so.1": false, "/home/me/specs": false, "/etc/ld.so.preload": false,
	} {
		d := new(Dir)
		d.Put(name, File{Blob: BytesBlob(nil)})
		if _, why := d.ClosedToLinks(); (why == "") != want {
			t.Errorf("%s: %q", name, why)
		}
	}
	if d := new(Dir); true {
		d.Put("/home/me/libx.so", File{Blob: BytesBlob(nil)})
		if _, why := d.Closed(); why == "" {
			t.Error("a compile has a library of the client's")
		}
	}
}
