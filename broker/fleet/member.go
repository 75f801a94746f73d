package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config"
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
// four, which never change.
type member struct {
	host    config.Host
	link    Link
	settled chan struct{} // closed when it is connecting no more

	address string

	phase   phase
	err     error // why it is down
	state   broker.State
	jobs    int // places taken by this agent
	backoff time.Duration
}

// membersOf finds or makes the member of each host.
func (f *Fleet) membersOf(hosts []config.Host) []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]*member, len(hosts))
	for i, h := range hosts {
		m := f.members[h.Address()]
		if m == nil {
			m = f.join(h)
			f.members[h.Address()] = m
		}
		list[i] = m
	}
	return list
}

// join makes a member and begins to watch it. f.mu is held.
func (f *Fleet) join(h config.Host) *member {
	m := &member{host: h, address: h.Address(), settled: make(chan struct{}), phase: connecting}
	link, err := f.o.Dial(h)
	if err != nil {
		m.phase, m.err = down, err
		m.link = Link{Close: func() error { return nil }}
		close(m.settled)
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
	m.state, m.phase, m.err, m.backoff = s, up, nil, 0
	if s.Draining {
		m.phase = draining
	}
	m.settle()
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
	m.settle()
	return m.backoff
}

// settle says that something is known of the member. The fleet's mutex is held.
func (m *member) settle() {
	select {
	case <-m.settled:
	default:
		close(m.settled)
	}
}

// await waits until something is known of each member, or time is up.
func (f *Fleet) await(ctx context.Context, ms []*member) {
	limit := connectTime
	for _, m := range ms {
		if m.host.Kind == config.InProcess {
			limit = openTime
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, m := range ms {
		select {
		case <-m.settled:
		case <-ctx.Done():
			return
		}
	}
}

// prospect says what the member has for w.
func (f *Fleet) prospect(m *member, h config.Host, w Want) Prospect {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := Prospect{Address: m.address, member: m}
	switch m.phase {
	case connecting:
		p.Reason, p.Text = ReasonNoHelper, "did not answer yet"
		return p
	case down:
		p.Reason, p.Text = ReasonNoHelper, "is down: "+m.err.Error()
		return p
	case draining:
		p.Reason, p.Text = ReasonNoHelper, "is going away"
		return p
	case up:
	}
	_, match, why := toolchains.Best(w.Identity, w.Fingerprint, w.Language, m.state.Toolchains)
	if match == toolchains.None {
		p.Reason, p.Text = ReasonNoMatch, why
		return p
	}
	if match < h.Match {
		p.Reason, p.Text = ReasonNoMatch, "has a toolchain that matches "+match.String()+" only; the host entry wants "+h.Match.String()
		return p
	}
	if w.Lines {
		if !h.Lines {
			p.Reason, p.Text = ReasonDebugInfo, "would make other line tables from preprocessed source (debug=lines in its host entry allows that)"
			return p
		}
		match = toolchains.Lines
	}
	p.Match = match
	return p
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
	select {
	case i := <-w.place:
		return i, nil
	case <-ctx.Done():
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
	return 0, context.Cause(ctx)
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

// leastBusy is the index of the prospect with the smallest share of its places
// taken, or -1 when all are full. The fleet's mutex is held.
func leastBusy(list []Prospect) int {
	best, share := -1, 1.0
	for i, p := range list {
		m := p.member
		if s := float64(m.jobs) / float64(m.places()); s < share {
			best, share = i, s
		}
	}
	return best
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
// back.
func (f *Fleet) runAt(ctx context.Context, m *member, j *broker.Job) (broker.Result, error) {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		m.jobs--
		f.dispatch()
	}()
	return m.link.Run(ctx, j)
}
