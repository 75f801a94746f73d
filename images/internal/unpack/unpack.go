// Package unpack lays the layers of a container image out in a directory, for
// readers who trust neither the image nor its maker: nothing is made, read or
// removed outside of the directory, whatever names, links and sizes the layers have.
//
// Start with Tree. What one entry of a layer does is in entry.go, what whiteouts
// remove in whiteout.go; List tells what has come of it all.
package unpack

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Limits bound what an image may put on the disk, all layers together.
type Limits struct {
	Bytes   int64 // of the layers, expanded, and of the files
	Entries int   // files, directories and links, those that are replaced later too
	// Room is asked before more is put on the disk: bytes is what all files, directories
	// and links take then, each in whole blocks, those that are replaced later too. Its
	// error ends the layer. nil: there is room.
	Room func(bytes int64) error
}

// What bounds each image alike.
const (
	maxPath  = 1024     // bytes of an entry's name; the longest in Debian's packages have 250
	maxDepth = 64       // directories in it
	maxText  = 4095     // bytes of a symbolic link
	maxLinks = 40       // links on the way to an entry, as many as Linux follows
	maxNames = 64 << 20 // bytes of all names and links: they are kept in memory, and listed
	// maxSteps bounds the work for each entry that the limits allow: links and opaque
	// directories can make one entry as dear as a thousand.
	maxSteps = 32
	// zstdWindow bounds the decoder's memory. zstd's own --ultra -22 --long=27 fits.
	zstdWindow = 128 << 20
)

// A Tree is a directory that becomes an image's root, one layer after the other.
// It is for one goroutine.
type Tree struct {
	root   *os.Root
	limits Limits

	bytes   int64 // of expanded layers
	files   int64 // bytes of files
	disk    int64 // bytes of the disk, for Room
	entries int
	names   int // bytes of names and links
	skipped int // entries that are left out: devices, pipes
	steps   int // names that were looked at on the way

	known  map[string]bool // names that are directories, and no links
	at     string          // the directory that atRoot is open at
	atRoot *os.Root
	// touched are the names that the present layer made, and the directories above
	// them: whiteouts remove only what is of layers below.
	touched map[string]bool
	buf     []byte
}

// New makes a tree of the empty directory dir.
func New(dir string, limits Limits) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := root.Chmod(".", 0o755); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	t := &Tree{root: root, limits: limits, touched: make(map[string]bool), buf: make([]byte, 128<<10)}
	t.forget()
	return t, nil
}

// Close lets go of the directory.
func (t *Tree) Close() error {
	t.forget()
	return t.root.Close()
}

// Skipped is how many entries were left out because jobs have no use for them and
// could do harm by them: devices, pipes, sockets.
func (t *Tree) Skipped() int { return t.skipped }

// Layer lays one layer, as it is stored (plain tar, gzip or zstd), over those
// before it, and returns the SHA-256 of the expanded tar in hex: its diff id. After
// an error the tree is of no use.
func (t *Tree) Layer(ctx context.Context, r io.Reader) (diffID string, err error) {
	defer func() {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("it is cut off: %w", err)
		}
	}()
	expanded, err := expand(&contextReader{ctx, r})
	if err != nil {
		return "", err
	}
	defer expanded.Close()
	sum := sha256.New()
	bounded := &boundedReader{r: io.TeeReader(expanded, sum), done: &t.bytes, max: t.limits.Bytes}
	clear(t.touched)
	archive := tar.NewReader(bounded)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		// An insecure name is refused below, with a better reason.
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return "", fmt.Errorf("read tar: %w", err)
		}
		// A sparse file's zeros come without anything being read.
		if err := t.entry(h, &contextReader{ctx, archive}); err != nil {
			return "", fmt.Errorf("entry %.200q: %w", h.Name, err)
		}
	}
	// What follows the archive's end belongs to the digest.
	if _, err := io.CopyBuffer(io.Discard, bounded, t.buf); err != nil {
		return "", fmt.Errorf("read after tar: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// expand decompresses r, which says by its first bytes what it is: the media types
// of docker archives do not. A wrong guess fails at the diff id.
func expand(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err // a nil *gzip.Reader is no nil io.ReadCloser
		}
		return z, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}

// A contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// A boundedReader counts what is read and fails at a bound: a layer of some
// kilobytes may expand to terabytes.
type boundedReader struct {
	r    io.Reader
	done *int64
	max  int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if *b.done += int64(n); *b.done > b.max {
		return 0, fmt.Errorf("the image expands to more than %d bytes, which is the limit", b.max)
	}
	return n, err
}

// forget drops what is known of directories.
func (t *Tree) forget() {
	t.known = map[string]bool{".": true}
	if t.atRoot != nil {
		_ = t.atRoot.Close()
		t.at, t.atRoot = "", nil
	}
}

// in is the directory dir, which resolve returned, for the names in it.
func (t *Tree) in(dir string) (*os.Root, error) {
	if t.atRoot != nil && t.at == dir {
		return t.atRoot, nil
	}
	r, err := t.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if t.atRoot != nil {
		_ = t.atRoot.Close()
	}
	t.at, t.atRoot = dir, r
	return r, nil
}

// count counts one more thing on the disk.
func (t *Tree) count(name string) error {
	t.entries++
	if t.entries > t.limits.Entries {
		return fmt.Errorf("the image has more than %d entries, which is the limit", t.limits.Entries)
	}
	if err := t.name(name); err != nil {
		return err
	}
	return t.reserve(block)
}

// name counts the bytes of a name or a link.
func (t *Tree) name(text string) error {
	if t.names += len(text); t.names > maxNames {
		return fmt.Errorf("names and links in the image have more than %d bytes, which is the limit", maxNames)
	}
	return nil
}

// reserve counts bytes of the disk before they are taken.
func (t *Tree) reserve(bytes int64) error {
	t.disk += bytes
	if t.limits.Room == nil {
		return nil
	}
	return t.limits.Room(t.disk)
}

// work counts n names that were looked at.
func (t *Tree) work(n int) error {
	if t.steps += n; t.steps > maxSteps*t.limits.Entries {
		return errors.New("the image has too many links and whiteouts to be followed")
	}
	return nil
}

// touch marks name as of the present layer, with the directories above it.
func (t *Tree) touch(name string) {
	for name != "." && !t.touched[name] {
		t.touched[name] = true
		name = path.Dir(name)
	}
}
