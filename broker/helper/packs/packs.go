// Package packs takes packs that peers send to a helper: their own compilers, where it
// has none like them.
//
// Start with Packs.Take. What is taken stands in the helper's catalog, for the peer that
// sent it; what a peer does not need any more it gives back (places.go).
package packs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
)

// The attack: whoever sends a pack chooses programs that run here, and an identity
// that they claim. They run in the sandbox only, from the loader on; what they are
// is asked of them, and the answer, however they lie, is believed for that peer
// alone: it alone is told of them and served by them, and what they make is kept
// under keys with the peer's name, which nobody else can have (broker.Peer). A pack is
// bounded in bytes and entries, a peer and all of them in number, and what is asked of
// one is asked in a job's slot. None outlives the helper's process.

// Reason: a pack is not taken.
const Reason broker.Reason = "pack-refused"

// MaxBytes bounds one pack, as it is sent.
const MaxBytes = 512 << 20

const (
	maxPackFiles = 2 << 30 // bytes of its files
	maxPackNames = 20_000  // entries
	maxPeerPacks = 2 << 30 // bytes that the packs of one peer take of the disk
	maxOfPeer    = 8       // packs of one peer
	maxPeers     = 16      // peers with packs
	// maxOfAddress is how many of these have one address. Users share one, and a user
	// may give itself many names; those of one address drive out only each other.
	maxOfAddress = 8
	// packTime bounds taking one: others wait for their turn meanwhile. Our own
	// compilers take some seconds.
	packTime = 10 * time.Minute
	// packRetry is the pause before a pack that nobody waits for any more is looked at
	// again after something went wrong: whoever made it may have meant it to.
	packRetry = time.Hour
)

// Options are what Packs are made of.
type Options struct {
	// Dir is a directory of their own, which is made when it is needed. What a helper
	// before this one left there is nobody's, and removed.
	Dir string
	// Store has what was sent.
	Store *store.Store
	// Catalog gets a shelf for each peer.
	Catalog *catalog.Catalog
	// Slot waits for the place of a job.
	Slot func(ctx context.Context) (release func(), err error)
	// State is what the helper tells of itself, and a channel that is closed when that
	// changes.
	State func() (broker.State, <-chan struct{})
	// Now is time.Now; tests set it.
	Now func() time.Time
	Log logrus.FieldLogger
}

// Packs are those of all peers. Methods may be called at once, none after Close.
type Packs struct {
	o    Options
	ctx  context.Context // ended by Close
	stop context.CancelFunc
	work sync.WaitGroup // the shelves
	one  chan struct{}  // held while a place comes or goes

	mu    sync.Mutex // guards peers, and uses and heard of each
	peers map[string]*place
}

// A place is one peer's.
type place struct {
	from  broker.Peer // as it was when it sent the first
	dir   string
	store *imagestore.Store
	shelf *catalog.Shelf
	ctx   context.Context // of the shelf's work
	leave func()          // ends that, and waits for it

	uses  int       // jobs of the peer that run, and packs that it sends
	heard time.Time // when it last had something done
}

// New makes them, of no peer.
func New(o Options) (*Packs, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.RemoveAll(o.Dir); err != nil {
		return nil, fmt.Errorf("packs of the helper before this one: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Packs{o: o, ctx: ctx, stop: stop, one: make(chan struct{}, 1), peers: map[string]*place{}}, nil
}

// Close gives all places back.
func (s *Packs) Close() error {
	s.stop()
	s.work.Wait()
	return os.RemoveAll(s.o.Dir)
}

// Take adds a pack, a blob of the store, for the peer that sent it, and returns when it
// is known what the peer is served by it. Refusals say why. say is called with how far
// it has come.
func (s *Packs) Take(ctx context.Context, from broker.Peer, d broker.Digest, say func(string)) error {
	switch {
	case from.Name == "":
		return broker.Refusef(Reason, "does not know whose the pack is: the agent that sends it says no secret of its own; use one of this version, whose log tells why when it has none")
	case d.Size > MaxBytes:
		return broker.Refusef(Reason, "takes packs of at most %d MiB", MaxBytes>>20)
	}
	select {
	case s.one <- struct{}{}:
		defer func() { <-s.one }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, stop := context.WithTimeoutCause(ctx, packTime, broker.Refusef(Reason, "has not come to an end with the pack in %s", packTime))
	defer stop()
	// Before the peer gets a place: there are not many.
	f, err := s.o.Store.Open(d)
	if err != nil {
		return broker.Refusef(Reason, "has no such blob: %v", err)
	}
	defer f.Close()
	p, err := s.of(from)
	if err != nil {
		return err
	}
	defer s.giveBackEmpty(p)
	defer s.used(p)
	return s.take(ctx, p, f, say)
}

// take is Take for a peer that has a place.
func (s *Packs) take(ctx context.Context, p *place, f *os.File, say func(string)) error {
	id, err := p.add(ctx, f, say)
	if err != nil {
		return err
	}
	p.shelf.Round(p.ctx)
	err = s.await(ctx, p.from.Name, id, say)
	if _, refused := errors.AsType[*broker.Refusal](err); refused { // nothing will come of it, and it takes room
		if gone := p.store.Remove(s.ctx, digest.Digest(id)); gone != nil {
			s.o.Log.WithError(gone).Info("a pack that is not served stays")
		}
		p.shelf.Round(p.ctx)
	}
	return err
}

// of finds or makes the place of a peer's packs, in use until used.
func (s *Packs) of(from broker.Peer) (*place, error) {
	s.mu.Lock()
	p := s.peers[from.Name]
	if p != nil {
		p.uses++
		s.mu.Unlock()
		return p, nil
	}
	gone, err := s.victim(from.Address)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if gone != nil {
		s.clear(gone, "another needs its place")
	}
	if p, err = s.open(from); err != nil {
		return nil, fmt.Errorf("packs of a peer: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.uses, p.heard = 1, s.o.Now()
	s.peers[from.Name] = p
	return p, nil
}

// open makes the place of a peer's packs.
func (s *Packs) open(from broker.Peer) (*place, error) {
	if err := os.MkdirAll(s.o.Dir, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.o.Dir, "") // what was a peer's before may not be gone yet
	if err != nil {
		return nil, err
	}
	st, err := imagestore.Open(dir, imagestore.Options{
		MaxBytes: maxPeerPacks, Limits: imagestore.Limits{Bytes: maxPackFiles, Entries: maxPackNames}, Logf: s.o.Log.Infof,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(s.ctx)
	p := &place{from: from, dir: dir, store: st, ctx: ctx, shelf: s.o.Catalog.NewShelf(from.Name, catalog.NewImages(st, images.SourceOptions{Engine: "off"}), packRetry, s.o.Slot)}
	ended := make(chan struct{})
	p.leave = func() { stop(); <-ended }
	s.work.Go(func() {
		defer close(ended)
		defer stop()
		p.shelf.Watch(ctx)
	})
	return p, nil
}

// add puts a pack into the peer's store and returns its name there.
func (p *place) add(ctx context.Context, f *os.File, say func(string)) (id string, err error) {
	// By its descriptor: the store may drop the name at any moment. One that is
	// compressed as a whole may not grow out of its bound.
	src, err := images.Open(ctx, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), images.SourceOptions{Engine: "off", Temp: p.store.Temp(), MaxBytes: MaxBytes})
	if err != nil {
		return "", broker.Refusef(Reason, "can't read the pack: %v", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := p.makeRoom(ctx); err != nil {
		return "", err
	}
	e, err := p.store.Add(ctx, src, func(p imagestore.Progress) { say(catalog.ProgressText(p)) })
	for errors.Is(err, imagestore.ErrFull) {
		if gone, dropped := p.drop(ctx); dropped != nil || !gone {
			err = errors.Join(fmt.Errorf("the packs of one peer may take %d MiB of the disk, unpacked ones and all", maxPeerPacks>>20), dropped)
			break
		}
		e, err = p.store.Add(ctx, src, func(p imagestore.Progress) { say(catalog.ProgressText(p)) })
	}
	if ctx.Err() == nil && err != nil {
		return "", broker.Refusef(Reason, "can't take the pack: %v", err)
	}
	return e.ID.String(), err
}

// makeRoom has the peer keep fewer packs than it may have, for one more: an upgraded
// compiler is another pack.
func (p *place) makeRoom(ctx context.Context) error {
	for {
		have, err := p.store.List()
		if err != nil || len(have) < maxOfPeer {
			return err
		}
		gone, err := p.drop(ctx)
		if err != nil {
			return err
		}
		if !gone {
			return broker.Refusef(Reason, "has %d packs of this peer, which is all that it takes, and all are in use", len(have))
		}
	}
}

// drop takes away the pack that the peer has not used for the longest time, of those
// that are not in use; false: all are.
func (p *place) drop(ctx context.Context) (gone bool, err error) {
	have, err := p.store.List()
	if err != nil {
		return false, err
	}
	slices.SortFunc(have, func(a, b imagestore.Entry) int { return a.Used.Compare(b.Used) })
	for _, e := range have {
		if err := p.store.Remove(ctx, e.ID); !errors.Is(err, imagestore.ErrInUse) {
			return err == nil, err
		}
	}
	return false, nil
}

// await waits until the compilers of a pack were asked what they are.
func (s *Packs) await(ctx context.Context, peer, id string, say func(string)) error {
	for {
		state, changed := s.o.State()
		for _, m := range state.Peers[peer].Images {
			switch {
			case !m.Has(id): // whatever name the pack gives itself
			case m.Phase == broker.ImageReady:
				return nil
			case m.Phase == broker.ImageFailed:
				return broker.Refusef(Reason, "can't serve the pack: %s", m.Detail)
			default:
				say(string(m.Phase))
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
