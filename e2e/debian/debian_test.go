package debian

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestLock: who waits for another's fetch ends with its context, and has the lock
// when the other is done.
func TestLock(t *testing.T) {
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := a.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("an interrupt")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(lockPause/2, func() { cancel(stop) })
	if _, err := a.lock(ctx); !errors.Is(err, stop) {
		t.Errorf("waiting ends with %v, want %v", err, stop)
	}
	time.AfterFunc(lockPause/2, unlock)
	unlock, err = a.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
