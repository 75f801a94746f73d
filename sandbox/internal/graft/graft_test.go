package graft

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOnto: on one file system and from another, a tree is what it was: content,
// times, links, and which names are one file; and anybody can read it.
func TestOnto(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	source := filepath.Join(t.TempDir(), "source")
	must(t, os.MkdirAll(filepath.Join(source, "d"), 0o700))
	must(t, os.WriteFile(filepath.Join(source, "d/a.h"), []byte("a"), 0o644))
	must(t, os.Chmod(filepath.Join(source, "d/a.h"), 0o644))
	must(t, os.Link(filepath.Join(source, "d/a.h"), filepath.Join(source, "b.h")))
	must(t, os.WriteFile(filepath.Join(source, "closed"), []byte("c"), 0o700))
	must(t, os.Symlink("d/none", filepath.Join(source, "link")))
	when := time.Unix(1e9, 5)
	must(t, os.Chtimes(filepath.Join(source, "b.h"), when, when))

	memory, err := os.MkdirTemp("/dev/shm", "graft-")
	must(t, err)
	defer os.RemoveAll(memory)
	for name, target := range map[string]string{"one file system": t.TempDir(), "another": memory} {
		target = filepath.Join(target, "target")
		must(t, Onto(source, target))
		for file, mode := range map[string]os.FileMode{"": 0o755 | os.ModeDir, "d": 0o755 | os.ModeDir, "d/a.h": 0o644, "closed": 0o744} {
			info, err := os.Stat(filepath.Join(target, file))
			if err != nil || info.Mode() != mode {
				t.Errorf("%s: %q: got %v, %v, want %v", name, file, info, err, mode)
			}
		}
		a, err := os.Stat(filepath.Join(target, "d/a.h"))
		must(t, err)
		b, err := os.Stat(filepath.Join(target, "b.h"))
		must(t, err)
		if !os.SameFile(a, b) || !a.ModTime().Equal(when) {
			t.Errorf("%s: one file of two names became two, or its time was lost: %v", name, a.ModTime())
		}
		if text, err := os.Readlink(filepath.Join(target, "link")); text != "d/none" {
			t.Errorf("%s: link to %q, %v", name, text, err)
		}
		if content, err := os.ReadFile(filepath.Join(target, "closed")); string(content) != "c" {
			t.Errorf("%s: %q, %v", name, content, err)
		}
		if err := Onto(source, target); err == nil {
			t.Errorf("%s: over another tree", name)
		}
	}
}

func TestOntoRefuses(t *testing.T) {
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	for _, source := range []string{filepath.Join(dir, "fifo"), filepath.Join(dir, "none")} {
		if err := Onto(source, filepath.Join(dir, "target")); err == nil {
			t.Errorf("%s was shown", source)
		}
	}
}
