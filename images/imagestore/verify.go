package imagestore

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/images/internal/unpack"
)

// Damage is a finding of Verify.
type Damage struct {
	What string `json:"what"` // a path in the image, or a blob's digest
	Why  string `json:"why"`
}

// maxDamage bounds the findings; more would tell nothing more.
const maxDamage = 100

// Verify reads all of the image that has the digest d, blobs and directory, and
// tells what is not as it was when it was added. An image that is not unpacked has
// its blobs alone.
func (s *Store) Verify(ctx context.Context, d digest.Digest) ([]Damage, error) {
	r, err := s.find(d)
	if err != nil {
		return nil, err
	}
	l, err := s.await(ctx, imageLock(r.ID), shared, nil)
	if err != nil {
		return nil, err
	}
	defer l.release()
	var found []Damage
	for _, b := range r.Blobs {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := s.checkBlob(b); err != nil {
			found = append(found, Damage{"blob " + b.Digest.String(), err.Error()})
		}
	}
	if s.unpacked(r.ID) {
		more, err := s.verifyRoot(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("verify image %s: %w", d, err)
		}
		found = append(found, more...)
	}
	return found[:min(len(found), maxDamage)], nil
}

// verifyRoot compares a directory with its list.
func (s *Store) verifyRoot(ctx context.Context, r *record) ([]Damage, error) {
	want, err := readList(filepath.Join(s.rootDir(r.ID), "list"), r.List)
	if err != nil {
		return []Damage{{"list", err.Error()}}, nil
	}
	var found []Damage
	err = unpack.Walk(filepath.Join(s.rootDir(r.ID), "root"), func(i unpack.Item, _ fs.FileInfo) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		was, ok := want[i.Path]
		delete(want, i.Path)
		switch {
		case i.Err != nil:
			found = append(found, Damage{i.Path, i.Err.Error()})
		case !ok:
			found = append(found, Damage{i.Path, "it was not there"})
		case was != i.What:
			found = append(found, Damage{i.Path, fmt.Sprintf("it was %s and is %s", was, i.What)})
		}
		return nil
	})
	for path := range want {
		if len(found) >= maxDamage {
			break
		}
		found = append(found, Damage{path, "it is gone"})
	}
	return found, err
}

// readList reads a list, which must have the digest sum.
func readList(path, sum string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
		return nil, fmt.Errorf("it is damaged itself: its digest is %x", got)
	}
	want := make(map[string]string)
	lines := bufio.NewScanner(strings.NewReader(string(data)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		item, ok := unpack.ParseItem(lines.Text())
		if !ok {
			return nil, fmt.Errorf("it has a line %.100q", lines.Text())
		}
		want[item.Path] = item.What
	}
	return want, lines.Err()
}
