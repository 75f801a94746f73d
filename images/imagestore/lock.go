package imagestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A lock is a file below locks/ that is held by flock, so that it ends with its
// process however that ends. Those of one process exclude each other as those of
// several do.
type lock struct{ file *os.File }

type lockKind int

const (
	shared    lockKind = unix.LOCK_SH
	exclusive lockKind = unix.LOCK_EX
)

func (l *lock) release() { l.file.Close() }

// remove ends the lock and its file. Whoever waits for it sees that and begins anew.
func (l *lock) remove() {
	os.Remove(l.file.Name())
	l.release()
}

// tryLock takes the lock name, or returns nil when another has it.
func (s *Store) tryLock(name string, kind lockKind) (*lock, error) {
	path := filepath.Join(s.dir, "locks", name)
	for {
		f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
		err = flock(f, int(kind)|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, nil
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if same(f, path) {
			return &lock{f}, nil
		}
		f.Close() // it was removed meanwhile, and another may have made the next
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// How often a lock is tried. The longest wait that this adds is lockPauseMax.
const (
	lockPauseMin = 2 * time.Millisecond
	lockPauseMax = 100 * time.Millisecond
)

// await takes the lock name once it is free, or returns nil as soon as enough says
// that it is not needed any more.
func (s *Store) await(ctx context.Context, name string, kind lockKind, enough func() bool) (*lock, error) {
	pause := lockPauseMin
	for {
		if enough != nil && enough() {
			return nil, nil
		}
		l, err := s.tryLock(name, kind)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, lockPauseMax)
	}
}
