package pinned

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadAll(t *testing.T) {
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, []byte("first\nsecond\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(6, 0); err != nil { // as a shell that has read a line
		t.Fatal(err)
	}
	if text, err := readAll(t.Context(), f, 100); err != nil || string(text) != "second\n" {
		t.Errorf("a file from its middle: %q, %v", text, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		for range 3 {
			_, _ = w.WriteString("part ")
		}
		_ = w.Close()
	}()
	if text, err := readAll(t.Context(), r, 100); err != nil || string(text) != "part part part " {
		t.Errorf("a pipe: %q, %v", text, err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if text, err := readAll(t.Context(), null, 100); err != nil || len(text) != 0 {
		t.Errorf("nothing: %q, %v", text, err)
	}
}

// What never ends is read to the limit, and what never comes until the wrapper is gone.
func TestReadAllEnds(t *testing.T) {
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	if text, err := readAll(t.Context(), zero, 100_000); err != nil || string(text) != strings.Repeat("\x00", 100_001) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	gone := errors.New("the wrapper is gone")
	ctx, stop := context.WithCancelCause(t.Context())
	go stop(gone)
	if text, err := readAll(ctx, r, 100); !errors.Is(err, gone) {
		t.Errorf("%q, %v", text, err)
	}
}
