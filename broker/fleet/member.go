package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

const (
	// A helper that fails is left out for a growing time, so that a dead one
	// costs a build one wait and not one for each job.
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// A phase is where a member stands.
type phase string

const (
	connecting phase = "connecting" // nothing is known of it yet
	up         phase = "up"
	draining   phase = "draining"
	down       phase = "down"
)

// A member is one helper. The fleet's mutex guards its fields but the first
// two, which never change.
type member struct {
	address string
	link    Link

	host    hostlist.Host // the last list's entry
	phase   phase
	err     error // why it is down
	state   broker.State
	jobs    int           // places taken by this agent
	backoff time.Duration // how long it was left alone when it was lost last

	failures int // jobs in a row that it could not do
	fault    error
	leaveOut time.Time // until when it gets no jobs because of them
}

// membersOf finds or makes the member of each host.
func (f *Fleet) membersOf(hosts []hostlist.Host) []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]*member, len(hosts))
	for i, h := range hosts {
		m := f.members[h.Address()]
		if m == nil {
			m = f.join(h)
			f.members[h.Address()] = m
		}
		m.host = h
		list[i] = m
	}
	return list
}

// join makes a member and begins to watch it. f.mu is held.
func (f *Fleet) join(h hostlist.Host) *member {
	m := &member{host: h, address: h.Address(), phase: connecting}
	link, err := f.o.Dial(h)
	if err != nil {
		m.phase, m.err = down, err
		m.link = Link{Close: func() error { return nil }}
		return m
	}
	m.link = link
	f.work.Go(func() { f.watch(m) })
	return m
}

// watch keeps a member's state current, and tries again with growing waits
// after it was lost.
func (f *Fleet) watch(m *member) {
	for f.ctx.Err() == nil {
		err := m.link.Watch(f.ctx, func(s broker.State) { f.learn(m, s) })
		wait := f.lose(m, err)
		select {
		case <-time.After(wait):
		case <-f.ctx.Done():
		}
	}
}

func (f *Fleet) learn(m *member, s broker.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Slots = min(max(s.Slots, 0), maxSlots)
	m.state, m.phase, m.err, m.backoff = s, up, nil, 0
	if s.Draining {
		m.phase = draining
	}
	f.tell()
	f.dispatch()
}

// lose notes that a member is down, and says how long to leave it alone.
func (f *Fleet) lose(m *member, err error) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		err = errors.New("helper ended the connection")
	}
	if m.phase != down {
		f.o.Log.WithError(err).WithField("helper", m.address).Info("helper is down")
	}
	m.phase, m.err = down, err
	m.backoff = min(max(2*m.backoff, minBackoff), maxBackoff)
	f.tell()
	return m.backoff
}

// tell wakes who waits for news of members. f.mu is held.
func (f *Fleet) tell() {
	close(f.news)
	f.news = make(chan struct{})
}

// await waits until enough says so, until something is known of each member,
// or until time is up; enough is asked at least once.
func (f *Fleet) await(ctx context.Context, ms []*member, enough func() bool) {
	limit := connectTime
	f.mu.Lock()
	if slices.ContainsFunc(ms, func(m *member) bool { return m.host.Kind == hostlist.InProcess }) {
		limit = openTime
	}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		f.mu.Lock()
		news := f.news
		waiting := slices.ContainsFunc(ms, func(m *member) bool { return m.phase == connecting })
		f.mu.Unlock()
		if enough() || !waiting {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			enough()
			return
		}
	}
}

// prospect says what the member has for w.
func (f *Fleet) prospect(m *member, h hostlist.Host, w Want) Prospect {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := Prospect{Address: m.address, member: m}
	if !f.reachable(&p, m) {
		return p
	}
	if !f.fit(&p, m, h, w) {
		p.packs = m.link.Pack != nil && m.state.Packs && m.state.Machine == runtime.GOARCH && (p.Reason == ReasonNoMatch || p.Reason == ReasonCalibration)
		return p
	}
	if w.Lines {
		if !h.Lines {
			p.Match, p.Reason, p.Text = toolchains.None, ReasonDebugInfo, "would make other line tables from preprocessed source (debug=lines in its host entry allows that)"
			return p
		}
		p.Match = toolchains.Lines
	}
	return p
}

// reachable reports whether the member takes jobs; else p says why not. f.mu is held.
func (f *Fleet) reachable(p *Prospect, m *member) bool {
	switch m.phase {
	case connecting:
		p.Reason, p.Text = ReasonNoHelper, "did not answer yet"
		return false
	case down:
		p.Reason, p.Text = ReasonNoHelper, "is down: "+m.err.Error()
		return false
	case draining:
		p.Reason, p.Text = ReasonNoHelper, "is going away"
		return false
	case up:
	}
	if wait := m.leaveOut.Sub(f.o.Now()); wait > 0 {
		p.Reason, p.Text = ReasonNoHelper, fmt.Sprintf("is left out for %s: %v", wait.Round(time.Second), m.fault)
		return false
	}
	return true
}

// A waiter is a job that waits for a place at one of its prospects.
type waiter struct {
	list  []Prospect
	place chan int // gets the index of the prospect whose place it has; buffered
}

// pick takes a place at the least busy prospect. When all are full it waits,
// in order of arrival, for the first that comes free.
func (f *Fleet) pick(ctx context.Context, list []Prospect) (int, error) {
	f.mu.Lock()
	if i := leastBusy(list); i >= 0 {
		list[i].member.jobs++
		f.mu.Unlock()
		return i, nil
	}
	w := &waiter{list: list, place: make(chan int, 1)}
	f.queue = append(f.queue, w)
	f.mu.Unlock()
	err := f.waitPlace(ctx, w)
	if err == nil {
		return <-w.place, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case i := <-w.place: // it came at the same moment
		list[i].member.jobs--
		f.dispatch()
	default:
		f.queue = slices.DeleteFunc(f.queue, func(x *waiter) bool { return x == w })
	}
	return 0, err
}

// errStalled is what a wait for a place ends with when none came free for long.
var errStalled = errors.New("all helpers are busy, and no place came free for long")

// waitPlace waits until w has a place. The wait may be long as long as places
// come free for others before it.
func (f *Fleet) waitPlace(ctx context.Context, w *waiter) error {
	tick := time.NewTicker(f.o.Stall)
	defer tick.Stop()
	for freed := f.freedPlaces(); ; {
		select {
		case i := <-w.place:
			w.place <- i // it is buffered: pick takes it
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		now := f.freedPlaces()
		if now == freed {
			return errStalled
		}
		freed = now
	}
}

func (f *Fleet) freedPlaces() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.freed
}

// dispatch gives free places to those who wait. f.mu is held.
func (f *Fleet) dispatch() {
	f.queue = slices.DeleteFunc(f.queue, func(w *waiter) bool {
		i := leastBusy(w.list)
		if i < 0 {
			return false
		}
		w.list[i].member.jobs++
		w.place <- i
		return true
	})
}

// leastBusy is the index of the prospect with the smallest load among those
// that have a place left for this agent, or -1 when all are full. The fleet's
// mutex is held.
func leastBusy(list []Prospect) int {
	best, load := -1, 0.0
	for i, p := range list {
		m := p.member
		if m.jobs >= m.places() {
			continue
		}
		if l := m.load(); best < 0 || l < load {
			best, load = i, l
		}
	}
	return best
}

// load is the share of the helper's slots that is spoken for, by this agent and,
// as the helper last told, by others.
func (m *member) load() float64 {
	others := max(m.state.Running+m.state.Queued-m.jobs, 0)
	return float64(m.jobs+others) / float64(max(m.state.Slots, 1))
}

// places is how many jobs this agent has at the member at most: what the host
// entry says, else the helper's slots and one more that is on its way.
func (m *member) places() int {
	if m.host.Slots > 0 {
		return m.host.Slots
	}
	return m.state.Slots + 1
}

// runAt runs the job at a member where a place was taken, and gives the place
// back. A member that can't do job after job is left out for a growing time.
func (f *Fleet) runAt(ctx context.Context, m *member, j *broker.Job) (broker.Result, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, jobTime, fmt.Errorf("it did not finish a job in %s", jobTime))
	defer cancel()
	res, err := m.link.Run(bounded, j)
	f.mu.Lock()
	defer f.mu.Unlock()
	m.jobs--
	f.freed++
	f.dispatch()
	_, refused := errors.AsType[*broker.Refusal](err)
	_, changed := errors.AsType[*broker.ChangedError](err)
	switch {
	case err == nil || refused || changed:
		m.failures = 0
	case ctx.Err() == nil:
		m.failures++
		m.fault = err
		m.leaveOut = f.o.Now().Add(min(minBackoff<<min(m.failures-1, 10), maxBackoff))
	}
	return res, err
}
