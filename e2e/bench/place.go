package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/account"
	"github.com/crosscc/crosscc/e2e/bench/link"
)

// A place is what one contender has for itself: a client and a helper, what
// joins them, and a copy of the workload.
type place struct {
	dir            string
	client, helper *host
	wire           *link.Link // nil on loopback
	work           string     // where the workload lies
	round          int        // of the sources there
	w              *workload
	book           *account.Book
}

// A network is what joins client and helper.
type network struct {
	name  string
	shape link.Shape
}

// loopback is both on one machine; it counts bytes where it may have a namespace.
const loopback = "loopback"

// networks are all that there are, the fastest first.
func networks() []network {
	const mbit = 1_000_000
	return []network{
		{name: loopback},
		{"1 Gbit/s, 0.3 ms", link.Shape{Rate: 1000 * mbit, RoundTrip: 300 * time.Microsecond}},
		{"100 Mbit/s, 2 ms", link.Shape{Rate: 100 * mbit, RoundTrip: 2 * time.Millisecond}},
		{"20 Mbit/s, 20 ms", link.Shape{Rate: 20 * mbit, RoundTrip: 20 * time.Millisecond}},
	}
}

// newPlace makes a place below root. What name is must be unique in the run.
func newPlace(book *account.Book, root, name string, n network, w *workload) (p *place, err error) {
	p = &place{dir: filepath.Join(root, name), w: w, book: book}
	p.work = filepath.Join(p.dir, "work")
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	var spaces [2]*link.Space
	addresses := [2]string{"127.0.0.1", "127.0.0.1"}
	switch {
	case n.name != loopback:
		if p.wire, err = link.New(n.shape); err != nil {
			return p, err
		}
		spaces = [2]*link.Space{p.wire.Client, p.wire.Helper}
		addresses = [2]string{link.ClientAddress, link.HelperAddress}
	case os.Geteuid() == 0:
		s, err := link.NewSpace()
		if err != nil {
			return p, err
		}
		spaces = [2]*link.Space{s, s}
	}
	if p.client, err = newHost(book, name+"-client", filepath.Join(p.dir, "client"), spaces[0], addresses[0]); err != nil {
		return p, err
	}
	if p.helper, err = newHost(book, name+"-helper", filepath.Join(p.dir, "helper"), spaces[1], addresses[1]); err != nil {
		return p, err
	}
	p.round = 1
	return p, w.write(p.work, p.round)
}

// close ends what still runs in the place and removes it.
func (p *place) close() error {
	var errs []error
	for _, h := range []*host{p.client, p.helper} {
		if h != nil {
			errs = append(errs, h.close())
		}
	}
	if p.wire != nil {
		errs = append(errs, p.wire.Close())
	} else if p.client != nil && p.client.space != nil {
		errs = append(errs, p.client.space.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}

// wipe removes what the contender's daemons, which must have ended, left on
// both hosts, but the hosts themselves.
func (p *place) wipe() error {
	for _, h := range []*host{p.client, p.helper} {
		entries, err := os.ReadDir(h.dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			switch e.Name() {
			case "home", "tmp", "run":
				inside, err := os.ReadDir(h.file(e.Name()))
				if err != nil {
					return err
				}
				for _, f := range inside {
					if err := os.RemoveAll(filepath.Join(h.file(e.Name()), f.Name())); err != nil {
						return err
					}
				}
			default:
				if err := os.RemoveAll(h.file(e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// port is a TCP port of the helper that nothing listens at.
func (p *place) port() (string, error) {
	var port string
	find := func() error {
		l, err := net.Listen("tcp4", net.JoinHostPort(p.helper.address, "0"))
		if err != nil {
			return err
		}
		defer l.Close()
		_, port, err = net.SplitHostPort(l.Addr().String())
		return err
	}
	if p.helper.space == nil {
		return port, find()
	}
	err := p.helper.space.Do(find)
	return port, err
}

// listens reports whether something takes connections at a port of the helper.
func (p *place) listens(port string) func() bool {
	try := func() error {
		c, err := net.DialTimeout("tcp4", net.JoinHostPort(p.helper.address, port), time.Second)
		if err == nil {
			c.Close()
		}
		return err
	}
	return func() bool {
		if p.helper.space == nil {
			return try() == nil
		}
		return p.helper.space.Do(try) == nil
	}
}

// traffic is the bytes and turns that the place's network has seen; negative
// where they can't be counted.
func (p *place) traffic() (bytes, turns int64, err error) {
	switch {
	case p.wire != nil:
		return p.wire.Traffic(), p.wire.Turns(), nil
	case p.client.space != nil:
		n, err := p.client.space.Loopback()
		return n, -1, err
	}
	return -1, -1, nil
}

// settle is how long after a build the client's daemons may still work for it.
const settle = 150 * time.Millisecond

// measure runs make once and tells what it took. Objects that are there are
// not made again.
func (p *place) measure(ctx context.Context, env []string, jobs int, words ...string) (sample, error) {
	s := sample{jobs: p.w.jobs}
	before, err := p.meters()
	if err != nil {
		return s, err
	}
	args := append([]string{"-s", fmt.Sprintf("-j%d", jobs), "all"}, words...)
	s.wall, err = p.client.run(ctx, p.work, env, "make", args...)
	if err != nil {
		return s, err
	}
	time.Sleep(settle)
	after, err := p.meters()
	if err != nil {
		return s, err
	}
	s.client, s.helper = after.client-before.client, after.helper-before.helper
	s.wire, s.turns = -1, -1
	if after.bytes >= 0 {
		s.wire = after.bytes - before.bytes
	}
	if after.turns >= 0 {
		s.turns = after.turns - before.turns
	}
	return s, nil
}

// meters are what a place's counters show.
type meters struct {
	client, helper time.Duration
	bytes, turns   int64
}

func (p *place) meters() (m meters, err error) {
	if m.client, err = p.client.group.Used(); err != nil {
		return m, err
	}
	if m.helper, err = p.helper.group.Used(); err != nil {
		return m, err
	}
	m.bytes, m.turns, err = p.traffic()
	return m, err
}
