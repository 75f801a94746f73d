package helper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
)

// This file takes packs that peers send: their own compilers, for a helper that has
// none like them.
//
// The attack: whoever sends a pack chooses programs that run here, and an identity
// that they claim. They run in the sandbox only, from the loader on; what they are
// is asked of them, and the answer, however they lie, is believed for that peer
// alone: it alone is told of them and served by them, and what they make is kept
// under keys with the peer's name. A pack is bounded in bytes and entries, and a
// peer and all of them in number. None outlives the helper's process.

// ReasonPack: a pack is not taken.
const ReasonPack broker.Reason = "pack-refused"

const (
	maxPack      = 512 << 20 // bytes of one, as it is sent
	maxPackFiles = 2 << 30   // bytes of its files
	maxPackNames = 20_000    // entries
	maxPeerPacks = 2 << 30   // bytes that the packs of one peer take of the disk
	maxOfPeer    = 8         // packs of one peer
	maxPeers     = 16        // peers with packs
	// packTime bounds taking one: others wait for their turn meanwhile. Our own
	// compilers take some seconds.
	packTime = 10 * time.Minute
	// packRetry is the pause before a pack that nobody waits for any more is looked at
	// again after something went wrong: whoever made it may have meant it to.
	packRetry = time.Hour
)

// packs are those of all peers.
type packs struct {
	h   *Helper
	one chan struct{} // held while one is taken

	mu    sync.Mutex // guards peers
	peers map[string]*peerPacks
}

// peerPacks are one peer's.
type peerPacks struct {
	store *imagestore.Store
	shelf *shelf
}

// packsDir is where they are. What a helper before this one left is nobody's.
func packsDir(o Options) string { return filepath.Join(o.Dir, "packs") }

// TakePack adds a pack, a blob of the store, for the peer that sent it, and returns
// when it is known what the peer is served by it. Refusals say why. say is called
// with how far it has come.
func (h *Helper) TakePack(ctx context.Context, peer string, d broker.Digest, say func(string)) error {
	switch {
	case !h.o.Packs:
		return broker.Refusef(ReasonPack, "takes no packs (packs = true in its configuration)")
	case h.o.Sandbox == "none":
		return broker.Refusef(ReasonPack, "has no sandbox to run a pack in")
	case peer == "":
		return broker.Refusef(ReasonPack, "does not know who sends it")
	case d.Size > maxPack:
		return broker.Refusef(ReasonPack, "takes packs of at most %d MiB", maxPack>>20)
	}
	done, err := h.begin()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.ctx, func() { cancel(errClosed) })()
	select {
	case h.packs.one <- struct{}{}:
		defer func() { <-h.packs.one }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, stop := context.WithTimeoutCause(ctx, packTime, broker.Refusef(ReasonPack, "has not come to an end with the pack in %s", packTime))
	defer stop()
	// Before the peer gets a place: there are not many.
	f, err := h.o.Store.Open(d)
	if err != nil {
		return broker.Refusef(ReasonPack, "has no such blob: %v", err)
	}
	defer f.Close()
	p, err := h.packs.of(peer)
	if err != nil {
		return err
	}
	id, err := p.add(ctx, f, say)
	if err != nil {
		return err
	}
	p.shelf.round(h.ctx)
	err = h.awaitPack(ctx, peer, id, say)
	if _, refused := errors.AsType[*broker.Refusal](err); refused { // nothing will come of it, and it takes room
		if gone := p.store.Remove(h.ctx, digest.Digest(id)); gone != nil {
			h.o.Log.WithError(gone).Info("a pack that is not served stays")
		}
		p.shelf.round(h.ctx)
	}
	return err
}

// of finds or makes the place of a peer's packs.
func (s *packs) of(peer string) (*peerPacks, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[peer]; p != nil {
		return p, nil
	}
	if len(s.peers) >= maxPeers {
		return nil, broker.Refusef(ReasonPack, "has packs of %d peers, which is all that it takes", maxPeers)
	}
	dir := filepath.Join(packsDir(s.h.o), broker.DigestOf([]byte(peer)).Hash[:32])
	st, err := imagestore.Open(dir, imagestore.Options{
		MaxBytes: maxPeerPacks, Limits: imagestore.Limits{Bytes: maxPackFiles, Entries: maxPackNames}, Logf: s.h.o.Log.Infof,
	})
	if err != nil {
		return nil, fmt.Errorf("packs of %s: %w", peer, err)
	}
	p := &peerPacks{store: st, shelf: newShelf(s.h.catalog, peer, NewImages(st, images.SourceOptions{Engine: "off"}), nil)}
	p.shelf.retry = func(int) time.Duration { return packRetry }
	if s.peers == nil {
		s.peers = map[string]*peerPacks{}
	}
	s.peers[peer] = p
	s.h.work.Go(func() {
		defer p.shelf.work.Wait()
		p.shelf.watch(s.h.ctx)
	})
	return p, nil
}

// add puts a pack into the peer's store and returns its name there.
func (p *peerPacks) add(ctx context.Context, f *os.File, say func(string)) (id string, err error) {
	have, err := p.store.List()
	if err != nil {
		return "", err
	}
	// By its descriptor: the store may drop the name at any moment. One that is
	// compressed as a whole may not grow out of its bound.
	src, err := images.Open(ctx, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), images.SourceOptions{Engine: "off", Temp: p.store.Temp(), MaxBytes: maxPack})
	if err != nil {
		return "", broker.Refusef(ReasonPack, "can't read the pack: %v", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if len(have) >= maxOfPeer {
		return "", broker.Refusef(ReasonPack, "has %d packs of this peer, which is all that it takes", len(have))
	}
	e, err := p.store.Add(ctx, src, func(p imagestore.Progress) { say(progressText(p)) })
	if ctx.Err() == nil && err != nil {
		return "", broker.Refusef(ReasonPack, "can't take the pack: %v", err)
	}
	return e.ID.String(), err
}

// awaitPack waits until the compilers of a pack were asked what they are.
func (h *Helper) awaitPack(ctx context.Context, peer, id string, say func(string)) error {
	for {
		state, changed := h.State()
		for _, m := range state.Peers[peer].Images {
			switch {
			case !m.Has(id): // whatever name the pack gives itself
			case m.Phase == broker.ImageReady:
				return nil
			case m.Phase == broker.ImageFailed:
				return broker.Refusef(ReasonPack, "can't serve the pack: %s", m.Detail)
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
