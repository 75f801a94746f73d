// Package archive reads images from files: a directory in OCI layout, a tar of one,
// or what docker save writes. It finds blobs by their digests and believes them
// nothing; who reads them verifies.
//
// Start with Open.
package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// What bounds an archive's own parts.
const (
	maxMembers  = 100_000  // of a tar; an image has some hundreds
	maxNames    = 32 << 20 // bytes of their names, which are kept in memory
	maxLayers   = 256      // of an image of docker save's; Docker itself makes at most 127
	maxDocument = 4 << 20  // bytes of a document: index, manifest, configuration
	maxHops     = 8        // links from one member to another
	// zstdWindow bounds the decoder's memory.
	zstdWindow = 128 << 20
)

// files are named contents, of a directory or an archive.
type files interface {
	// open opens a file; one that is not there is fs.ErrNotExist.
	open(name string) (r io.ReadCloser, size int64, err error)
	io.Closer
}

// A directory is files of a directory. No link in it leads out.
type directory struct{ root *os.Root }

func (d directory) Close() error { return d.root.Close() }

func (d directory) open(name string) (io.ReadCloser, int64, error) {
	info, err := d.root.Stat(name) // before a FIFO would be waited for
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file", name)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// A tarball is files of a tar that is not compressed, read in place.
type tarball struct {
	file    *os.File
	members map[string]member
}

type member struct {
	offset, size int64
	link         string // name of another member
}

func (t *tarball) Close() error { return t.file.Close() }

func (t *tarball) open(name string) (io.ReadCloser, int64, error) {
	for range maxHops {
		m, ok := t.members[name]
		if !ok {
			return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		if m.link == "" {
			return io.NopCloser(io.NewSectionReader(t.file, m.offset, m.size)), m.size, nil
		}
		name = m.link
	}
	return nil, 0, fmt.Errorf("%s: more than %d links", name, maxHops)
}

// openTar finds the members of f, which it owns from now on.
func openTar(f *os.File) (*tarball, error) {
	t := &tarball{file: f, members: make(map[string]member)}
	in := tar.NewReader(f) // seeks over what it does not read
	for names := 0; ; {
		h, err := in.Next()
		if err == io.EOF {
			return t, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("the archive is cut off")
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, fmt.Errorf("read tar: %w", err)
		}
		if len(t.members) >= maxMembers {
			return nil, fmt.Errorf("more than %d members", maxMembers)
		}
		if names += len(h.Name) + len(h.Linkname); names > maxNames {
			return nil, fmt.Errorf("the names of its members have more than %d bytes", maxNames)
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			t.members[name] = member{offset: at, size: h.Size}
		case tar.TypeSymlink: // docker save names a layer that several images share so
			t.members[name] = member{link: path.Join(path.Dir(name), h.Linkname)}
		case tar.TypeLink:
			t.members[name] = member{link: path.Clean(h.Linkname)}
		}
	}
}

// expanded is f, or an expanded copy of it in temp when it is compressed as a whole.
// The copy has no name: it is gone when it is closed.
func expanded(f *os.File, temp string, maxBytes int64) (*os.File, error) {
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	var in io.Reader
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		in, err = gzip.NewReader(f)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var z *zstd.Decoder
		z, err = zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err == nil {
			defer z.Close()
		}
		in = z
	case bytes.Equal(head, []byte("\xfd7zX")), bytes.HasPrefix(head, []byte("BZh")):
		return nil, errors.New("it is compressed with xz or bzip2: expand it first (unxz, bunzip2), or use gzip or zstd")
	default:
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Spool(in, temp, maxBytes)
}

// Spool copies r to a file in temp ("" is the system's place) that has no name and
// is gone when it is closed. More than maxBytes are an error.
func Spool(r io.Reader, temp string, maxBytes int64) (*os.File, error) {
	f, err := os.CreateTemp(temp, "image-")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name())
	n, err := io.Copy(f, io.LimitReader(r, maxBytes+1))
	if err == nil && n > maxBytes {
		err = fmt.Errorf("the archive has more than %d bytes, which is the limit", maxBytes)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// document reads a small file whole.
func document(in files, name string) ([]byte, error) {
	r, size, err := in.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes; %d are the limit", name, size, maxDocument)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxDocument))
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("%s is cut off", name)
	}
	return data, err
}

// familiar is the name in s, without a tag and without what Docker leaves out.
func familiar(s string) string {
	s, _, _ = strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		s = s[:i]
	}
	s = strings.TrimPrefix(s, "docker.io/")
	return strings.TrimPrefix(s, "library/")
}
