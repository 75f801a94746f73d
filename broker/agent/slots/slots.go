// Package slots is the places for what runs on the client: local compiles, and
// preprocessor runs.
package slots

import (
	"context"
	"slices"
	"sync"
)

// Slots are the places for local jobs, taken in order of arrival. Their number
// comes with each job's settings and may change while some are held. The zero value has none.
type Slots struct {
	mu    sync.Mutex // guards the fields below
	size  int
	held  int
	queue []chan struct{} // each closed when its job has a place
}

// Resize changes the number of places. Those that are held stay held.
func (s *Slots) Resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = n
	s.admit()
}

// Acquire waits for a place; release gives it back.
func (s *Slots) Acquire(ctx context.Context) (release func(), err error) {
	turn := make(chan struct{})
	s.mu.Lock()
	s.queue = append(s.queue, turn)
	s.admit()
	s.mu.Unlock()
	select {
	case <-turn:
		return s.release, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(s.queue, turn)
	if i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // the place came at the same moment
		s.release()
	}
	return nil, context.Cause(ctx)
}

func (s *Slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	s.admit()
}

// admit lets in who is first while there is room. s.mu is held.
func (s *Slots) admit() {
	for s.held < s.size && len(s.queue) > 0 {
		close(s.queue[0])
		s.queue = s.queue[1:]
		s.held++
	}
}

// Figures are the number of places and how many are held.
func (s *Slots) Figures() (size, held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size, s.held
}
