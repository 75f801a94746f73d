package packs

import (
	"context"
	"os"
	"time"

	"github.com/crosscc/crosscc/broker"
)

// This file gives back what peers that sent packs do not need any more: places are few,
// and each may have 2 GiB of the disk.

const (
	// PlaceTime is how long a peer that has nothing done keeps its packs: longer than
	// the pauses of a day's work, and sending a compiler again takes seconds.
	PlaceTime = 4 * time.Hour
	// placeRest is how long it keeps them where another has none: a build has pauses
	// (its links, its tests), and would only drive out the other in its turn.
	placeRest = 10 * time.Minute
	// placeRound is how often that is looked at.
	placeRound = 10 * time.Minute
)

// Heard notes that a peer with packs has something done, though it be answered without a
// run.
func (s *Packs) Heard(peer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[peer]; p != nil {
		p.heard = s.o.Now()
	}
}

// Use keeps the packs of a peer, if it has some, until done.
func (s *Packs) Use(peer string) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[peer]
	if p == nil {
		return func() {}
	}
	p.uses, p.heard = p.uses+1, s.o.Now()
	return func() { s.used(p) }
}

func (s *Packs) used(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.uses, p.heard = p.uses-1, s.o.Now()
}

// giveBackEmpty is for a peer of whom nothing was taken. one is held.
func (s *Packs) giveBackEmpty(p *place) {
	if kept, err := p.store.List(); err != nil || len(kept) > 0 {
		return
	}
	s.mu.Lock()
	idle := p.uses == 0
	if idle {
		s.forget(p)
	}
	s.mu.Unlock()
	if idle {
		s.clear(p, "nothing was taken of what it sent")
	}
}

// victim takes the place of a peer away that one more of an address needs: nil when
// there are enough. mu is held.
func (s *Packs) victim(address string) (*place, error) {
	near := 0
	for _, p := range s.peers {
		if p.from.Address == address {
			near++
		}
	}
	if near < maxOfAddress && len(s.peers) < maxPeers {
		return nil, nil
	}
	var found *place
	for _, p := range s.peers {
		switch {
		case near >= maxOfAddress && p.from.Address != address:
		case p.uses > 0 || s.o.Now().Sub(p.heard) < placeRest:
		case found == nil || p.heard.Before(found.heard):
			found = p
		}
	}
	if found != nil {
		s.forget(found)
		return found, nil
	}
	if near >= maxOfAddress {
		return nil, broker.Refusef(Reason, "has packs of %d peers of this address, which is all that it takes, and each had something done within %s", near, placeRest)
	}
	return nil, broker.Refusef(Reason, "has packs of %d peers, which is all that it takes, and each had something done within %s", len(s.peers), placeRest)
}

// forget lets nobody find a place any more, which is not in use: a job that comes from
// now on finds no compiler there whose files go while it runs. mu is held.
func (s *Packs) forget(p *place) {
	delete(s.peers, p.from.Name)
	p.shelf.Forget()
}

// clear ends what is left of a place that nobody finds any more, and gives its disk back.
// one is held, so that the peer has no new place yet.
func (s *Packs) clear(p *place, why string) {
	p.leave()
	log := s.o.Log.WithField("address", p.from.Address)
	if err := os.RemoveAll(p.dir); err != nil {
		log.WithError(err).Warn("packs of a peer that are not wanted any more")
	}
	log.Infof("packs of a peer are gone: %s", why)
}

// Watch gives back what was not used for long, until ctx ends.
func (s *Packs) Watch(ctx context.Context) {
	tick := time.NewTicker(placeRound)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Sweep(ctx, s.o.Now())
		case <-ctx.Done():
			return
		}
	}
}

// Sweep gives back the places of peers that had nothing done for long, as it is now.
func (s *Packs) Sweep(ctx context.Context, now time.Time) {
	select {
	case s.one <- struct{}{}:
		defer func() { <-s.one }()
	case <-ctx.Done():
		return
	}
	s.mu.Lock()
	var old []*place
	for _, p := range s.peers {
		if p.uses == 0 && now.Sub(p.heard) >= PlaceTime {
			old = append(old, p)
			s.forget(p)
		}
	}
	s.mu.Unlock()
	for _, p := range old {
		s.clear(p, "it had nothing done for "+PlaceTime.String())
	}
}
