package views

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

const (
	// Nobody writes to a file of a view, its owner neither, and none is ever
	// executable: a helper runs no program of a client's.
	fileMode = 0o444
	dirMode  = 0o755
	// epoch is the time of files whose Modified is 0.
	epoch = 1_000_000_000
	// bufSize is how much of a file is read at a time; headers are smaller.
	bufSize = 128 << 10
	// maxWorkers copy at once. The work is the kernel's; two do it in half of the
	// time, and other jobs want processors as well.
	maxWorkers = 4
)

// A copier makes the files of one view.
type copier struct{ view *View }

// all copies files that are alone, by several goroutines where there are many.
func (c *copier) all(ctx context.Context, list []batch) error {
	var next atomic.Int64
	work := func() error {
		buf := c.view.pool.buffer()
		defer c.view.pool.buffers.Put(buf)
		for {
			i := int(next.Add(1)) - 1
			if i >= len(list) {
				return nil
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := c.batch(list[i], *buf); err != nil {
				return err
			}
		}
	}
	workers := min(len(list)/2, runtime.GOMAXPROCS(0), maxWorkers)
	if workers <= 1 {
		return work()
	}
	var g errgroup.Group
	for range workers {
		g.Go(work)
	}
	return g.Wait()
}

func (p *Pool) buffer() *[]byte {
	if b, ok := p.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, bufSize)
	return &b
}

func (c *copier) batch(b batch, buf []byte) error {
	dir, err := c.view.open(b.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", b.dir, err)
	}
	defer unix.Close(dir)
	for _, f := range b.files {
		err := c.file(dir, f, buf)
		if errors.Is(err, errContent) {
			return &broker.ChangedError{Path: path.Join(b.dir, f.Name)}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(b.dir, f.Name), err)
		}
	}
	return nil
}

// classes makes the files that have several names: a copy for the first of each
// class, and a hard link of that one for the others.
func (c *copier) classes(list []batch) error {
	first := map[int]batch{}
	for _, b := range list {
		class := b.files[0].Class
		if _, ok := first[class]; !ok {
			first[class] = b
			buf := c.view.pool.buffer()
			err := c.batch(b, *buf)
			c.view.pool.buffers.Put(buf)
			if err != nil {
				return err
			}
			continue
		}
		if err := c.link(first[class], b); err != nil {
			return fmt.Errorf("%s: %w", path.Join(b.dir, b.files[0].Name), err)
		}
	}
	return nil
}

func (c *copier) link(first, to batch) error {
	from, err := c.view.open(first.dir)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	dir, err := c.view.open(to.dir)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Linkat(from, first.files[0].Name, dir, to.files[0].Name, 0)
}

// file makes a new file in dir, and is an error unless it holds the very content
// that the digest names.
func (c *copier) file(dir int, f *broker.File, buf []byte) error {
	r, err := f.Blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	fd, err := unix.Openat(dir, f.Name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, fileMode)
	if err != nil {
		return err
	}
	err = pour(fd, r, f.Blob.Digest, buf)
	if err == nil && c.view.pool.masked {
		err = unix.Fchmod(fd, fileMode)
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	when := time.Unix(epoch, 0)
	if f.Modified != 0 {
		when = time.Unix(f.Modified, 0)
	}
	modified, err := unix.TimeToTimespec(when) // 32-bit machines end in 2038
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dir, f.Name, []unix.Timespec{modified, modified}, unix.AT_SYMLINK_NOFOLLOW)
}

// errContent says that a blob is not what its digest says. The store's blobs are,
// so it is a file of a client in this process.
var errContent = errors.New("content is not the digest's")

// pour writes the beginning of r, as much as d says, which must have d's hash.
// The store hashes a blob when it first reads it; not all blobs are the store's.
func pour(fd int, r io.Reader, d broker.Digest, buf []byte) error {
	h := sha256.New()
	for left := d.Size; left > 0; {
		n, err := io.ReadFull(r, buf[:min(left, int64(len(buf)))])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return errContent
		}
		if err != nil {
			return fmt.Errorf("blob %s: %w", d, err)
		}
		h.Write(buf[:n])
		if err := writeAll(fd, buf[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	if hex.EncodeToString(h.Sum(nil)) != d.Hash {
		return errContent
	}
	return nil
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(0, n):]
	}
	return nil
}
