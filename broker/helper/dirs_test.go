package helper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// memory is a directory on a file system in memory.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(sharedMemory, "helper-test-")
	if err != nil {
		t.Fatalf("%v (these tests need a tmpfs at %s)", err, sharedMemory)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMemoryDir(t *testing.T) {
	shm := memory(t)
	dir, bytes, gone := memoryDir(shm, "/state", 1)
	if dir == "" || bytes < minMemory || bytes > memoryPerSlot {
		t.Fatalf("got %q of %d bytes", dir, bytes)
	}
	if again, _, _ := memoryDir(shm, "/state", 1); again != "" {
		t.Errorf("two helpers use %s", again)
	}
	other, _, otherGone := memoryDir(shm, "/other", 1)
	if other == "" || other == dir {
		t.Errorf("another helper got %q", other)
	}
	for _, f := range []func() error{gone, otherGone} {
		if err := f(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(shm); len(left) > 0 {
		t.Errorf("%d directories are left", len(left))
	}
	if dir, _, _ := memoryDir(shm, "/state", 1<<20); dir != "" {
		t.Errorf("a million slots got %s", dir)
	}
	if dir, _, _ := memoryDir(t.TempDir(), "/state", 1); dir != "" && !strings.HasPrefix(os.TempDir(), sharedMemory) {
		t.Errorf("a disk was taken for memory: %s", dir)
	}
	if dir, _, _ := memoryDir("/none", "/state", 1); dir != "" {
		t.Errorf("got %s", dir)
	}
}

// What a helper that was killed has left is empty for its successor, and removed
// by any other; what another user has put there is not touched.
func TestMemoryLeftBehind(t *testing.T) {
	shm := memory(t)
	dir, _, gone := memoryDir(shm, "/state", 1)
	if err := os.MkdirAll(dir+"/view-1/w", 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(shm, memoryPrefix()+"0123")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * staleAge)
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	sweep(shm)
	if _, err := os.Stat(dir + "/view-1"); err != nil {
		t.Errorf("a living helper's views are gone: %v", err)
	}
	left := filepath.Join(shm, memoryPrefix()+"abcd")
	if err := os.MkdirAll(left+"/view-2", 0o700); err != nil {
		t.Fatal(err)
	}
	sweep(shm)
	if _, err := os.Stat(left); err != nil {
		t.Errorf("a directory that was made a moment ago is gone: %v", err)
	}
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	sweep(shm)
	if _, err := os.Stat(left); err == nil {
		t.Error("a dead helper's views are left")
	}
	if _, err := os.Lstat(link); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	if err := gone(); err != nil {
		t.Error(err)
	}
}

// Somebody else's directory, or a link of theirs, in the place of ours.
func TestMemoryTaken(t *testing.T) {
	shm, theirs := memory(t), memory(t)
	dir, _, gone := memoryDir(shm, "/state", 1)
	if err := gone(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(theirs, dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(theirs+"/kept", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := memoryDir(shm, "/state", 1); got != "" {
		t.Errorf("a link was taken for a directory: %s", got)
	}
	if os.Geteuid() == 0 {
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 4711, 4711); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := memoryDir(shm, "/state", 1); got != "" {
			t.Errorf("another user's directory was taken: %s", got)
		}
	}
	if _, err := os.Stat(theirs + "/kept"); err != nil {
		t.Error(err)
	}
}
