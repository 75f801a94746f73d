package docker

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/crosscc/crosscc/sandbox"
)

// A pool has the warm containers, by what they are for. There are as many for one
// key as were worth making: while one is in use, the next job waits for it as long as
// making another takes, so it never waits twice as long as it had to. Questions to
// compilers, which are over in a moment and come several at once, then share one.
type pool struct {
	mu      sync.Mutex // guards the fields below
	idle    []*warm    // the longest idle first
	taken   map[string]int
	waiting map[string][]chan *warm // who comes first gets the next; nil means: make one
	making  time.Duration           // how long that took last
	closed  bool

	// busy counts who may still use a container; Add only while mu is held and not
	// closed, or by one who counts already.
	busy sync.WaitGroup
}

// firstMaking is what making a container is thought to take before one was made.
const firstMaking = 400 * time.Millisecond

// maxIdle bounds the containers that wait for jobs.
func maxIdle() int { return 2 * runtime.NumCPU() }

func newPool() *pool {
	return &pool{taken: map[string]int{}, waiting: map[string][]chan *warm{}, making: firstMaking}
}

// enter begins a use of the pool, which busy.Done ends.
func (p *pool) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return sandbox.Failf(sandbox.Setup, "the sandbox is closed")
	}
	p.busy.Add(1)
	return nil
}

// take is a container for key, or nil when the caller is to make one. Either is
// followed by free or lost.
func (p *pool) take(ctx context.Context, key string) (*warm, error) {
	p.mu.Lock()
	if w := p.pick(key); w != nil || p.taken[key] == 0 {
		p.taken[key]++
		p.mu.Unlock()
		return w, nil
	}
	next := make(chan *warm, 1)
	p.waiting[key] = append(p.waiting[key], next)
	enough := time.NewTimer(p.making)
	p.mu.Unlock()
	defer enough.Stop()
	select {
	case w := <-next:
		return w, nil
	case <-enough.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leave(key, next) {
		return <-next, nil // it has come meanwhile
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p.taken[key]++
	return nil, nil
}

// pick is the idle container of this key that was used last. mu is held.
func (p *pool) pick(key string) *warm {
	for i := len(p.idle) - 1; i >= 0; i-- {
		if w := p.idle[i]; w.key == key {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return w
		}
	}
	return nil
}

// dress finds a container that waits for jobs of another key, and may be made one for
// key by changing what is on its stage: one of this kind. nil is none.
func (p *pool) dress(kind, key string) *warm {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.idle {
		if kind != "" && w.kind == kind {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			w.key = key
			return w
		}
	}
	return nil
}

// leave takes one who waits out of the line, unless it was served. mu is held.
func (p *pool) leave(key string, next chan *warm) bool {
	line := p.waiting[key]
	for i := range line {
		if line[i] == next {
			p.line(key, append(line[:i], line[i+1:]...))
			return true
		}
	}
	return false
}

func (p *pool) line(key string, line []chan *warm) {
	if p.waiting[key] = line; len(line) == 0 {
		delete(p.waiting, key)
	}
}

// serve gives w, or the word to make one, to who waits first. mu is held.
func (p *pool) serve(key string, w *warm) bool {
	line := p.waiting[key]
	if len(line) == 0 {
		if p.taken[key]--; p.taken[key] == 0 {
			delete(p.taken, key)
		}
		return false
	}
	line[0] <- w
	p.line(key, line[1:])
	return true
}

// free keeps a container for the next job. When too many wait for jobs it returns
// the one that has waited longest, which has to go.
func (p *pool) free(w *warm) (old *warm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serve(w.key, w) {
		return nil
	}
	if p.idle = append(p.idle, w); len(p.idle) > maxIdle() {
		old, p.idle = p.idle[0], p.idle[1:]
	}
	return old
}

// lost says that a container of key that was taken is no more, or was not made.
func (p *pool) lost(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve(key, nil)
}

// made says how long making a container took.
func (p *pool) made(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making = took
}

// close lets nobody in any more, waits until nobody uses a container, and returns
// those that are left.
func (p *pool) close() (left []*warm) {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.busy.Wait()
	left, p.idle = p.idle, nil
	return left
}
