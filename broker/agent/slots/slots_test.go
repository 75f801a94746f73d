package slots

import (
	"context"
	"errors"
	"testing"
	"time"
)

// taken starts a job that wants a place and reports on the channel when it has one.
func taken(t *testing.T, s *Slots) chan func() {
	t.Helper()
	_, before := s.waiting()
	ch := make(chan func(), 1)
	go func() {
		release, err := s.Acquire(t.Context())
		if err == nil {
			ch <- release
		}
	}()
	for range 1000 {
		if _, now := s.waiting(); now > before {
			return ch
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("job neither waits nor runs")
	return nil
}

// waiting is how many wait, and how many wait or hold a place.
func (s *Slots) waiting() (waiting, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue), len(s.queue) + s.held
}

func TestSlotsInOrder(t *testing.T) {
	var s Slots
	s.Resize(1)
	first, second, third := taken(t, &s), taken(t, &s), taken(t, &s)
	release := <-first
	if n, _ := s.waiting(); n != 2 {
		t.Fatalf("%d wait for one place, want 2", n)
	}
	release()
	release = <-second
	select {
	case <-third:
		t.Fatal("the third has a place beside the second")
	default:
	}
	s.Resize(2)
	(<-third)()
	release()
	if size, held := s.Figures(); size != 2 || held != 0 {
		t.Errorf("size %d, held %d at the end, want 2 and 0", size, held)
	}
}

func TestSlotsGivenUp(t *testing.T) {
	var s Slots
	s.Resize(1)
	release := <-taken(t, &s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("acquire of a job that is gone: %v", err)
	}
	release()
	(<-taken(t, &s))()
}
