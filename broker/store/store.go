// Package store keeps content and results of compiles on disk: blobs by their
// SHA-256, small action records by the digest of a key, and claims, which are what
// clients say and no compile reads, by a name.
//
// The files are the truth. A blob is the plain file blobs/ab/abcd…, named by what
// is in it; a record is actions/ab/abcd… and a claim claims/ab/abcd…, with its key
// and checksum in its first line. The index of sizes and last use lives in memory and is made anew at start
// from what stat says (the mtime of a file is its last use, to within useGrain, by
// the store's own clock): there is no index on disk that could be damaged, or
// disagree.
//
// No entry is ever synced to disk. A file is written in incoming/ and renamed, so
// a process that is killed leaves a whole file or none; and a machine that loses
// power may leave any rubbish under a right name, which is found because every
// blob is hashed when it is first read after a start, and every record each time.
// Rubbish costs a miss and nothing else, so a sync would buy nothing.
//
// A newcomer starts with Store.Put and Store.Open; index.go holds the bound.
package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// DefaultMaxBytes is the size bound when Options say none.
const DefaultMaxBytes = 10 << 30

// markerName marks a directory as a store, and is what its process locks. It holds
// the version of the layout.
const (
	markerName    = "crosscc-store"
	layoutVersion = "1\n"
)

// Errors that callers tell apart. ErrBusy passes; the others do not.
var (
	// ErrLocked is Open's when another process has the store. That process's
	// death, however sudden, frees it.
	ErrLocked = errors.New("another process has the store open")
	// ErrMismatch is Put's when the content is not what its digest says.
	ErrMismatch = errors.New("content does not match its digest")
	// ErrTooLarge is Put's when the content can never fit into the bound.
	ErrTooLarge = errors.New("larger than the store may hold")
	// ErrBusy is Put's when unfinished uploads hold the room that is needed.
	ErrBusy = errors.New("unfinished uploads hold the room that is left")
	// ErrClosed is what writes say after Close; reads miss.
	ErrClosed = errors.New("store is closed")
)

// Options are what a Store is made with. The zero value is good.
type Options struct {
	// MaxBytes bounds the disk space of all files, those being written
	// included; each counts as whole blocks of 4 KiB, at least one. 0 means
	// DefaultMaxBytes.
	MaxBytes int64
	// Now is the machine's clock. nil means time.Now. It may jump: see Store.now.
	Now func() time.Time
	// Logf is told of damage and of what it did to it. nil is silence.
	Logf func(format string, args ...any)
}

// A Store is one directory. Its methods may be called at once. One process has it
// at a time: a bound that holds needs one account of what is there and what is
// being written, and a second process can ask the first over its door.
type Store struct {
	dir    string
	o      Options
	marker *os.File // flock'ed while the store is open
	index  *index
	opened time.Time // by the machine's clock
	epoch  time.Time // the same moment by the store's

	temps    atomic.Uint64   // numbers the files in incoming, from where no late writer of an earlier Store is
	checking [256]sync.Mutex // by the first byte of a sum: held to hash a blob or to change its mtime
}

// Open opens the store in dir and makes it when there is none. A directory with
// other things in it is refused, since what the store does not know it removes.
// Files that were being written when the last process died are removed, and the
// oldest entries when the bound became smaller. 100,000 entries take 0.3 s.
func Open(dir string, o Options) (*Store, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	s := &Store{dir: dir, o: o}
	if err := s.open(); err != nil {
		if s.marker != nil {
			s.marker.Close()
		}
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.lock(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.dir, incoming)); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(s.dir, incoming), 0o700); err != nil {
		return err
	}
	found, err := s.scan()
	if err != nil {
		return err
	}
	s.temps.Store(uint64(time.Now().UnixNano()))
	s.opened = s.o.Now()
	s.epoch = s.opened
	if n := len(found); n > 0 {
		if newest := time.Unix(0, found[n-1].mtime); newest.After(s.epoch) {
			s.epoch = newest
		}
	}
	s.index = newIndex(s.o.MaxBytes, found, s.remove)
	return nil
}

// now is the time by the store's own clock, which orders uses and nothing else. It
// begins no earlier than the last use that is on disk, and goes on by the monotonic
// clock: so neither a board that starts in 1970 until it finds the network, nor a
// clock that once was years ahead, makes old entries newer than new ones.
func (s *Store) now() time.Time { return s.epoch.Add(s.o.Now().Sub(s.opened)) }

// lock makes sure that dir is a store and this process's.
func (s *Store) lock() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(s.dir, markerName)
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		if err := mustBeEmpty(s.dir); err != nil {
			return err
		}
	}
	var err error
	if s.marker, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600); err != nil {
		return err
	}
	if err := unix.Flock(int(s.marker.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return err
	}
	version, err := io.ReadAll(io.LimitReader(s.marker, 64))
	if err != nil {
		return err
	}
	switch string(version) {
	case layoutVersion:
		return nil
	case "": // new, or its maker died before the next line
		return s.mark()
	}
	return fmt.Errorf("its layout is %q and this build knows %q: remove the directory to start anew", version, layoutVersion)
}

// mark makes the directory a store. This once it waits for the disk: entries that
// outlive a power cut without the marker would be a stranger's.
func (s *Store) mark() error {
	if _, err := s.marker.WriteString(layoutVersion); err != nil {
		return err
	}
	if err := s.marker.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func mustBeEmpty(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n.Name() != "lost+found" { // a file system of its own is a fine place
			return fmt.Errorf("it holds %q and is no store: give an empty or a new directory", n.Name())
		}
	}
	return nil
}

// Close ends the store. What is being written fails with ErrClosed; files that
// Open gave out stay readable.
func (s *Store) Close() error {
	if !s.index.close() {
		return ErrClosed
	}
	return s.marker.Close()
}

// Stats are figures of a store at one moment; the counts are since Open.
type Stats struct {
	Max      int64 // the bound, in bytes
	Used     int64 // bytes on disk of what is kept
	Reserved int64 // bytes promised to what is being written
	Blobs    int
	Actions  int
	Claims   int

	Hits    int64 // reads of what was there
	Misses  int64 // reads that found none, damage included
	Damaged int64 // files removed because they were not what they should be
	Evicted int64 // files removed to make room
}

// Stats says how full the store is and how it served.
func (s *Store) Stats() Stats { return s.index.figures() }

// A Miss is the error of a read that found nothing fit to hand out.
type Miss struct {
	What    string // blob, action or claim
	Digest  broker.Digest
	Damaged bool  // something was there and has been removed
	Reason  error // why
}

func (m *Miss) Error() string { return fmt.Sprintf("%s %s: %v", m.What, m.Digest, m.Reason) }
func (m *Miss) Unwrap() error { return m.Reason }

// Reasons of misses, and of writes that cannot be.
var (
	errAbsent    = errors.New("not in the store")
	errMalformed = errors.New("the digest is malformed")
)

// A kind is a name space of the store.
type kind uint8

const (
	blob kind = iota
	action
	claim
	kinds
)

func (k kind) String() string { return [...]string{"blob", "action", "claim"}[k] }
func (k kind) dir() string    { return k.String() + "s" }

// incoming is where files are written.
const incoming = "incoming"

// A key names one entry.
type key struct {
	kind kind
	sum  [32]byte
}

// keyOf is the key of a digest; not ok when the digest is malformed.
func keyOf(k kind, d broker.Digest) (e key, ok bool) {
	e.kind = k
	if d.Valid() {
		_, err := hex.Decode(e.sum[:], []byte(d.Hash))
		ok = err == nil
	}
	return e, ok
}

func (k key) name() string { return hex.EncodeToString(k.sum[:]) }

func (s *Store) shard(k key) string {
	return filepath.Join(s.dir, k.kind.dir(), hex.EncodeToString(k.sum[:1]))
}

func (s *Store) path(k key) string { return filepath.Join(s.shard(k), k.name()) }

// remove takes an entry's file away. The index calls it while it is locked, so
// that no file under the same name can have come since.
func (s *Store) remove(k key) error {
	err := os.RemoveAll(s.path(k)) // all: it may be somebody's directory
	if errors.Is(err, unix.ENOTDIR) {
		return nil // a file in the place of its shard
	}
	if err != nil {
		s.o.Logf("store: %v", err)
	}
	return err
}
