package compile

import (
	"context"
	"sync"

	"github.com/crosscc/crosscc/toolchains"
)

// maxMemo is how many answers one memo keeps. A build has some for each compiler,
// language and sysroot.
const maxMemo = 256

// A Memo keeps what was found out about compilers for as long as their
// fingerprints stay the same. The zero value is ready.
type Memo[T any] struct {
	mu      sync.Mutex // guards entries
	entries map[string]*memoEntry[T]
}

type memoEntry[T any] struct {
	busy  chan struct{} // holds a token while somebody finds it out
	known bool
	of    toolchains.Fingerprint
	value T
}

// Get answers from memory or by find, one at a time for each key.
func (m *Memo[T]) Get(ctx context.Context, key string, of toolchains.Fingerprint, find func() (T, error)) (T, error) {
	e := m.entry(key)
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
	if e.known && e.of.Equal(of) {
		return e.value, nil
	}
	v, err := find()
	if err == nil {
		e.known, e.of, e.value = true, of, v
	}
	return v, err
}

// Forget makes the next one find it out.
func (m *Memo[T]) Forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
}

func (m *Memo[T]) entry(key string) *memoEntry[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil || len(m.entries) >= maxMemo && m.entries[key] == nil {
		m.entries = make(map[string]*memoEntry[T])
	}
	if m.entries[key] == nil {
		m.entries[key] = &memoEntry[T]{busy: make(chan struct{}, 1)}
	}
	return m.entries[key]
}
