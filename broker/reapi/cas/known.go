package cas

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// maxKnown bounds what a client remembers of a server's store.
const maxKnown = 100_000

// known remembers which blobs a server had a while ago, and which are on their
// way to it. The zero value is ready for use.
type known struct {
	mu      sync.Mutex                  // guards the fields below
	at      map[broker.Digest]time.Time // when it was seen there
	flights map[broker.Digest]*flight
}

// A flight is blobs that one job brings while others wait for them.
type flight struct {
	landed chan struct{} // closed when they are there, or did not arrive
}

// unknown returns those of blobs that are not known to be there.
func (k *known) unknown(blobs []broker.Blob) []broker.Blob {
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh := time.Now().Add(-wire.KnownFor)
	var out []broker.Blob
	for i := range blobs {
		if !k.at[blobs[i].Digest].After(fresh) {
			out = append(out, blobs[i])
		}
	}
	return out
}

func (k *known) add(blobs []broker.Blob) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at == nil || len(k.at)+len(blobs) > maxKnown {
		k.at = map[broker.Digest]time.Time{}
	}
	now := time.Now()
	for i := range blobs {
		k.at[blobs[i].Digest] = now
	}
}

func (k *known) forget(blobs []broker.Blob) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range blobs {
		delete(k.at, blobs[i].Digest)
	}
}

// board parts blobs into those that nobody brings, which are the caller's from now
// on until it calls land, and the flights that bring the others. When the first
// are no more than small bytes they are left to nobody, and f is nil.
func (k *known) board(blobs []broker.Blob, small int64) (mine []broker.Blob, f *flight, others []*flight) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range blobs {
		if there := k.flights[blobs[i].Digest]; there == nil {
			mine = append(mine, blobs[i])
		} else if !slices.Contains(others, there) {
			others = append(others, there)
		}
	}
	if len(mine) == 0 || Size(mine) <= small {
		return nil, nil, others
	}
	if k.flights == nil {
		k.flights = map[broker.Digest]*flight{}
	}
	f = &flight{landed: make(chan struct{})}
	for i := range mine {
		k.flights[mine[i].Digest] = f
	}
	return mine, f, others
}

// land ends a flight.
func (k *known) land(f *flight, blobs []broker.Blob) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range blobs {
		delete(k.flights, blobs[i].Digest)
	}
	close(f.landed)
}

// Size is the sum of the sizes of blobs, in bytes.
func Size(blobs []broker.Blob) (n int64) {
	for i := range blobs {
		n += blobs[i].Digest.Size
	}
	return n
}

// wait returns when a flight has landed.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.landed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
