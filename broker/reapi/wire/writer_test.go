package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/crosscc/crosscc/broker"
)

// messageOf is d as REAPI's own message: what appendDirectory must write.
func messageOf(d *broker.Dir, subs []*directory) *repb.Directory {
	m := new(repb.Directory)
	for _, f := range d.Files {
		n := &repb.FileNode{Name: f.Name, Digest: DigestToProto(f.Blob.Digest)}
		if f.Modified != 0 || f.Class != 0 {
			n.NodeProperties = new(repb.NodeProperties)
		}
		if f.Modified != 0 {
			n.NodeProperties.Mtime = timestamppb.New(time.Unix(f.Modified, 0))
		}
		if f.Class != 0 {
			n.NodeProperties.Properties = []*repb.NodeProperty{{Name: linkProperty, Value: fmt.Sprint(f.Class)}}
		}
		m.Files = append(m.Files, n)
	}
	for i, s := range d.Dirs {
		m.Directories = append(m.Directories, &repb.DirectoryNode{Name: s.Name, Digest: DigestToProto(subs[i].digest)})
	}
	for _, l := range d.Links {
		m.Symlinks = append(m.Symlinks, &repb.SymlinkNode{Name: l.Name, Target: l.Target})
	}
	return m
}

func sameEncoding(t *testing.T, d *broker.Dir, subs []*directory) {
	t.Helper()
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(messageOf(d, subs))
	if err != nil {
		t.Fatal(err)
	}
	got, err := appendDirectory([]byte("before"), d, subs)
	if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("%+v:\n got %x, %v\nwant %x", d, got, err, want)
	}
}

func TestEncoding(t *testing.T) {
	blob := func(size int64) broker.Blob {
		return broker.FileBlob(broker.Digest{Hash: strings.Repeat("a", 64), Size: size}, nil)
	}
	file := func(name string, size, modified int64, class int) *broker.Dir {
		return &broker.Dir{Files: []broker.File{{Name: name, Blob: blob(size), Modified: modified, Class: class}}}
	}
	long := strings.Repeat("n", 255)
	for name, d := range map[string]*broker.Dir{
		"nothing":      {},
		"plain":        file("a.h", 1, 0, 0),
		"empty file":   file("a.h", 0, 0, 0),
		"huge":         file("a.h", 1<<62, 0, 0),
		"size of 127":  file("a.h", 127, 0, 0),
		"size of 128":  file("a.h", 128, 0, 0),
		"time":         file("a.h", 1, 1_800_000_000, 0),
		"before 1970":  file("a.h", 1, -1, 0),
		"class":        file("a.h", 1, 0, 99_999),
		"both":         file("a.h", 1, 1, 1),
		"long":         file(long, 1, 1<<40, 1<<40),
		"no UTF-8 but": file("ü.h", 1, 0, 0),
		"links":        {Links: []broker.Link{{Name: "a", Target: "b"}, {Name: long, Target: strings.Repeat("t/", 2000)}}},
		"all": {
			Files: []broker.File{{Name: "a", Blob: blob(5)}, {Name: "b", Blob: blob(300), Class: 3}},
			Links: []broker.Link{{Name: "c", Target: "a"}},
		},
	} {
		t.Run(name, func(t *testing.T) { sameEncoding(t, d, nil) })
	}
	t.Run("directories", func(t *testing.T) {
		d := &broker.Dir{Dirs: []broker.Subdir{{Name: "a"}, {Name: long}}, Files: []broker.File{{Name: "z", Blob: blob(1)}}}
		sameEncoding(t, d, []*directory{{digest: broker.DigestOf(nil)}, {digest: broker.DigestOf([]byte("x"))}})
	})
}

func FuzzEncoding(f *testing.F) {
	f.Add("a", "b", "target", int64(1), int64(0), 0)
	f.Add("", "", "", int64(0), int64(-1), 1)
	f.Add("\xff", "b", "\xff", int64(-1), int64(1<<60), -5)
	f.Fuzz(func(t *testing.T, name, link, target string, size, modified int64, class int) {
		d := &broker.Dir{
			Files: []broker.File{{Name: name, Blob: broker.FileBlob(broker.Digest{Hash: name, Size: size}, nil), Modified: modified, Class: class}},
			Links: []broker.Link{{Name: link, Target: target}},
		}
		got, err := appendDirectory(nil, d, nil)
		if err != nil {
			return // a name that is empty or not UTF-8
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(messageOf(d, nil))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x, %v", got, want, err)
		}
	})
}

// inputs are the digests of an action's inputs.
func inputs(t *testing.T, w *Writer, j *broker.Job) []broker.Digest {
	t.Helper()
	return mustWord(t, w, j).inputs()
}

func (a *Action) inputs() (list []broker.Digest) {
	for _, b := range slices.Concat(a.Directories, a.Files) {
		list = append(list, b.Digest)
	}
	return list
}

func mustWord(t *testing.T, w *Writer, j *broker.Job) *Action {
	t.Helper()
	a, err := w.ActionOf(j)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What the server has of one job is not named again for the next.
func TestWriterRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := func(source string) *broker.Job {
			j := testJob()
			j.Root = tree("/usr/include/a.h", "a", "/usr/include/b.h", "b", "/usr/include/sub/c.h", "c", "/w/src/x.c", source)
			return j
		}
		w := NewWriter()
		first := mustWord(t, w, job("1"))
		if n := len(first.inputs()); n != 10 { // six directories, four files
			t.Fatalf("%d inputs, want 10", n)
		}
		if n := len(inputs(t, w, job("1"))); n != 10 {
			t.Errorf("%d inputs before anything was heard", n)
		}
		first.Held()
		if n := len(inputs(t, w, job("1"))); n != 0 {
			t.Errorf("%d inputs of what the server has", n)
		}
		// Another source: it, and the directories above it.
		second := mustWord(t, w, job("2"))
		if n := len(second.inputs()); n != 4 || !slices.Contains(second.inputs(), broker.DigestOf([]byte("2"))) {
			t.Errorf("%d inputs for another source, want 4", n)
		}
		// What is heard of again stays known.
		time.Sleep(KnownFor - time.Minute)
		mustWord(t, w, job("3")).Held()
		time.Sleep(2 * time.Minute)
		if n := len(inputs(t, w, job("4"))); n != 4 {
			t.Errorf("%d inputs for a source after the headers were heard of again, want 4", n)
		}
		time.Sleep(KnownFor)
		if n := len(inputs(t, w, job("4"))); n != 10 {
			t.Errorf("%d inputs when all is old, want 10", n)
		}
	})
}

// A server that lost something is told of all of it; what was heard of an action
// that was made before does not count.
func TestWriterForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWriter()
		j := testJob()
		before := mustWord(t, w, j)
		before.Held()
		time.Sleep(time.Second)
		w.Forget()
		all := len(before.inputs())
		if n := len(inputs(t, w, j)); n != all {
			t.Errorf("%d inputs, want all %d", n, all)
		}
		time.Sleep(time.Second)
		before.Held()
		if n := len(inputs(t, w, j)); n != all {
			t.Errorf("%d inputs after an old action was heard of, want all %d", n, all)
		}
		time.Sleep(time.Second)
		mustWord(t, w, j).Held()
		if n := len(inputs(t, w, j)); n != 0 {
			t.Errorf("%d inputs after a new one was, want 0", n)
		}
	})
}

// A directory that is not held below one that is: nothing of it is named, and
// nothing elsewhere is lost by that.
func TestHeldAbove(t *testing.T) {
	w := NewWriter()
	j := testJob()
	j.Root = tree("/usr/include/a.h", "a")
	mustWord(t, w, j).Held()
	clear(w.worded.young)
	above := &broker.Dir{Dirs: j.Root.Dirs[0].Dir.Dirs} // the message of /usr
	j.Root = above
	mustWord(t, w, j)
	for _, d := range w.worded.young {
		if strings.Contains(d.value.text, "include") {
			d.value.seen = time.Now()
		}
	}
	j.Root = &broker.Dir{Dirs: []broker.Subdir{{Name: "usr", Dir: above}}, Files: []broker.File{{Name: "b.h", Blob: broker.BytesBlob([]byte("b"))}}}
	if got := inputs(t, w, j); len(got) != 2 || got[1] != broker.DigestOf([]byte("b")) {
		t.Errorf("inputs %v, want the root and its file", got)
	}
}

func TestWriterIsBounded(t *testing.T) {
	w := NewWriter()
	long := strings.Repeat("n", 200)
	for i := range 30_000 {
		j := testJob()
		j.Root = tree(fmt.Sprint("/usr/", i, long), "x")
		mustWord(t, w, j)
	}
	kept := 0
	for _, generation := range []map[uint64]sized[*directory]{w.worded.young, w.worded.old} {
		for _, d := range generation {
			kept += len(d.value.text)
		}
	}
	if kept > 2*maxWorded || kept < maxWorded {
		t.Errorf("%d bytes are remembered, want at most %d", kept, 2*maxWorded)
	}
}
