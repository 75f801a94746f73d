package wire

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/broker"
)

func TestBadTrees(t *testing.T) {
	files := func(names ...string) func(*foreign) *repb.Directory {
		return func(f *foreign) *repb.Directory {
			d := &repb.Directory{}
			for _, n := range names {
				d.Files = append(d.Files, &repb.FileNode{Name: n, Digest: f.put([]byte("x"))})
			}
			return d
		}
	}
	directories := func(names ...string) func(*foreign) *repb.Directory {
		return func(f *foreign) *repb.Directory {
			d := &repb.Directory{}
			for _, n := range names {
				d.Directories = append(d.Directories, &repb.DirectoryNode{Name: n, Digest: f.message(&repb.Directory{})})
			}
			return d
		}
	}
	tests := map[string]struct {
		root func(f *foreign) *repb.Directory
		want string
	}{
		"slash":         {files("a/b"), "not a file name"},
		"absolute":      {files("/etc"), "not a file name"},
		"dot":           {files("."), "not a file name"},
		"dot dot":       {files(".."), "not a file name"},
		"empty name":    {files(""), "not a file name"},
		"NUL":           {files("a\x00b"), "not a file name"},
		"long name":     {files(strings.Repeat("n", 256)), "not a file name"},
		"dir slash":     {directories("a/b"), "not a file name"},
		"dir dot dot":   {directories(".."), "not a file name"},
		"twice":         {files("a", "a"), "twice"},
		"unsorted":      {files("b", "a"), "not sorted"},
		"unsorted dirs": {directories("b", "a"), "not sorted"},
		"file and dir": {func(f *foreign) *repb.Directory {
			d := files("a")(f)
			d.Directories = directories("a")(f).Directories
			return d
		}, "twice"},
		"link and file": {func(f *foreign) *repb.Directory {
			d := files("a")(f)
			d.Symlinks = []*repb.SymlinkNode{{Name: "a", Target: "/w"}}
			return d
		}, "twice"},
		"link to nothing": {func(*foreign) *repb.Directory {
			return &repb.Directory{Symlinks: []*repb.SymlinkNode{{Name: "a"}}}
		}, "no path"},
		"hard link number": {func(f *foreign) *repb.Directory {
			d := files("a")(f)
			d.Files[0].NodeProperties = &repb.NodeProperties{Properties: []*repb.NodeProperty{{Name: linkProperty, Value: "-1"}}}
			return d
		}, "property"},
		"no digest": {func(*foreign) *repb.Directory {
			return &repb.Directory{Files: []*repb.FileNode{{Name: "a"}}}
		}, "digest is missing"},
		"negative size": {func(*foreign) *repb.Directory {
			return &repb.Directory{Files: []*repb.FileNode{{Name: "a", Digest: &repb.Digest{Hash: emptyHash, SizeBytes: -1}}}}
		}, "digest"},
		"empty with a wrong hash": {func(*foreign) *repb.Directory {
			return &repb.Directory{Files: []*repb.FileNode{{Name: "a", Digest: &repb.Digest{Hash: strings.Repeat("0", 64)}}}}
		}, "digest"},
		"overflowing sizes": {func(*foreign) *repb.Directory {
			d := &repb.Directory{}
			for _, n := range []string{"a", "b", "c"} {
				d.Files = append(d.Files, &repb.FileNode{Name: n, Digest: &repb.Digest{Hash: strings.Repeat("1", 64), SizeBytes: math.MaxInt64}})
			}
			return d
		}, "bytes"},
		"three GiB by sharing": {func(f *foreign) *repb.Directory {
			big := &repb.Digest{Hash: strings.Repeat("1", 64), SizeBytes: 1 << 29}
			shared := f.message(&repb.Directory{Files: []*repb.FileNode{{Name: "a", Digest: big}}})
			d := &repb.Directory{}
			for i := range 6 {
				d.Directories = append(d.Directories, &repb.DirectoryNode{Name: fmt.Sprint(i), Digest: shared})
			}
			return d
		}, "bytes"},
		"too deep":           {func(f *foreign) *repb.Directory { return f.nest(1, broker.MaxDepth+1, "d") }, "deeper"},
		"2^30 paths":         {func(f *foreign) *repb.Directory { return f.nest(2, 30, "d") }, "entries"},
		"2^60 paths no leaf": {func(f *foreign) *repb.Directory { return f.nest(2, 60, "") }, "paths"},
		"long path":          {func(f *foreign) *repb.Directory { return f.nest(1, 20, strings.Repeat("d", 240)) }, "path"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newForeign()
			f.root = tt.root(f)
			began := time.Now()
			_, err := f.read()
			wantRejected(t, err, tt.want)
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// nest makes a tree of depth levels, each directory with width children that
// are one and the same.
func (f *foreign) nest(width, depth int, name string) *repb.Directory {
	d := &repb.Directory{}
	if name != "" {
		d.Files = []*repb.FileNode{{Name: "leaf", Digest: f.put([]byte("x"))}}
	}
	for range depth {
		digest := f.message(d)
		d = &repb.Directory{}
		for i := range width {
			d.Directories = append(d.Directories, &repb.DirectoryNode{Name: fmt.Sprint(name, "d", i), Digest: digest})
		}
	}
	return d
}

func TestDeepestTree(t *testing.T) {
	f := newForeign()
	f.root = f.nest(1, broker.MaxDepth, "d")
	r, err := f.read()
	if err != nil {
		t.Fatalf("tree of depth %d: %v", broker.MaxDepth, err)
	}
	files := 0
	for _, e := range r.Job.Root.All() {
		if e.File != nil {
			files++
		}
	}
	if files != 1 {
		t.Errorf("tree of depth %d: %d files, want 1", broker.MaxDepth, files)
	}
}

// A tree that names itself can't be made with honest digests; a source that
// hands one out anyway must not hang the walker.
func TestCycle(t *testing.T) {
	f := newForeign()
	self := &repb.Digest{Hash: strings.Repeat("c", 64), SizeBytes: 75}
	f.root = &repb.Directory{Directories: []*repb.DirectoryNode{{Name: "a", Digest: self}}}
	f.memory[mustDigest(t, self)] = f.memory[mustDigest(t, f.message(f.root))]
	_, err := f.read()
	wantRejected(t, err, "deeper")
}

func TestDirectories(t *testing.T) {
	f := newForeign()
	root := mustDigest(t, f.message(f.nest(3, 5, "d")))
	n := 0
	count := func(*repb.Directory) error { n++; return nil }
	if err := Directories(root, f.source(), count); err != nil || n != 6 {
		t.Errorf("%d directories, %v, want 6", n, err)
	}
	delete(f.memory, root)
	if err := Directories(root, f.source(), count); !IsMissing(err) {
		t.Errorf("without the root: %v, want it missing", err)
	}
}

func mustDigest(t *testing.T, p *repb.Digest) broker.Digest {
	t.Helper()
	d, err := DigestFromProto(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
