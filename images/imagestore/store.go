// Package imagestore keeps container images on disk: it fetches their blobs, verifies
// every byte, and unpacks each image once, however many want it.
//
// A newcomer starts with Store. Where an image comes from is in package images, what
// a layer may do to the disk is decided in images/internal/unpack.
package imagestore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/singleflight"

	"github.com/crosscc/crosscc/images"
)

// A Store keeps images on disk: their blobs, and the directories that they were
// unpacked to. Several processes may have one open. Below its directory are
//
//	blobs/HEX       what was fetched and has that digest
//	images/HEX.json what is known of an image, by its ID
//	roots/HEX       an unpacked image: root/, and the list of what is in it
//	incoming, work  blobs and images in the making
//	trash           what is on its way out
//	locks           see lock
//
// Things come to their places whole, by rename. An image's directory is made, and
// moved away, only by who has its lock alone; who uses it shares the lock. What is
// in incoming and work without its lock being held is of a process that was killed.
type Store struct {
	dir string
	o   Options

	flights singleflight.Group // unpacks for Use, by ID

	mu      sync.Mutex // guards the fields below
	known   listing
	touched map[digest.Digest]time.Time // when a use was noted last
	making  map[digest.Digest]int64     // what this process unpacks now, in bytes
}

// Options of a store. The zero value is what a helper uses.
type Options struct {
	// MaxBytes bounds what the store takes of the disk, blobs and directories
	// together; 0 is 40 GiB. When it is reached the directories go that were not
	// used for the longest time; they are unpacked again from their blobs.
	MaxBytes int64
	// Wait is how long an image waits for room that others take which are used; 0: not
	// at all.
	Wait time.Duration
	// Limits bound one image.
	Limits Limits
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logf tells what a person may want to know later; nil: nothing is told.
	Logf func(format string, args ...any)
}

// Limits bound one image, so that no small archive fills the disk. A field that is
// 0 has the default.
type Limits struct {
	Bytes   int64 // of all layers, expanded: 16 GiB
	Entries int   // of all layers: 500,000. The largest image of compilers seen had 60,000
}

// Errors of the store.
var (
	// ErrAbsent: the store has no such image.
	ErrAbsent = errors.New("not in the store of images")
	// ErrInUse: an image that is used is not removed.
	ErrInUse = errors.New("in use")
	// ErrFull: the store may not grow.
	ErrFull = errors.New("the store of images is full")
	// ErrPart: not all of an image came. What came is kept for a day, and the next Add
	// has it.
	ErrPart = errors.New("not all of the image came")
)

// A part is an error for which not all of an image came.
type part struct{ error }

func (p *part) Unwrap() error        { return p.error }
func (p *part) Is(target error) bool { return target == ErrPart }

// folders are what is below a store's directory. Only the unpacked images are for
// everybody's eyes: jobs run as another user.
var folders = map[string]os.FileMode{
	"blobs": 0o700, "images": 0o700, "incoming": 0o700, "work": 0o700, "trash": 0o700, "locks": 0o700, "roots": 0o755,
}

// Open opens the store in dir, which is made when it is not there, and clears
// away what processes left that were killed.
func Open(dir string, o Options) (*Store, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 40 << 30
	}
	if o.Limits.Bytes == 0 {
		o.Limits.Bytes = 16 << 30
	}
	if o.Limits.Entries == 0 {
		o.Limits.Entries = 500_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store of images: %w", err)
	}
	s := &Store{dir: dir, o: o, touched: make(map[digest.Digest]time.Time), making: make(map[digest.Digest]int64)}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("store of images: %w", err)
	}
	s.clearAway()
	return s, nil
}

// prepare makes the directories.
func (s *Store) prepare() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	info, err := os.Stat(s.dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d and this is user %d; run it as that user", s.dir, st.Uid, os.Geteuid())
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	for name, mode := range folders {
		path := filepath.Join(s.dir, name)
		if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			return err
		}
	}
	return nil
}

// Temp is a directory for files that are large for a while.
func (s *Store) Temp() string { return s.in("incoming", "") }

// in is the path of a thing of the store.
func (s *Store) in(folder, name string) string { return filepath.Join(s.dir, folder, name) }

// rootDir is where an image is when it is unpacked.
func (s *Store) rootDir(id digest.Digest) string { return s.in("roots", id.Encoded()) }

func (s *Store) unpacked(id digest.Digest) bool {
	_, err := os.Lstat(s.rootDir(id))
	return err == nil
}

// Names of locks.
const (
	recordsLock = "records" // to write below images; short
	roomLock    = "room"    // to make room; short
	blobsLock   = "blobs"   // shared while blobs are wanted that no record names yet
)

func imageLock(id digest.Digest) string { return "image-" + id.Encoded() }
func blobLock(d digest.Digest) string   { return "blob-" + d.Encoded() }

// List tells of all images, in the order of their names.
func (s *Store) List() ([]Entry, error) {
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(records))
	for i, r := range records {
		entries[i] = s.entry(r)
	}
	return entries, nil
}

// Find tells of the image that has the digest d; one that is not there is ErrAbsent.
func (s *Store) Find(d digest.Digest) (Entry, error) {
	r, err := s.find(d)
	if err != nil {
		return Entry{}, err
	}
	return s.entry(r), nil
}

// entry is what r is now.
func (s *Store) entry(r *record) Entry {
	e := r.Entry
	e.Labels, e.Env = maps.Clone(e.Labels), slices.Clone(e.Env)
	e.Digests, e.Shared, e.Names = slices.Clone(e.Digests), slices.Clone(e.Shared), slices.Clone(e.Names)
	e.Unpacked = s.unpacked(r.ID)
	if info, err := os.Stat(s.in("locks", imageLock(r.ID))); err == nil {
		e.Used = info.ModTime()
	}
	return e
}

// Remove takes the image away that has the digest d. One that is in use stays:
// ErrInUse. One that is not there is ErrAbsent.
func (s *Store) Remove(ctx context.Context, d digest.Digest) error {
	r, err := s.find(d)
	if err != nil {
		return err
	}
	l, err := s.tryLock(imageLock(r.ID), exclusive)
	if err != nil {
		return fmt.Errorf("remove image %s: %w", r.ID, err)
	}
	if l == nil {
		return fmt.Errorf("image %s: %w", d, ErrInUse)
	}
	defer l.remove()
	if err := s.removeRecord(ctx, r.ID); err != nil {
		return fmt.Errorf("remove image %s: %w", r.ID, err)
	}
	err = s.discard(s.rootDir(r.ID))
	s.collect(r.Blobs)
	return err
}

// discardTries bounds how often others may clear away the place that discard has made.
const discardTries = 100

// discard takes a directory of the store away: at once by name, and then from the
// disk. One that is not there is gone already.
func (s *Store) discard(dir string) error {
	for i := 0; ; i++ {
		trash, err := os.MkdirTemp(s.in("trash", ""), filepath.Base(dir)[:8]+".")
		if err != nil {
			return fmt.Errorf("store of images: %w", err)
		}
		err = os.Rename(dir, filepath.Join(trash, "gone"))
		if left := os.RemoveAll(trash); err == nil || left != nil {
			return errors.Join(err, left)
		}
		if _, gone := os.Lstat(dir); errors.Is(gone, os.ErrNotExist) {
			return nil
		}
		// Whoever opens the store clears away what it finds in trash.
		if !errors.Is(err, os.ErrNotExist) || i == discardTries {
			return fmt.Errorf("store of images: %w", err)
		}
	}
}

// collect removes those of blobs, and all old ones, that no image has.
func (s *Store) collect(blobs []images.Blob) {
	l, err := s.tryLock(blobsLock, exclusive)
	if l == nil {
		return // somebody adds an image, and may count on what is there
	}
	defer l.release()
	records, lerr := s.records()
	if err = errors.Join(err, lerr); err != nil {
		s.o.Logf("images: %v", err)
		return
	}
	needed, gone := make(map[string]bool), make(map[string]bool)
	for _, r := range records {
		for _, b := range r.Blobs {
			needed[b.Digest.Encoded()] = true
		}
	}
	for _, b := range blobs {
		gone[b.Digest.Encoded()] = true
	}
	files, err := os.ReadDir(s.in("blobs", ""))
	if err != nil {
		s.o.Logf("images: %v", err)
		return
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || needed[f.Name()] {
			continue
		}
		if gone[f.Name()] || s.o.Now().Sub(info.ModTime()) > keepBlobs {
			os.Remove(s.in("blobs", f.Name()))
		}
	}
}

// keepBlobs is how long blobs are kept of an image that was not fetched to its end,
// so that the next try has them.
const keepBlobs = 24 * time.Hour

// clearAway removes what killed processes left.
func (s *Store) clearAway() {
	each := func(folder, lockPrefix string) {
		files, err := os.ReadDir(s.in(folder, ""))
		if err != nil {
			s.o.Logf("images: %v", err)
		}
		for _, f := range files {
			if lockPrefix != "" {
				l, err := s.tryLock(lockPrefix+f.Name(), exclusive)
				if err != nil || l == nil {
					continue
				}
				defer l.release()
			}
			if err := os.RemoveAll(s.in(folder, f.Name())); err != nil {
				s.o.Logf("images: %v", err)
			}
		}
	}
	each("trash", "")
	each("incoming", "blob-")
	each("work", "image-")
	s.clearRoots()
	s.collect(nil)
}

// clearRoots removes directories of images that are not there any more: a removal
// that was killed.
func (s *Store) clearRoots() {
	files, err := os.ReadDir(s.in("roots", ""))
	if err != nil {
		s.o.Logf("images: %v", err)
	}
	for _, f := range files {
		id := digest.NewDigestFromEncoded(digest.SHA256, f.Name())
		if _, err := s.find(id); !errors.Is(err, ErrAbsent) {
			continue
		}
		l, err := s.tryLock("image-"+f.Name(), exclusive)
		if l == nil || err != nil {
			continue
		}
		if _, err := s.find(id); errors.Is(err, ErrAbsent) {
			if err := s.discard(s.in("roots", f.Name())); err != nil {
				s.o.Logf("images: %v", err)
			}
		}
		l.release()
	}
}
