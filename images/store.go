package images

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
)

// A Store keeps images on disk: their blobs, and the directories that they were
// unpacked to. Several processes may have one open.
type Store struct {
	dir string
	o   Options
}

// Options of a store. The zero value is what a helper uses.
type Options struct {
	// MaxBytes bounds what the store takes of the disk, blobs and directories
	// together; 0 is 40 GiB. When it is reached the directories go that were not
	// used for the longest time; they are unpacked again from their blobs.
	MaxBytes int64
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
	Entries int   // of all layers: 500,000
}

// An Entry tells of one image of the store.
type Entry struct {
	ID       digest.Digest     `json:"id"`       // the digest of its configuration, which names its content whatever it was packed in
	Digests  []digest.Digest   `json:"digests"`  // what a pin may have: index, manifest, ID
	Names    []string          `json:"names"`    // under which it was added, without tags; may be empty
	Platform string            `json:"platform"` // linux/amd64, linux/arm/v7
	Labels   map[string]string `json:"labels"`
	Env      []string          `json:"env"` // of the image's configuration
	Layers   int               `json:"layers"`
	Packed   int64             `json:"packed"`   // bytes of its blobs, of which other images may share some
	Size     int64             `json:"size"`     // bytes of its directory when it is unpacked
	Entries  int               `json:"entries"`  // files, directories and links in it
	Unpacked bool              `json:"unpacked"` // the directory is there
	Added    time.Time         `json:"added"`
	Used     time.Time         `json:"used"`
}

// Progress tells how far an image has come.
type Progress struct {
	Stage string        // "fetch" or "unpack"
	Blob  digest.Digest // that is read
	Done  int64         // bytes, of all blobs of the image
	Total int64
}

// OpenStore opens the store in dir, which is made when it is not there, and clears
// away what processes left that were killed.
func OpenStore(dir string, o Options) (*Store, error) { return &Store{dir: dir, o: o}, nil }

// List tells of all images, in the order of their names.
func (s *Store) List() ([]Entry, error) { return nil, errNotBuilt }

// Find tells of the image that has the digest d; one that is not there is ErrAbsent.
func (s *Store) Find(d digest.Digest) (Entry, error) { return Entry{}, errNotBuilt }

// Add takes an image from src: fetches the blobs that are not there, verifies all,
// and unpacks it. It returns when the image may be used. progress may be nil; it is
// called from one goroutine at a time.
func (s *Store) Add(ctx context.Context, src *Source, progress func(Progress)) (Entry, error) {
	return Entry{}, errNotBuilt
}

// Use holds the image that has the digest d, which is unpacked now if need be:
// once, however many ask. One that is not there is ErrAbsent. The caller calls
// Release.
func (s *Store) Use(ctx context.Context, d digest.Digest) (*Rootfs, error) { return nil, errNotBuilt }

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
}

// Release lets go of it. A second Release does nothing.
func (r *Rootfs) Release() {}

// Remove takes the image away that has the digest d. One that is in use stays:
// ErrInUse. One that is not there is ErrAbsent.
func (s *Store) Remove(ctx context.Context, d digest.Digest) error { return errNotBuilt }

// Damage is a finding of Verify.
type Damage struct {
	What string `json:"what"` // a path in the image, or a blob's digest
	Why  string `json:"why"`
}

// Verify reads all of the image that has the digest d, blobs and directory, and
// tells what is not as it was when it was added.
func (s *Store) Verify(ctx context.Context, d digest.Digest) ([]Damage, error) {
	return nil, errNotBuilt
}
