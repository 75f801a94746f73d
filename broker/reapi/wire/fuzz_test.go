package wire

import (
	"errors"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
)

// FuzzJobOf hands a door arbitrary bytes as an action, or as the command and
// the directories of a right one. Whatever becomes a job is one that can be
// worded and read again.
func FuzzJobOf(f *testing.F) {
	a, err := NewWriter().ActionOf(testJob())
	if err != nil {
		f.Fatal(err)
	}
	var parts [][]byte
	for _, b := range a.Blobs() {
		data, err := b.Bytes(1 << 20)
		if err != nil {
			f.Fatal(err)
		}
		parts = append(parts, data)
	}
	for i, p := range parts {
		f.Add(p, parts[(i+1)%len(parts)], parts[(i+2)%len(parts)])
	}
	fresh := newForeign()
	command, _ := proto.Marshal(fresh.command)
	f.Add([]byte{}, command, parts[0])
	f.Fuzz(func(t *testing.T, action, command, directory []byte) {
		m := memory{}
		if _, err := JobFrom(action, command, m.source()); err != nil {
			checkKind(t, err)
		}
		raw := m.put(action)
		leaf := m.put(directory)
		root := m.message(&repb.Directory{Directories: []*repb.DirectoryNode{{Name: "d", Digest: leaf}}})
		made := m.message(&repb.Action{CommandDigest: m.put(command), InputRootDigest: root})
		for _, p := range []*repb.Digest{raw, made} {
			r, err := JobOf(broker.Digest{Hash: p.Hash, Size: p.SizeBytes}, m.source())
			if err != nil {
				checkKind(t, err)
				continue
			}
			if _, err := NewWriter().ActionOf(r.Job); err != nil {
				t.Errorf("job %+v can't be worded again: %v", r.Job, err)
			}
		}
	})
}

// checkKind: bytes of a peer are never this machine's failure.
func checkKind(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*broker.Refusal](err); !ok && !IsMissing(err) {
		t.Errorf("error is neither a refusal nor missing blobs: %v", err)
	}
}
