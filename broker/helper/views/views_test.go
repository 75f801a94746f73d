package views

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	o.Dir = memory(t)
	if o.Bytes == 0 {
		o.Bytes = 1 << 30
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if left, _ := os.ReadDir(o.Dir); len(left) > 0 {
			t.Errorf("%d views were left behind", len(left))
		}
	})
	return p
}

// memory is a directory that costs no disk, where there is one.
func memory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "views-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func take(t testing.TB, p *Pool, root *broker.Dir) *View {
	t.Helper()
	if err := root.Validate(); err != nil {
		t.Fatal(err)
	}
	v, err := p.Take(context.Background(), root)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func text(s string) broker.File { return broker.File{Blob: broker.BytesBlob([]byte(s))} }

// treeOf is a tree of words: "/a/b=text" is a file, "/a/b>target" a link, "/a/b/"
// a directory. A text may have a time "@5" and a class "#1" behind it.
func treeOf(words ...string) *broker.Dir {
	d := new(broker.Dir)
	for _, w := range words {
		if name, ok := strings.CutSuffix(w, "/"); ok {
			d.Mkdir(name)
			continue
		}
		if name, target, ok := strings.Cut(w, ">"); ok {
			in := d.Mkdir(path.Dir(name))
			in.Links = append(in.Links, broker.Link{Name: path.Base(name), Target: target})
			slices.SortFunc(in.Links, func(a, b broker.Link) int { return strings.Compare(a.Name, b.Name) })
			continue
		}
		name, content, _ := strings.Cut(w, "=")
		content, class, _ := strings.Cut(content, "#")
		content, modified, _ := strings.Cut(content, "@")
		f := text(content)
		_, _ = fmt.Sscan(class, &f.Class)
		_, _ = fmt.Sscan(modified, &f.Modified)
		d.Put(name, f)
	}
	return d
}

// check holds what is on disk against the tree.
func check(t *testing.T, v *View, root *broker.Dir) {
	t.Helper()
	want := map[string]broker.Entry{"/": {Dir: root}}
	for name, e := range root.All() {
		want[name] = e
	}
	inodes := map[uint64]int{} // inode → class, or -1 for one that is alone
	err := filepath.WalkDir(v.Path(), func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := path.Clean("/" + strings.TrimPrefix(p, v.Path()))
		e, ok := want[name]
		if !ok {
			t.Errorf("%s is not in the tree", name)
		}
		delete(want, name)
		return checkEntry(t, p, name, e, inodes)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func checkEntry(t *testing.T, p, name string, e broker.Entry, inodes map[uint64]int) error {
	t.Helper()
	st, err := os.Lstat(p)
	if err != nil {
		return err
	}
	mode, class := fs.ModeDir|dirMode, -1
	switch {
	case e.Link != nil:
		mode = fs.ModeSymlink | 0o777
		if target, err := os.Readlink(p); err != nil || target != e.Link.Target {
			t.Errorf("link %s leads to %q, %v", name, target, err)
		}
	case e.File != nil:
		mode = fileMode
		if e.File.Class != 0 {
			class = e.File.Class
		}
		got, err := os.ReadFile(p)
		if err != nil || broker.DigestOf(got) != e.File.Blob.Digest {
			t.Errorf("file %s has %d other bytes, %v", name, len(got), err)
		}
		if modified := st.ModTime().Unix(); e.File.Modified != modified && (e.File.Modified != 0 || modified != epoch) {
			t.Errorf("file %s is of %d, want %d", name, modified, e.File.Modified)
		}
	}
	if st.Mode() != mode {
		t.Errorf("%s has mode %s, want %s", name, st.Mode(), mode)
	}
	ino := st.Sys().(*syscall.Stat_t).Ino
	if other, ok := inodes[ino]; ok && (class < 0 || other != class) {
		t.Errorf("%s shares its inode", name)
	}
	for i, other := range inodes {
		if class > 0 && other == class && i != ino {
			t.Errorf("%s is not a hard link of the others of class %d", name, class)
		}
	}
	inodes[ino] = class
	return nil
}

// TestPatch goes from each tree to each other in one view.
func TestPatch(t *testing.T) {
	trees := map[string]*broker.Dir{
		"empty":          treeOf(),
		"files":          treeOf("/w/a.c=int a;", "/w/b.h=x", "/w/c.h=x", "/top="),
		"other contents": treeOf("/w/a.c=int b;", "/w/b.h=x", "/top=top"),
		"other times":    treeOf("/w/a.c=int a;@5", "/w/b.h=x@1700000000", "/w/c.h=x", "/top="),
		"empty dirs":     treeOf("/w/", "/v/x/", "/usr/lib/gcc/"),
		"dirs for files": treeOf("/w/a.c/x=1", "/w/b.h/", "/top/top/top=1"),
		"links":          treeOf("/w>v", "/v/a.c=int a;", "/v/up>..", "/v/away>/etc/passwd", "/v/nowhere>../../../../../x"),
		"links for dirs": treeOf("/v>/etc", "/w/a.c>b.h", "/w/b.h=x", "/usr>w"),
		"other links":    treeOf("/v>/tmp", "/w/a.c>../w/b.h", "/w/b.h=y"),
		"one class":      treeOf("/w/b.h=x#1", "/w/c.h=x#1", "/v/d.h=x#1"),
		"less of it":     treeOf("/w/b.h=x#1", "/w/c.h=x#1", "/v/d.h=x"),
		"two classes":    treeOf("/v/a.h=x#1", "/w/b.h=x#2", "/w/c.h=x#2", "/v/d.h=x#1"),
		"other numbers":  treeOf("/v/a.h=x#7", "/w/b.h=x#3", "/w/c.h=x#3", "/v/d.h=x#7"),
		"class of one":   treeOf("/w/b.h=x#1", "/w/c.h=x"),
		"class changes":  treeOf("/w/b.h=y#1", "/w/c.h=y#1", "/v/d.h=y#1"),
		"deep":           treeOf("/" + strings.Repeat("d/", 60) + "x=deep"),
		"odd names":      treeOf("/w/a b=1", "/w/-x=2", "/w/.hidden=3", "/w/\xff\xfe=4", "/w/..x/y=5"),
		"many":           many(70),
		"many others":    many(60),
	}
	for from, a := range trees {
		for to, b := range trees {
			p := newPool(t, Options{})
			p.Return(take(t, p, a))
			v := p.free[0]
			p.free = nil
			want, err := shownOf(b)
			if err == nil {
				err = v.patch(t.Context(), b, want)
			}
			if err != nil {
				t.Errorf("from %s to %s: %v", from, to, err)
			}
			t.Logf("from %s to %s", from, to)
			check(t, v, b)
			p.Return(v)
		}
	}
}

func many(n int) *broker.Dir {
	d := new(broker.Dir)
	for i := range n {
		d.Put(fmt.Sprintf("/usr/include/d%d/h%d.h", i%9, i), text(strings.Repeat(fmt.Sprint(i, n%3), i)))
	}
	return d
}

// TestRandom goes from tree to tree as a build would not.
func TestRandom(t *testing.T) {
	before, _ := os.ReadDir("/proc/self/fd")
	r := rand.New(rand.NewPCG(3, 4))
	p := newPool(t, Options{Free: 3})
	for range 300 {
		d := new(broker.Dir)
		for i := range r.IntN(12) {
			dir := strings.Repeat("/d", r.IntN(3)) + fmt.Sprintf("/e%d", r.IntN(2))
			name := path.Join(dir, fmt.Sprintf("n%d", i))
			switch r.IntN(4) {
			case 0:
				d.Mkdir(name)
			case 1:
				in := d.Mkdir(dir)
				in.Links = append(in.Links, broker.Link{Name: path.Base(name), Target: fmt.Sprint(r.IntN(2))})
				slices.SortFunc(in.Links, func(a, b broker.Link) int { return strings.Compare(a.Name, b.Name) })
			default:
				f := text(fmt.Sprint(r.IntN(2)))
				if f.Class = r.IntN(4); f.Class > 0 {
					f = text("class")
					f.Class = 1 + r.IntN(2)
				}
				d.Put(name, f)
			}
		}
		v := take(t, p, d)
		check(t, v, d)
		p.Return(v)
	}
	p.tidy.Wait()
	if after, _ := os.ReadDir("/proc/self/fd"); len(after) > len(before)+p.o.Free {
		t.Errorf("%d descriptors are open, %d were before", len(after), len(before))
	}
}

// A blob that is not what its digest says leaves no view behind.
func TestBadBlobs(t *testing.T) {
	good := []byte(strings.Repeat("good\n", 100_000))
	for name, open := range map[string]func() (io.ReadCloser, error){
		"short": func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(good[1:])), nil },
		"none":  func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(nil)), nil },
		"wrong": func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(append([]byte("b"), good[1:]...))), nil
		},
		"not there": func() (io.ReadCloser, error) { return nil, fs.ErrNotExist },
		"breaks": func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(good[:9]), broken{})), nil
		},
		"other order": func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(append(good[5:], "x"...))), nil },
	} {
		p := newPool(t, Options{})
		base := treeOf("/w/a.c=1")
		p.Return(take(t, p, base))
		bad := treeOf("/w/a.c=1", "/w/b.h=2")
		bad.Put("/w/c.h", broker.File{Blob: broker.FileBlob(broker.DigestOf(good), open)})
		v, err := p.Take(t.Context(), bad)
		if err == nil {
			t.Errorf("%s: a view of %v", name, v.shows)
		}
		trouble := name == "not there" || name == "breaks"
		if c, ok := errors.AsType[*broker.ChangedError](err); ok == trouble || ok && c.Path != "/w/c.h" {
			t.Errorf("%s: got %v", name, err)
		}
		p.tidy.Wait()
		if left, _ := os.ReadDir(p.o.Dir); len(left) != 0 || len(p.free) != 0 || p.bytes != 0 {
			t.Errorf("%s: %d views of %d bytes are left", name, len(left), p.bytes)
		}
		v = take(t, p, base)
		check(t, v, base)
		p.Return(v)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, syscall.EIO }

func TestClassesMustAgree(t *testing.T) {
	for _, words := range [][]string{{"/a=x#1", "/b=y#1"}, {"/a=x#1", "/d/b=x@5#1"}} {
		p := newPool(t, Options{})
		v, err := p.Take(t.Context(), treeOf(words...))
		if _, ok := errors.AsType[*Malformed](err); !ok {
			t.Errorf("%q: got %v, %v, want a malformed tree", words, v, err)
		}
	}
}

// A view that somebody has changed is noticed at the latest where the change
// stands in the way, and dropped; nothing outside is touched.
func TestTampered(t *testing.T) {
	outside := memory(t)
	if err := os.WriteFile(filepath.Join(outside, "a.c"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(dir string) error{
		"directory is a link": func(dir string) error {
			return errors.Join(os.RemoveAll(dir+"/w"), os.Symlink(outside, dir+"/w"))
		},
		"file is a directory": func(dir string) error {
			return errors.Join(os.Remove(dir+"/w/a.c"), os.Mkdir(dir+"/w/a.c", 0o755))
		},
		"directory is a link of the tree's": func(dir string) error {
			return errors.Join(os.Rename(dir+"/w", dir+"/v"), os.Symlink("v", dir+"/w"))
		},
		"link too many": func(dir string) error { return os.Symlink(outside+"/a.c", dir+"/w/new.h") },
		"file too many": func(dir string) error { return os.Link(outside+"/a.c", dir+"/w/new.h") },
		"file gone":     func(dir string) error { return os.Remove(dir + "/w/a.c") },
	} {
		p := newPool(t, Options{})
		v := take(t, p, treeOf("/w/a.c=1", "/w/b.h=2", "/w/c.h=3"))
		if err := change(v.Path()); err != nil {
			t.Fatal(err)
		}
		p.Return(v)
		if v, err := p.Take(t.Context(), treeOf("/w/a.c=2", "/w/b.h=2", "/w/c.h=3", "/w/new.h=4")); err == nil {
			t.Errorf("%s: was not noticed: %v", name, v)
		}
		if got, err := os.ReadFile(filepath.Join(outside, "a.c")); err != nil || string(got) != "kept" {
			t.Errorf("%s: outside is %q, %v", name, got, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	p := newPool(t, Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	if v, err := p.Take(ctx, treeOf("/a=1")); !errors.Is(err, why) {
		t.Errorf("got %v, %v", v, err)
	}
}

// TestChoice: the view with the fewest changes is taken, and a new one is made
// where each needs as many as that.
func TestChoice(t *testing.T) {
	p := newPool(t, Options{Free: 10})
	x, y := many(100), treeOf("/v/a=1", "/v/b=2", "/v/c=3")
	vx := take(t, p, x)
	vy := take(t, p, y)
	p.Return(vx)
	p.Return(vy)
	x.Put("/usr/include/new.h", text("new"))
	got := take(t, p, x)
	if got != vx {
		t.Error("the view that lacks one header was not taken")
	}
	y.Put("/v/d", text("4"))
	if again := take(t, p, y); again != vy {
		t.Error("the view that lacks one file was not taken")
	} else {
		p.Return(again)
	}
	p.Return(got)
	other := take(t, p, treeOf("/o/a=1", "/o/b=2"))
	if other == vx || other == vy {
		t.Error("another project's view was taken apart for a small one")
	}
	p.Return(other)
}

func TestBounds(t *testing.T) {
	p := newPool(t, Options{Free: 3, Bytes: 20 * block})
	var views []*View
	for i := range 6 {
		views = append(views, take(t, p, treeOf(fmt.Sprintf("/%d/a=1", i)))) // three blocks each
	}
	for _, v := range views {
		p.Return(v)
	}
	if len(p.free) != 3 || p.free[0] != views[3] || p.bytes != 9*block {
		t.Errorf("%d views of %d blocks are free, want the last 3 of 9", len(p.free), p.bytes/block)
	}
	big := take(t, p, treeOf("/big="+strings.Repeat("x", 12*block)))
	if len(p.free) != 2 || p.free[0] != views[4] {
		t.Errorf("%d views are free beside a large one, want the last 2", len(p.free))
	}
	huge := take(t, p, treeOf("/big="+strings.Repeat("y", 40*block)))
	p.Return(big)
	p.Return(huge)
	p.tidy.Wait()
	if left, _ := os.ReadDir(p.o.Dir); len(left) != 0 || p.bytes != 0 {
		t.Errorf("%d views of %d bytes are left after one that is larger than all may be", len(left), p.bytes)
	}
}

func TestEach(t *testing.T) {
	p := newPool(t, Options{Each: 4 * block})
	p.Return(take(t, p, treeOf("/a="+strings.Repeat("x", 3*block))))
	if v, err := p.Take(t.Context(), treeOf("/a="+strings.Repeat("x", 3*block+1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, %v", v, err)
	}
}

func TestClosed(t *testing.T) {
	p := newPool(t, Options{})
	v := take(t, p, treeOf("/a=1"))
	p.Return(take(t, p, treeOf("/b=1")))
	p.Close()
	if _, err := p.Take(t.Context(), treeOf()); !errors.Is(err, ErrClosed) {
		t.Errorf("Take after Close: %v", err)
	}
	p.Return(v)
	p.tidy.Wait()
}

// TestAtOnce: many jobs, few trees; each sees its own.
func TestAtOnce(t *testing.T) {
	p := newPool(t, Options{Free: 2})
	trees := []*broker.Dir{many(60), many(50), treeOf("/w/a=1", "/w/b=1#1", "/w/c=1#1"), treeOf("/w>v", "/v/x=1")}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				root := trees[(i+n)%len(trees)]
				v, err := p.Take(context.Background(), root)
				if err != nil {
					t.Error(err)
					return
				}
				check(t, v, root)
				p.Return(v)
			}
		})
	}
	wg.Wait()
}

// TestUmask: a daemon's umask does not keep the sandbox's user out. It is the
// process's, so the test runs again in one of its own.
func TestUmask(t *testing.T) {
	if os.Getenv("VIEWS_TEST_UMASK") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestUmask$", "-test.v")
		cmd.Env = append(os.Environ(), "VIEWS_TEST_UMASK=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "with a umask") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	p := newPool(t, Options{})
	if p.masked {
		t.Error("masked without a umask")
	}
	defer syscall.Umask(syscall.Umask(0o077))
	p = newPool(t, Options{})
	root := treeOf("/w/a=1", "/w/d/", "/w/b=1#1", "/w/c=1#1")
	v := take(t, p, root)
	check(t, v, root)
	p.Return(v)
	t.Log("with a umask")
}

// What a view remembers is nothing of the blobs' contents.
func TestNoContentsKept(t *testing.T) {
	s, err := shownOf(treeOf("/w/a=1"))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := s.root.File("/w/a")
	r, err := f.Blob.Open()
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); len(b) != 0 {
		t.Errorf("kept %q", b)
	}
}
