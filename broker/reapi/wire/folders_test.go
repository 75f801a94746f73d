package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
)

// A tree that was seen before is made without reading a message again, and what it
// needs is looked for again.
func TestSeenTree(t *testing.T) {
	j := testJob()
	a := mustWord(t, NewWriter(), j)
	m := memory{}
	m.store(t, a)
	from := m.source()
	from.Folders = NewFolders()
	if _, err := JobOf(a.Digest, from); err != nil {
		t.Fatal(err)
	}
	for _, d := range a.Directories {
		delete(m, d.Digest)
	}
	r, err := JobOf(a.Digest, from)
	if err != nil {
		t.Fatalf("though all directories were seen: %v", err)
	}
	if again := mustWord(t, NewWriter(), r.Job); again.Digest != a.Digest {
		t.Errorf("it became another job")
	}
	for _, f := range a.Files {
		kept := m[f.Digest]
		delete(m, f.Digest)
		_, err := JobOf(a.Digest, from)
		missing, ok := errors.AsType[*MissingError](err)
		if !ok || !slices.Equal(missing.Digests, []broker.Digest{f.Digest}) {
			t.Errorf("without %v: %v, want it missing", f.Digest, err)
		}
		m[f.Digest] = kept
	}
}

// What came with a call is as good as what is in the store, and is checked the same.
func TestRemember(t *testing.T) {
	a := mustWord(t, NewWriter(), testJob())
	m := memory{}
	for _, f := range a.Files {
		data, err := f.Bytes(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		m[f.Digest] = data
	}
	from := m.source()
	from.Folders = NewFolders()
	for _, d := range a.Directories {
		data, err := d.Bytes(1 << 20)
		if err == nil {
			err = from.Remember(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := JobFrom(a.Message, a.Command, from); err != nil {
		t.Error(err)
	}
	for name, message := range map[string][]byte{
		"garbage":     []byte("\xff\xff"),
		"many fields": []byte(strings.Repeat("\x0a\x00", maxFields+1)),
		"no digest":   encoded(t, &repb.Directory{Files: []*repb.FileNode{{Name: "a"}}}),
		"odd digest":  encoded(t, &repb.Directory{Directories: []*repb.DirectoryNode{{Name: "a", Digest: &repb.Digest{Hash: "../x"}}}}),
	} {
		err := from.Remember(message)
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != Rejected {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A directory that is used stays, however many others come and go; all of them
// together stay within the bound.
func TestFoldersAreBounded(t *testing.T) {
	from := memory{}.source()
	from.Folders = NewFolders()
	message := func(i, files int) []byte {
		d := new(repb.Directory)
		for k := range files {
			d.Files = append(d.Files, &repb.FileNode{Name: fmt.Sprint(i, "-", k), Digest: DigestToProto(broker.DigestOf([]byte("x")))})
		}
		return encoded(t, d)
	}
	used := message(-1, 3)
	if err := from.Remember(used); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := from.Remember(message(i, 100)); err != nil {
			t.Fatal(err)
		}
		if from.Folders.get(broker.DigestOf(used)) == nil {
			t.Fatal("a directory that is used went")
		}
	}
	var size int64
	for _, generation := range []map[broker.Digest]sized[*folder]{from.Folders.known.young, from.Folders.known.old} {
		for _, f := range generation {
			size += f.size
		}
	}
	if size > 2*maxFolders || size < maxFolders {
		t.Errorf("%d bytes are remembered, want at most %d", size, 2*maxFolders)
	}
	if from.Folders.get(broker.DigestOf(message(0, 100))) != nil {
		t.Error("the first one never went")
	}
}

// Two jobs that share decoded directories do not share what a door may change.
func TestSeenTreesAreApart(t *testing.T) {
	j := testJob()
	j.Root.Put("/w/lua/b.h", broker.File{Blob: broker.BytesBlob([]byte("b"))})
	a := mustWord(t, NewWriter(), j)
	m := memory{}
	m.store(t, a)
	from := m.source()
	from.Folders = NewFolders()
	first, err := JobOf(a.Digest, from)
	if err != nil {
		t.Fatal(err)
	}
	first.Job.Root.Put("/w/lua/.a.h", broker.File{Blob: broker.BytesBlob([]byte("x"))})
	first.Job.Root.Mkdir("/w/empty")
	second, err := JobOf(a.Digest, from)
	if err != nil {
		t.Fatal(err)
	}
	if again := mustWord(t, NewWriter(), second.Job); again.Digest != a.Digest {
		t.Error("the second job has what was put into the first")
	}
}
