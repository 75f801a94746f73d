package imagestore

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/internal/imagetest"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// storeIn opens a store of the test's own.
func storeIn(t testing.TB, o Options) *Store {
	t.Helper()
	o.Logf = t.Logf
	s, err := Open(filepath.Join(t.TempDir(), "images"), o)
	check(t, err)
	return s
}

// offline are options that ask nobody.
var offline = images.SourceOptions{Engine: "off"}

// add adds the image of reference.
func add(t testing.TB, s *Store, reference string) (Entry, error) {
	t.Helper()
	src, err := images.Open(context.Background(), reference, images.SourceOptions{Engine: "off", Pull: true, Temp: s.Temp()})
	if err != nil {
		return Entry{}, err
	}
	defer src.Close()
	return s.Add(context.Background(), src, nil)
}

// mustAdd adds an image of layers through a layout.
func mustAdd(t testing.TB, s *Store, layers ...[]byte) Entry {
	t.Helper()
	e, err := add(t, s, imagetest.Layout(t, imagetest.Image(t, compression.GZip, layers...)))
	check(t, err)
	return e
}

// mustUse holds an image until the test ends.
func mustUse(t testing.TB, s *Store, d digest.Digest) *Rootfs {
	t.Helper()
	r, err := s.Use(context.Background(), d)
	check(t, err)
	t.Cleanup(r.Release)
	return r
}
