package files

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

// What only travels may be larger than what is looked into; both have the digest of their content, and the twin of what is
// behind a byte order mark.
func TestLargeFiles(t *testing.T) {
	root := roots(t)
	mark := append([]byte(byteOrderMark), bytes.Repeat([]byte("x"), pieceSize)...)
	if err := os.WriteFile(filepath.Join(root, "cwd/mark.o"), mark, 0o644); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(root, "cwd/large.a")
	if err := os.WriteFile(large, []byte("!<arch>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	v := view(t, NewCache(nil).World(), root)
	defer v.Close()
	find := func(name string) *File {
		h, err := v.Find(v.Cwd, name)
		if err != nil || h.File == nil {
			t.Fatalf("%s: %v", name, err)
		}
		return h.File
	}
	f, err := os.Open(large)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := broker.DigestReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := v.Text(find("large.a"), AsBytes); err != nil || text.digest != want || text.twin != want.Hash {
		t.Errorf("%+v, %v; want %s", text, err, want)
	}
	text, _, err := v.Text(find("mark.o"), AsBytes)
	if err != nil || text.digest != broker.DigestOf(mark) || text.twin != broker.DigestOf(mark[3:]).Hash {
		t.Errorf("with a mark: %+v, %v", text, err)
	}
	if again, _, err := v.Text(find("mark.o"), AsSource); err != nil || again.digest != text.digest || again.twin != text.twin {
		t.Errorf("as a source: %+v, %v; want what it is as bytes", again, err)
	}
	if text, _, err := v.Text(find("large.a"), AsSource); err == nil {
		t.Errorf("a source of 32 MiB: %+v", text)
	} else if u, ok := errors.AsType[*Unsound](err); !ok || u.Reason != TooLarge {
		t.Error(err)
	}
}
