package imagestore

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What is taken away is gone, though other processes open the store and clear away
// what they find in trash meanwhile.
func TestDiscardBesideOthers(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "images"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(end)
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					s.clearAway()
				}
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "0123456789abcdef")
	for range 200 {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.discard(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("it is still there: %v", err)
		}
	}
}
