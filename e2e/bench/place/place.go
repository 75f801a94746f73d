// Package place is the machines that a contender has for itself: a client and a helper
// whose processes are counted, what joins them, and a copy of the workload. Start with
// New and Place.Measure.
package place

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
	"github.com/crosscc/crosscc/e2e/bench/workload"
)

// A Place is what one contender has for itself: a client and a helper, what
// joins them, and a copy of the workload.
type Place struct {
	Client, Helper *Host
	Wire           *link.Link // nil on loopback
	Work           string     // where the workload lies
	Workload       *workload.Workload

	dir string
}

// A Network is what joins client and helper.
type Network struct {
	Name  string
	Shape link.Shape
}

// Loopback is both on one machine; it counts bytes where it may have a namespace.
const Loopback = "loopback"

// Networks are all that there are, the fastest first.
func Networks() []Network {
	const mbit = 1_000_000
	return []Network{
		{Name: Loopback},
		{"1 Gbit/s, 0.3 ms", link.Shape{Rate: 1000 * mbit, RoundTrip: 300 * time.Microsecond}},
		{"100 Mbit/s, 2 ms", link.Shape{Rate: 100 * mbit, RoundTrip: 2 * time.Millisecond}},
		{"20 Mbit/s, 20 ms", link.Shape{Rate: 20 * mbit, RoundTrip: 20 * time.Millisecond}},
	}
}

// New makes a place below root, with the workload as it is in round 1. What name is
// must be unique in the run.
func New(book *account.Book, root, name string, n Network, w *workload.Workload) (p *Place, err error) {
	p = &Place{dir: filepath.Join(root, name), Workload: w}
	p.Work = filepath.Join(p.dir, "work")
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	var spaces [2]*link.Space
	addresses := [2]string{"127.0.0.1", "127.0.0.1"}
	switch {
	case n.Name != Loopback:
		if p.Wire, err = link.New(n.Shape); err != nil {
			return p, err
		}
		spaces = [2]*link.Space{p.Wire.Client, p.Wire.Helper}
		addresses = [2]string{link.ClientAddress, link.HelperAddress}
	case os.Geteuid() == 0:
		s, err := link.NewSpace()
		if err != nil {
			return p, err
		}
		spaces = [2]*link.Space{s, s}
	}
	if p.Client, err = newHost(book, name+"-client", filepath.Join(p.dir, "client"), spaces[0], addresses[0]); err != nil {
		return p, err
	}
	if p.Helper, err = newHost(book, name+"-helper", filepath.Join(p.dir, "helper"), spaces[1], addresses[1]); err != nil {
		return p, err
	}
	return p, w.Write(p.Work, 1)
}

// Close ends what still runs in the place and removes it.
func (p *Place) Close() error {
	var errs []error
	for _, h := range []*Host{p.Client, p.Helper} {
		if h != nil {
			errs = append(errs, h.close())
		}
	}
	if p.Wire != nil {
		errs = append(errs, p.Wire.Close())
	} else if p.Client != nil && p.Client.space != nil {
		errs = append(errs, p.Client.space.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}

// Wipe removes what the contender's daemons, which must have ended, left on
// both hosts, but the hosts themselves.
func (p *Place) Wipe() error {
	for _, h := range []*Host{p.Client, p.Helper} {
		entries, err := os.ReadDir(h.dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			switch e.Name() {
			case "home", "tmp", "run":
				inside, err := os.ReadDir(h.File(e.Name()))
				if err != nil {
					return err
				}
				for _, f := range inside {
					if err := os.RemoveAll(filepath.Join(h.File(e.Name()), f.Name())); err != nil {
						return err
					}
				}
			default:
				if err := os.RemoveAll(h.File(e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Port is a TCP port of the helper that nothing listens at.
func (p *Place) Port() (string, error) {
	var port string
	find := func() error {
		l, err := net.Listen("tcp4", net.JoinHostPort(p.Helper.Address, "0"))
		if err != nil {
			return err
		}
		defer l.Close()
		_, port, err = net.SplitHostPort(l.Addr().String())
		return err
	}
	if p.Helper.space == nil {
		return port, find()
	}
	err := p.Helper.space.Do(find)
	return port, err
}

// Listens reports whether something takes connections at a port of the helper.
func (p *Place) Listens(port string) func() bool {
	try := func() error {
		c, err := net.DialTimeout("tcp4", net.JoinHostPort(p.Helper.Address, port), time.Second)
		if err == nil {
			c.Close()
		}
		return err
	}
	return func() bool {
		if p.Helper.space == nil {
			return try() == nil
		}
		return p.Helper.space.Do(try) == nil
	}
}

// traffic is the bytes and turns that the place's network has seen; negative
// where they can't be counted.
func (p *Place) traffic() (bytes, turns int64, err error) {
	switch {
	case p.Wire != nil:
		return p.Wire.Traffic(), p.Wire.Turns(), nil
	case p.Client.space != nil:
		n, err := p.Client.space.Loopback()
		return n, -1, err
	}
	return -1, -1, nil
}

// A Sample is one measured round of one contender.
type Sample struct {
	Jobs   int
	Client time.Duration // processor time of the whole client
	Helper time.Duration // processor time of the whole helper
	Wall   time.Duration
	Wire   int64 // bytes; negative where they can't be counted
	Turns  int64 // of the link's two sides; negative where they can't be counted
}

// settle is how long after a build the client's daemons may still work for it.
const settle = 150 * time.Millisecond

// Measure runs make once and tells what it took. Objects that are there are
// not made again.
func (p *Place) Measure(ctx context.Context, env []string, jobs int, words ...string) (Sample, error) {
	s := Sample{Jobs: p.Workload.Jobs}
	before, err := p.meters()
	if err != nil {
		return s, err
	}
	args := append([]string{"-s", fmt.Sprintf("-j%d", jobs), "all"}, words...)
	s.Wall, err = p.Client.Run(ctx, p.Work, env, "make", args...)
	if err != nil {
		return s, err
	}
	time.Sleep(settle)
	after, err := p.meters()
	if err != nil {
		return s, err
	}
	s.Client, s.Helper = after.client-before.client, after.helper-before.helper
	s.Wire, s.Turns = -1, -1
	if after.bytes >= 0 {
		s.Wire = after.bytes - before.bytes
	}
	if after.turns >= 0 {
		s.Turns = after.turns - before.turns
	}
	return s, nil
}

// meters are what a place's counters show.
type meters struct {
	client, helper time.Duration
	bytes, turns   int64
}

func (p *Place) meters() (m meters, err error) {
	if m.client, err = p.Client.Group.Used(); err != nil {
		return m, err
	}
	if m.helper, err = p.Helper.Group.Used(); err != nil {
		return m, err
	}
	m.bytes, m.turns, err = p.traffic()
	return m, err
}
