package imagestore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/images"
)

// An Entry tells of one image of the store.
type Entry struct {
	ID       digest.Digest     `json:"id"`       // the digest of its configuration, which names its content whatever it was packed in
	Digests  []digest.Digest   `json:"digests"`  // what a pin may have: index, manifest, ID
	Shared   []digest.Digest   `json:"shared"`   // of Digests: an index's, by which other machines have other images
	Names    []string          `json:"names"`    // under which it was added, without tags; may be empty
	Platform string            `json:"platform"` // linux/amd64, linux/arm/v7
	Labels   map[string]string `json:"labels"`
	Env      []string          `json:"env"` // of the image's configuration
	Layers   int               `json:"layers"`
	Packed   int64             `json:"packed"`   // bytes of its blobs, of which other images may share some
	Size     int64             `json:"size"`     // bytes of its directory when it is unpacked
	Entries  int               `json:"entries"`  // files, directories and links in it
	Skipped  int               `json:"skipped"`  // devices and pipes that were left out
	Unpacked bool              `json:"unpacked"` // the directory is there
	Added    time.Time         `json:"added"`
	Used     time.Time         `json:"used"`
}

// Pin is how people name the image: by the digest that it was added under. One
// without a name is called local.
func (e Entry) Pin() images.Pin {
	p := images.Pin{Digest: e.ID}
	if len(e.Digests) > 0 {
		p.Digest = e.Digests[0]
	}
	if p.Name = "local"; len(e.Names) > 0 {
		p.Name = e.Names[0]
	}
	return p
}

// A record is what a store writes down of an image.
type record struct {
	Entry
	Blobs     []images.Blob  `json:"blobs"`
	LayerList []images.Layer `json:"layer_list"`
	List      string         `json:"list"` // SHA-256 of the list of what is in the directory
}

// maxRecord bounds a record's file, in bytes: twice the largest configuration, and
// some.
const maxRecord = 17 << 20

// A cached record is good while its file is the same.
type cached struct {
	info os.FileInfo
	*record
}

// settled is how long ago the directory of records must have changed when it was read,
// so that a later change shows in its time. File systems count time in ticks of some
// milliseconds.
const settled = 100 * time.Millisecond

// A listing is what all records were when the directory had that time.
type listing struct {
	changed time.Time // zero: it may have changed since
	all     []*record
	files   map[string]cached
}

// records reads what is known of all images, in the order of their names. A damaged
// file is told and passed over. Nobody changes what is returned.
func (s *Store) records() ([]*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir, err := os.Stat(s.in("images", ""))
	if err != nil {
		return nil, fmt.Errorf("store of images: %w", err)
	}
	if !s.known.changed.IsZero() && s.known.changed.Equal(dir.ModTime()) {
		return s.known.all, nil
	}
	now := listing{files: make(map[string]cached)}
	if time.Since(dir.ModTime()) > settled { // the file system's clock, not Options.Now
		now.changed = dir.ModTime()
	}
	files, err := os.ReadDir(s.in("images", ""))
	if err != nil {
		return nil, fmt.Errorf("store of images: %w", err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !strings.HasSuffix(f.Name(), ".json") {
			continue // removed meanwhile, or in the making
		}
		c := s.known.files[f.Name()]
		if c.record == nil || !os.SameFile(c.info, info) || !c.info.ModTime().Equal(info.ModTime()) || c.info.Size() != info.Size() {
			r, err := readRecord(s.in("images", f.Name()))
			if err != nil {
				if !errors.Is(err, os.ErrNotExist) {
					s.o.Logf("images: %v", err)
				}
				continue
			}
			c = cached{info, r}
		}
		now.files[f.Name()] = c
		now.all = append(now.all, c.record)
	}
	slices.SortFunc(now.all, func(a, b *record) int {
		return cmp.Or(cmp.Compare(a.Pin().Name, b.Pin().Name), cmp.Compare(a.ID, b.ID))
	})
	s.known = now
	return now.all, nil
}

func readRecord(path string) (*record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRecord {
		return nil, fmt.Errorf("%s: %d bytes are no record of an image", path, info.Size())
	}
	r := new(record)
	if err := json.NewDecoder(f).Decode(r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := images.ParseDigest(r.ID.String()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.ID.Encoded() != strings.TrimSuffix(filepath.Base(path), ".json") {
		return nil, fmt.Errorf("%s: is of image %.80q", path, r.ID)
	}
	return r, nil
}

// find is the record of the image that has the digest d.
func (s *Store) find(d digest.Digest) (*record, error) {
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(records, func(r *record) bool { return r.ID == d }); i >= 0 {
		return records[i], nil // whatever others were called
	}
	if i := slices.IndexFunc(records, func(r *record) bool { return slices.Contains(r.Digests, d) }); i >= 0 {
		return records[i], nil
	}
	return nil, fmt.Errorf("image %s: %w", d, ErrAbsent)
}

// change writes the record of id anew: f gets the one that is there, or nil.
func (s *Store) change(ctx context.Context, id digest.Digest, f func(old *record) *record) error {
	l, err := s.await(ctx, recordsLock, exclusive, nil)
	if err != nil {
		return err
	}
	defer l.release()
	path := s.in("images", id.Encoded()+".json")
	old, err := readRecord(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.o.Logf("images: %v", err) // written anew
	}
	data, err := json.Marshal(f(old))
	if err != nil {
		return err
	}
	return replace(path, data)
}

// removeRecord forgets an image.
func (s *Store) removeRecord(ctx context.Context, id digest.Digest) error {
	l, err := s.await(ctx, recordsLock, exclusive, nil)
	if err != nil {
		return err
	}
	defer l.release()
	return os.Remove(s.in("images", id.Encoded()+".json"))
}

// replace writes a file that is there whole or not at all, after a loss of power
// too.
func replace(path string, data []byte) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	return err
}

// syncAll writes the store's file system to the disk.
func (s *Store) syncAll() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
