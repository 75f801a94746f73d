package cas

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/crosscc/crosscc/broker"
)

// maxMemory is the size above which a blob goes to a file.
const maxMemory = 4 << 20

// A sink takes a blob in, at most as long as declared: in memory, or in a file
// without a name when it is large.
type sink struct {
	want broker.Digest
	hash hash.Hash
	size int64
	data []byte
	file *os.File // nil: in data
}

func newSink(want broker.Digest, dir string) (*sink, error) {
	s := &sink{want: want, hash: sha256.New()}
	if want.Size <= maxMemory {
		s.data = make([]byte, 0, want.Size)
		return s, nil
	}
	f, err := os.CreateTemp(dir, "crosscc-output-")
	if err != nil {
		return nil, fmt.Errorf("keep output: %w", err)
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("keep output: %w", err)
	}
	return s, nil
}

// fill takes all of r.
func (s *sink) fill(r io.Reader, packed bool) error {
	if packed {
		content, err := unpacked(r)
		if err != nil {
			return err
		}
		defer content.Close()
		r = content
	}
	_, err := io.Copy(s, r)
	return err
}

func (s *sink) Write(data []byte) (int, error) {
	if int64(len(data)) > s.want.Size-s.size {
		return 0, fmt.Errorf("more than the %d bytes of %s came", s.want.Size, s.want.Hash)
	}
	s.size += int64(len(data))
	s.hash.Write(data)
	if s.file == nil {
		s.data = append(s.data, data...)
		return len(data), nil
	}
	return s.file.Write(data)
}

func (s *sink) drop() {
	if s.file != nil {
		s.file.Close()
	}
}

// blob is what came, if it is what was wanted. Its file is closed when nobody
// holds the blob any more: os.File sees to that.
func (s *sink) blob() (broker.Blob, error) {
	got := broker.Digest{Hash: hex.EncodeToString(s.hash.Sum(nil)), Size: s.size}
	if got != s.want {
		s.drop()
		return broker.Blob{}, fmt.Errorf("content is %s, the server said %s", got, s.want)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s.data)), nil }
	if s.file != nil {
		open = func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(s.file, 0, s.size)), nil
		}
	}
	return broker.FileBlob(got, open), nil
}
