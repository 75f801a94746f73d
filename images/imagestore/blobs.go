package imagestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crosscc/crosscc/images"
)

// errRotten is a blob that is not what it was when it was verified, or gone. It is
// ErrAbsent too: to add the image again mends it.
var errRotten = fmt.Errorf("a blob was damaged in the store, and is removed; add the image again: %w", ErrAbsent)

// fetch takes the blob d from src, unless it is there, and verifies it. Two that
// want one blob wait for each other. done gets the bytes of it that are there.
func (s *Store) fetch(ctx context.Context, src *images.Source, d ocispec.Descriptor, manifest bool, done func(int64)) error {
	path := s.in("blobs", d.Digest.Encoded())
	l, err := s.await(ctx, blobLock(d.Digest), exclusive, nil)
	if err != nil {
		return err
	}
	defer l.remove()
	if info, err := os.Stat(path); err == nil {
		if info.Size() == d.Size {
			return nil
		}
		os.Remove(path) // of a crash of the machine
	}
	if err := s.makeRoom(ctx, d.Size, ""); err != nil {
		return err
	}
	in, err := src.Blob(ctx, d, manifest)
	if err != nil {
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	defer in.Close()
	temp := s.in("incoming", d.Digest.Encoded())
	if err := receive(ctx, temp, in, d, done); err != nil {
		os.Remove(temp)
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return os.Rename(temp, path)
}

// receive writes what in has to temp, and is content only with the blob d.
func receive(ctx context.Context, temp string, in io.Reader, d ocispec.Descriptor, done func(int64)) error {
	out, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	to := io.MultiWriter(out, sum, &meter{ctx: ctx, done: done})
	n, err := io.Copy(to, io.LimitReader(in, d.Size+1))
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	switch got := hex.EncodeToString(sum.Sum(nil)); {
	case n > d.Size:
		return fmt.Errorf("it has more than the %d bytes that it was said to have", d.Size)
	case n < d.Size:
		return fmt.Errorf("it is cut off: %d bytes of %d", n, d.Size)
	case got != d.Digest.Encoded():
		return fmt.Errorf("what came has the digest sha256:%s: it is damaged, or not what it is called", got)
	}
	return nil
}

// A meter tells how much went by, and ends it with its context.
type meter struct {
	ctx  context.Context
	n    int64
	done func(int64)
}

func (m *meter) Write(p []byte) (int, error) {
	if m.ctx.Err() != nil {
		return 0, context.Cause(m.ctx)
	}
	m.n += int64(len(p))
	m.done(m.n)
	return len(p), nil
}

// readBlob reads a small blob that is there, and verifies it again.
func (s *Store) readBlob(b images.Blob) ([]byte, error) {
	f, err := os.Open(s.in("blobs", b.Digest.Encoded()))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, b.Size+1))
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(data) != b.Digest {
		os.Remove(f.Name()) // the next try fetches it
		return nil, fmt.Errorf("blob %s: %w", b.Digest, errRotten)
	}
	return data, nil
}

// checkBlob verifies a blob that is there.
func (s *Store) checkBlob(b images.Blob) error {
	f, err := os.Open(s.in("blobs", b.Digest.Encoded()))
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("it is gone")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != b.Size || got != b.Digest.Encoded() {
		return fmt.Errorf("it has now %d bytes with the digest sha256:%s", n, got)
	}
	return nil
}
