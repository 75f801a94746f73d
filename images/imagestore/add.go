package imagestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crosscc/crosscc/images"
)

// Progress tells how far an image has come.
type Progress struct {
	Stage string        // "fetch" or "unpack"
	Blob  digest.Digest // that is read
	Done  int64         // bytes, of all layers as they are stored
	Total int64
}

// Add takes an image from src: fetches the blobs that are not there, verifies all,
// and unpacks it. It returns when the image may be used. progress may be nil; it is
// called from one goroutine at a time.
//
// What was fetched stays when Add cannot go on, so that the next one has it; nothing
// stays of an image that is refused for what is in it.
func (s *Store) Add(ctx context.Context, src *images.Source, progress func(Progress)) (Entry, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	id, err := s.add(ctx, src, progress)
	if bad, ok := errors.AsType[*refusal](err); ok {
		s.collect(bad.blobs) // nothing will come of them
	}
	if err != nil {
		return Entry{}, fmt.Errorf("add image from %s: %w", src.From, err)
	}
	return s.Find(id)
}

func (s *Store) add(ctx context.Context, src *images.Source, progress func(Progress)) (digest.Digest, error) {
	// Blobs that no image has yet are not collected meanwhile.
	blobs, err := s.await(ctx, blobsLock, shared, nil)
	if err != nil {
		return "", err
	}
	defer blobs.release()
	r, err := s.describe(ctx, src)
	if err != nil {
		return "", err
	}
	enough := func() bool { return s.complete(r.ID) }
	l, err := s.await(ctx, imageLock(r.ID), exclusive, enough)
	if err != nil {
		return "", err
	}
	if l == nil || enough() { // it is there: under one more name perhaps
		if l != nil {
			l.release()
		}
		return r.ID, s.change(ctx, r.ID, func(old *record) *record { return merge(old, r) })
	}
	defer l.release()
	for range 2 {
		if err = s.fetchLayers(ctx, src, r.LayerList, progress); err != nil {
			return "", err
		}
		// A blob that rotted in the store is fetched again, once.
		if err = s.unpack(ctx, r, progress); !errors.Is(err, errRotten) {
			break
		}
	}
	return r.ID, err
}

// complete reports whether an image is known and unpacked.
func (s *Store) complete(id digest.Digest) bool {
	_, err := s.find(id)
	return err == nil && s.unpacked(id)
}

// describe fetches what describes the image: its manifest and configuration.
func (s *Store) describe(ctx context.Context, src *images.Source) (*record, error) {
	im, err := src.Describe(func(d ocispec.Descriptor, manifest bool) ([]byte, error) {
		if err := s.fetch(ctx, src, d, manifest, func(int64) {}); err != nil {
			return nil, err
		}
		return s.readBlob(images.Blob{Digest: d.Digest, Size: d.Size})
	}, s.o.Limits.Bytes)
	if err != nil {
		return nil, err
	}
	r := &record{Blobs: im.Blobs, LayerList: im.Layers, Entry: Entry{
		ID: im.ID, Digests: im.Digests, Shared: im.Shared, Names: im.Names, Platform: im.Platform, Labels: im.Labels, Env: im.Env,
		Layers: len(im.Layers), Added: s.o.Now(),
	}}
	for _, b := range r.Blobs {
		r.Packed += b.Size
	}
	// JSON of ours can be longer than theirs. Half of what a record may have is for what
	// comes besides: names, digests.
	data, err := json.Marshal(r)
	if err == nil && len(data) > maxRecord/2 {
		err = &refusal{fmt.Errorf("labels and environment of the image take %d bytes; %d are the limit", len(data), maxRecord/2), r.Blobs}
	}
	return r, err
}

// merge is old with what r says of the same image besides.
func merge(old, r *record) *record {
	if old == nil {
		return r
	}
	old.Digests, old.Names = union(old.Digests, r.Digests), union(old.Names, r.Names)
	old.Shared, old.Blobs = union(old.Shared, r.Shared), union(old.Blobs, r.Blobs)
	return old
}

func union[T comparable](a, b []T) []T {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}

// fetchLayers fetches those layers that are not there.
func (s *Store) fetchLayers(ctx context.Context, src *images.Source, layers []images.Layer, progress func(Progress)) error {
	var done, total int64
	for _, l := range layers {
		total += l.Size
	}
	for i, l := range layers {
		progress(Progress{"fetch", l.Digest, done, total})
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: l.Digest, Size: l.Size}
		err := s.fetch(ctx, src, d, false, func(n int64) { progress(Progress{"fetch", l.Digest, done + n, total}) })
		if err != nil {
			return &part{fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)}
		}
		done += l.Size
		progress(Progress{"fetch", l.Digest, done, total})
	}
	return nil
}

// Use holds the image that has the digest d, which is unpacked now if need be:
// once, however many ask. One that is not there is ErrAbsent. When ctx ends the
// caller stops waiting, and what was begun goes on. The caller calls Release.
func (s *Store) Use(ctx context.Context, d digest.Digest) (*Rootfs, error) {
	r, err := s.use(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("use image: %w", err)
	}
	return r, nil
}

func (s *Store) use(ctx context.Context, d digest.Digest) (*Rootfs, error) {
	for {
		r, err := s.find(d)
		if err != nil {
			return nil, err
		}
		if s.unpacked(r.ID) {
			root, err := s.hold(ctx, r)
			if root != nil || err != nil {
				return root, err
			}
		}
		flight := s.flights.DoChan(r.ID.String(), func() (any, error) {
			return nil, s.unpackAgain(context.WithoutCancel(ctx), r)
		})
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case res := <-flight:
			if res.Err != nil {
				return nil, res.Err
			}
		}
	}
}

// hold shares the lock of an unpacked image; nil means that it is gone again.
func (s *Store) hold(ctx context.Context, r *record) (*Rootfs, error) {
	l, err := s.await(ctx, imageLock(r.ID), shared, func() bool { return !s.unpacked(r.ID) })
	if l == nil || err != nil {
		return nil, err
	}
	if !s.complete(r.ID) {
		l.release()
		return nil, nil
	}
	s.touch(r.ID)
	return &Rootfs{
		Dir: s.rootDir(r.ID) + "/root", Digest: r.ID, Platform: r.Platform,
		Labels: maps.Clone(r.Labels), Env: slices.Clone(r.Env), lock: l,
	}, nil
}

// unpackAgain unpacks an image whose directory had to go.
func (s *Store) unpackAgain(ctx context.Context, r *record) error {
	enough := func() bool { return s.unpacked(r.ID) }
	l, err := s.await(ctx, imageLock(r.ID), exclusive, enough)
	if l == nil || err != nil {
		return err
	}
	defer l.release()
	if enough() {
		return nil
	}
	if _, err := s.find(r.ID); err != nil { // removed while we waited
		return err
	}
	own := *r // others read it
	return s.unpack(ctx, &own, func(Progress) {})
}

// A Rootfs is an unpacked image. Until Release nobody removes it.
type Rootfs struct {
	// Dir is the absolute path of the image's root directory. All in it is owned by
	// the store's user and readable by everybody.
	Dir string
	// Digest is the image's ID, however it was asked for.
	Digest   digest.Digest
	Platform string // linux/amd64
	Labels   map[string]string
	Env      []string

	lock *lock
}

// Release lets go of it. A second Release does nothing.
func (r *Rootfs) Release() { r.lock.release() }
