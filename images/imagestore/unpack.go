package imagestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/internal/unpack"
)

// unpack makes an image's directory of its blobs, and then its record. The caller
// has the image's lock alone.
func (s *Store) unpack(ctx context.Context, r *record, progress func(Progress)) error {
	work := s.in("work", r.ID.Encoded())
	if err := os.RemoveAll(work); err != nil { // of one that was killed
		return fmt.Errorf("unpack image %s: %w", r.ID, err)
	}
	defer s.made(r.ID)
	// What is known of one that was unpacked before it has at once: two that grow beside
	// each other may end with too little for either.
	known, err := r.Size, error(nil)
	if known > 0 {
		err = s.makeRoom(ctx, known, r.ID)
	}
	if err == nil {
		err = s.unpackTo(ctx, work, r, known, progress)
	}
	if err == nil {
		err = s.makeRoom(ctx, r.Size, r.ID)
	}
	if err == nil {
		err = s.publish(ctx, work, r)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("unpack image %s: %w", r.ID, err), os.RemoveAll(work))
	}
	s.o.Logf("images: %s is unpacked: %d entries, %d bytes", r.Pin(), r.Entries, r.Size)
	return nil
}

// unpackTo lays the image out in work/root and lists it in work/list; it has room for so
// many bytes. r gets what came of it.
func (s *Store) unpackTo(ctx context.Context, work string, r *record, room int64, progress func(Progress)) error {
	root := filepath.Join(work, "root")
	if err := errors.Join(os.Mkdir(work, 0o755), os.Chmod(work, 0o755), os.Mkdir(root, 0o755)); err != nil {
		return err
	}
	tree, err := unpack.New(root, unpack.Limits{Bytes: s.o.Limits.Bytes, Entries: s.o.Limits.Entries, Room: s.room(ctx, r.ID, room)})
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	var done, total int64
	for _, l := range r.LayerList {
		total += l.Size
	}
	for i, l := range r.LayerList {
		tell := func(n int64) { progress(Progress{"unpack", l.Digest, done + n, total}) }
		tell(0)
		if err := s.layer(ctx, tree, l, r, tell); err != nil {
			return fmt.Errorf("layer %d of %d, %s: %w", i+1, len(r.LayerList), l.Digest, err)
		}
		done += l.Size
		tell(0)
	}
	r.Skipped = tree.Skipped()
	return r.list(root, filepath.Join(work, "list"))
}

// roomStep is how many bytes of an image may be put on the disk before room is made for
// them.
const roomStep = 64 << 20

// room makes room for an image that grows: before each of its files that is larger than
// a step, and after each step of smaller ones. It has room for known bytes.
func (s *Store) room(ctx context.Context, id digest.Digest, known int64) func(int64) error {
	roomy := known // bytes of the image that need not be asked for
	return func(bytes int64) error {
		if bytes < roomy {
			s.grows(id, max(bytes, known))
			return nil
		}
		roomy = bytes + roomStep
		return s.makeRoom(ctx, bytes, id)
	}
}

// layer lays one layer out, and verifies what it is.
func (s *Store) layer(ctx context.Context, tree *unpack.Tree, l images.Layer, r *record, tell func(int64)) error {
	f, err := os.Open(s.in("blobs", l.Digest.Encoded()))
	if errors.Is(err, os.ErrNotExist) {
		return errRotten
	}
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := tree.Layer(ctx, io.TeeReader(f, &meter{ctx: ctx, done: tell}))
	if err == nil && got != l.DiffID.Encoded() {
		err = fmt.Errorf("expanded it has the digest sha256:%s, and the image says %s", got, l.DiffID)
	}
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, ErrFull), errors.Is(err, unix.ENOSPC):
		return err
	case s.checkBlob(images.Blob{Digest: l.Digest, Size: l.Size}) != nil:
		os.Remove(f.Name()) // it is our disk's fault, not the image's
		return errRotten
	}
	return &refusal{err, r.Blobs}
}

// A refusal is an image that cannot be unpacked for what is in it.
type refusal struct {
	error
	blobs []images.Blob // of it
}

func (r *refusal) Unwrap() error { return r.error }

// list writes down what is in root.
func (r *record) list(root, path string) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	tally, err := unpack.List(root, io.MultiWriter(out, sum))
	r.List, r.Size, r.Entries = hex.EncodeToString(sum.Sum(nil)), tally.Bytes, tally.Entries
	return errors.Join(err, out.Close())
}

// publish gives an image that is whole to everybody: first what is known of it, so
// that no directory is there that nobody knows. All of it is on the disk before.
func (s *Store) publish(ctx context.Context, work string, r *record) error {
	if err := s.syncAll(); err != nil {
		return err
	}
	err := s.change(ctx, r.ID, func(old *record) *record {
		if old == nil {
			return r
		}
		merged := *r
		merged.Added = old.Added
		merged.Digests, merged.Names, merged.Blobs = union(old.Digests, r.Digests), union(old.Names, r.Names), union(old.Blobs, r.Blobs)
		merged.Shared = union(old.Shared, r.Shared)
		return &merged
	})
	if err != nil {
		return err
	}
	s.touch(r.ID) // it was not made to be evicted at once
	// One that nobody knows may stand there: its record was damaged.
	if err := s.discard(s.rootDir(r.ID)); err != nil {
		return err
	}
	return os.Rename(work, s.rootDir(r.ID))
}
