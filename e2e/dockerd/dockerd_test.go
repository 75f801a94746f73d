package dockerd

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestEngine: an Engine comes up by itself and leaves nothing.
func TestEngine(t *testing.T) {
	d, err := Start(t.Context())
	if errors.Is(err, ErrNone) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if err := d.ping(t.Context()); err == nil {
		t.Error("it still answers")
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + d.group)
	if _, err := os.Stat(d.dir); !errors.Is(err, os.ErrNotExist) || len(groups) > 0 {
		t.Errorf("left behind: %v, %s: %v", groups, d.dir, err)
	}
}

// TestNoEngine: where none can run the reason is said.
func TestNoEngine(t *testing.T) {
	d := &Daemon{dir: t.TempDir(), ended: make(chan struct{})}
	d.socket = filepath.Join(d.dir, "s")
	if err := d.start(t.Context(), "/bin/false"); err == nil {
		t.Error("a dockerd that ends at once was taken for an Engine")
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}
