package cas

import (
	"sync"
	"time"

	"github.com/crosscc/crosscc/broker"
)

const (
	// maxKnown and knownFor bound what a client remembers of a server's
	// store. An entry that is wrong costs one more round trip.
	maxKnown = 100_000
	knownFor = 10 * time.Minute
)

// known remembers which blobs a server had a while ago.
type known struct {
	now func() time.Time

	mu sync.Mutex                  // guards at
	at map[broker.Digest]time.Time // when it was seen there
}

// unknown returns those of blobs that are not known to be there.
func (k *known) unknown(blobs []broker.Blob) []broker.Blob {
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh := k.now().Add(-knownFor)
	var out []broker.Blob
	for _, b := range blobs {
		if !k.at[b.Digest].After(fresh) {
			out = append(out, b)
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
	now := k.now()
	for _, b := range blobs {
		k.at[b.Digest] = now
	}
}

func (k *known) forget(blobs []broker.Blob) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range blobs {
		delete(k.at, b.Digest)
	}
}
