package files

import (
	"os"
	"testing"
	"time"
)

// roots makes a directory that a view can take for a root, with /cwd/a.h.
func roots(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(root+"/cwd", 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, root+"/cwd/a.h")
	return root
}

func put(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// seek looks for a name in /cwd as the headers package does.
func seek(t *testing.T, v *View, name string) (found bool, trail Trail, proven bool) {
	t.Helper()
	v.Record()
	h, err := v.Find(v.Cwd, name)
	if err != nil {
		t.Fatal(err)
	}
	trail, proven = v.Recorded()
	return h.File != nil, trail, proven
}

// TestYoungListing: a listing of a directory that had just changed is no proof
// for later jobs, though the directory's times are the same.
func TestYoungListing(t *testing.T) {
	for _, age := range []time.Duration{0, time.Hour} {
		root := roots(t)
		w := NewCache(func() time.Time { return time.Now().Add(age) }).World()
		v := view(t, w, root)
		if found, _, proven := seek(t, v, "b.h"); found || !proven {
			t.Fatalf("found %v, proven %v", found, proven)
		}
		epoch, cwd := v.Epoch(), v.Cwd
		v.Close()
		put(t, root+"/cwd/b.h")
		v = view(t, w, root)
		v.Close()
		if v.Epoch() == epoch {
			t.Errorf("age %v: nobody saw that b.h is there", age)
		}
		// The same with a file system's clock that stood still meanwhile.
		v = view(t, w, root)
		if found, _, _ := seek(t, v, "c.h"); found {
			t.Fatal("c.h is there")
		}
		epoch = v.Epoch()
		v.Close()
		put(t, root+"/cwd/c.h")
		info, err := os.Stat(root + "/cwd")
		if err != nil {
			t.Fatal(err)
		}
		cwd.list.stat.mtime, cwd.list.stat.ctime = info.ModTime().UnixNano(), info.ModTime().UnixNano()
		v = view(t, w, root)
		found, _, _ := seek(t, v, "c.h")
		v.Close()
		if trusts := age > 0; found == trusts || v.Epoch() == epoch != trusts {
			t.Errorf("age %v: found %v, epoch %d then %d", age, found, epoch, v.Epoch())
		}
	}
}

// TestCrooked: where directories' times tell nothing, a name that was not there
// is looked for each time, and nothing rests on it.
func TestCrooked(t *testing.T) {
	root := roots(t)
	w := NewCache(func() time.Time { return time.Now().Add(time.Hour) }).World()
	v := view(t, w, root)
	v.Cwd.honest = false
	if found, _, proven := seek(t, v, "b.h"); found || proven {
		t.Errorf("found %v, proven %v", found, proven)
	}
	if _, _, proven := seek(t, v, "b.h"); proven {
		t.Error("proven by asking twice")
	}
	if found, trail, proven := seek(t, v, "a.h"); !found || !proven || len(trail) != 1 {
		t.Errorf("found %v, trail %v, proven %v", found, trail, proven)
	}
	h, err := v.Find(v.Cwd, "a.h")
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := v.Text(h.File, AsBytes); err != nil || text.digest.Size != 1 {
		t.Errorf("%v, %v", text, err)
	}
	v.Close()
	put(t, root+"/cwd/b.h")
	v = view(t, w, root)
	if found, _, proven := seek(t, v, "b.h"); !found || !proven {
		t.Errorf("then: found %v, proven %v", found, proven)
	}
	v.Close()
	if v.Cwd.honest {
		t.Error("the directory is honest again")
	}
}

// TestTrail: what a search met is looked at again, and a change of it ends the
// epoch.
func TestTrail(t *testing.T) {
	tests := []struct {
		name   string
		change func(root string) error
		stale  bool
	}{
		{"nothing", func(root string) error { return nil }, false},
		{"other content", func(root string) error { return os.WriteFile(root+"/cwd/a.h", []byte("new"), 0o644) }, false},
		{"another link", func(root string) error {
			return first(os.Remove(root+"/cwd/l"), os.Symlink("/cwd/../cwd", root+"/cwd/l"))
		}, true},
		{"the same link", func(root string) error {
			return first(os.Remove(root+"/cwd/l"), os.Symlink("/cwd", root+"/cwd/l"))
		}, false},
		{"no link", func(root string) error { return first(os.Remove(root+"/cwd/l"), os.Mkdir(root+"/cwd/l", 0o755)) }, true},
		{"a directory", func(root string) error {
			return first(os.Remove(root+"/cwd/a.h"), os.Mkdir(root+"/cwd/a.h", 0o755))
		}, true},
		{"a link for it", func(root string) error {
			return first(os.Rename(root+"/cwd/a.h", root+"/cwd/b.h"), os.Symlink("b.h", root+"/cwd/a.h"))
		}, true},
		{"gone", func(root string) error { return os.Remove(root + "/cwd/a.h") }, true},
		{"another directory", func(root string) error {
			return first(os.Rename(root+"/cwd", root+"/old"), os.Mkdir(root+"/cwd", 0o755))
		}, true},
	}
	for _, tt := range tests {
		root := roots(t)
		if err := os.Symlink("/cwd", root+"/cwd/l"); err != nil {
			t.Fatal(err)
		}
		w := NewCache(nil).World()
		v := view(t, w, root)
		found, trail, proven := seek(t, v, "l/a.h")
		if !found || !proven || len(trail) != 3 {
			t.Fatalf("%s: found %v, trail %v, proven %v", tt.name, found, trail, proven)
		}
		if err := v.Again(trail); err != nil || v.Stale() {
			t.Errorf("%s: %v, stale %v at once", tt.name, err, v.Stale())
		}
		v.Close()
		if err := tt.change(root); err != nil {
			t.Fatal(err)
		}
		epoch := v.Epoch()
		v = view(t, w, root)
		err := v.Again(trail)
		v.Close()
		if stale := v.Epoch() != epoch; stale != tt.stale || err != nil && !stale {
			t.Errorf("%s: stale %v, %v", tt.name, stale, err)
		}
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestPanic: a panic while a file is read goes its way, and leaves the World to
// others.
func TestPanic(t *testing.T) {
	root := roots(t)
	boom := false
	c := NewCache(func() time.Time {
		if boom {
			panic("boom")
		}
		return time.Now()
	})
	w := c.World()
	func() {
		v := view(t, w, root)
		defer func() { _ = recover() }()
		defer v.Close()
		h, err := v.Find(v.Cwd, "a.h")
		if err != nil {
			t.Fatal(err)
		}
		boom = true
		_, _, _ = v.Text(h.File, AsBytes)
	}()
	boom = false
	v := view(t, w, root)
	h, err := v.Find(v.Cwd, "a.h")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Text(h.File, AsBytes); err != nil {
		t.Error(err)
	}
	v.Close()
}
