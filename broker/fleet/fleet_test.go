package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

// gcc12 is what the jobs of these tests want.
func gcc12() toolchains.Toolchain {
	return toolchains.Toolchain{
		Identity:    toolchains.Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14", Assembler: "2.40", Defaults: "d"},
		Fingerprint: toolchains.Fingerprint{"driver": "1", "cc1": "2", "as": "3"},
		Path:        "/usr/bin/aarch64-linux-gnu-gcc-12",
		Languages:   []argv.Language{argv.C},
	}
}

func want() Want {
	tc := gcc12()
	return Want{Toolchain: tc, Language: argv.C}
}

// A peer plays one helper.
type peer struct {
	state broker.State
	run   broker.Runner
	lost  chan error // what Watch returns
	pack  func(ctx context.Context, b broker.Blob, say func(string)) error
}

func newPeer(slots int, run broker.Runner, tcs ...toolchains.Toolchain) *peer {
	return &peer{state: broker.State{Slots: slots, Toolchains: tcs}, run: run, lost: make(chan error, 1)}
}

func fleetOf(t *testing.T, peers map[string]*peer) (*Fleet, func(list string) []hostlist.Host) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	f := New(Options{Log: log, Dial: func(h hostlist.Host) (Link, error) {
		p := peers[h.Address()]
		if p == nil {
			return Link{}, errors.New("connection refused")
		}
		return Link{Run: p.run, Pack: p.pack, Close: func() error { return nil }, Watch: func(ctx context.Context, tell func(broker.State)) error {
			tell(p.state)
			select {
			case err := <-p.lost:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}}, nil
	}})
	t.Cleanup(func() { f.Close() })
	return f, func(list string) []hostlist.Host {
		h, err := hostlist.Parse(list)
		if err != nil {
			t.Fatal(err)
		}
		return h.Entries
	}
}

func good(name string) broker.Runner {
	return func(context.Context, *broker.Job) (broker.Result, error) { return broker.Result{Helper: name}, nil }
}

func anyResult(broker.Result) error { return nil }

func TestProspects(t *testing.T) {
	other := gcc12()
	other.Version = "11.3.0"
	f, hosts := fleetOf(t, map[string]*peer{
		"a:1": newPeer(1, good("a"), gcc12()),
		"b:1": newPeer(1, good("b"), other),
	})
	for _, tc := range []struct {
		name, hosts string
		lines       bool
		match       toolchains.Match
		reason      broker.Reason
		text        string
	}{
		{"same toolchain", "grpc://a:1", false, toolchains.Identical, "", ""},
		{"other version", "grpc://b:1", false, toolchains.None, ReasonNoMatch, "11.3.0"},
		{"nobody there", "grpc://c:1", false, toolchains.None, ReasonNoHelper, "connection refused"},
		{"debug info", "grpc://a:1", true, toolchains.None, ReasonDebugInfo, "debug=lines"},
		{"debug info allowed", "grpc://a:1,debug=lines", true, toolchains.Lines, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := want()
			w.Lines = tc.lines
			list := f.Prospects(t.Context(), hosts(tc.hosts), w)
			if len(list) != 1 || list[0].Match != tc.match || list[0].Reason != tc.reason || !strings.Contains(list[0].Text, tc.text) {
				t.Fatalf("got %+v, want %v %q %q", list, tc.match, tc.reason, tc.text)
			}
			r := None(list)
			if (r == nil) != (tc.match != toolchains.None) {
				t.Fatalf("None = %v with a match of %v", r, tc.match)
			}
			if r != nil && !strings.Contains(r.Text, "helper "+list[0].Address+" ") {
				t.Errorf("refusal %q does not name the helper", r.Text)
			}
		})
	}
}

func TestNoHosts(t *testing.T) {
	if r := None(nil); r == nil || r.Reason != ReasonNoHost {
		t.Errorf("None(nil) = %v", r)
	}
}

// A helper that fails is not the end of a job: the next one does it.
func TestNextHelper(t *testing.T) {
	fail := func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{}, errors.New("connection lost")
	}
	refuse := func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{}, broker.Refusef("policy", "will not")
	}
	long := func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{}, broker.Refusef(broker.ReasonTooLong, "lets no job take longer")
	}
	for _, tc := range []struct{ hosts, helper, text string }{
		{"grpc://a:1 grpc://b:1 grpc://c:1", "c:1", ""},
		{"grpc://a:1 grpc://d:1 grpc://c:1", "", "helper a:1: connection lost; helper d:1: lets no job take longer"}, // nor will c
		{"grpc://a:1 grpc://b:1", "", "helper a:1: connection lost; helper b:1: will not"},
	} {
		f, hosts := fleetOf(t, map[string]*peer{
			"a:1": newPeer(8, fail, gcc12()), "b:1": newPeer(8, refuse, gcc12()), "c:1": newPeer(1, good("c"), gcc12()), "d:1": newPeer(8, long, gcc12()),
		})
		f.Reach(t.Context(), hosts(tc.hosts)) // all are known
		list := f.Prospects(t.Context(), hosts(tc.hosts), want())
		res, m, err := f.Run(t.Context(), list, &broker.Job{}, anyResult)
		if tc.helper != "" {
			if err != nil || res.Helper != tc.helper || m != toolchains.Identical {
				t.Errorf("%s: got %+v %v %v", tc.hosts, res, m, err)
			}
			continue
		}
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Text != tc.text {
			t.Errorf("%s: error %v, want a refusal that says %q", tc.hosts, err, tc.text)
		}
	}
}

// A helper that matches better gets the job, however busy it is.
func TestBetterMatchFirst(t *testing.T) {
	revision := gcc12()
	revision.Package = "Debian 12.2.0-15"
	f, hosts := fleetOf(t, map[string]*peer{"a:1": newPeer(8, good("a"), revision), "b:1": newPeer(8, good("b"), gcc12())})
	list := hosts("grpc://a:1 grpc://b:1")
	f.Reach(t.Context(), list)
	f.mu.Lock()
	f.members["b:1"].jobs = 7
	f.mu.Unlock()
	res, m, err := f.Run(t.Context(), f.Prospects(t.Context(), list, want()), &broker.Job{}, anyResult)
	if err != nil || res.Helper != "b:1" || m != toolchains.Identical {
		t.Errorf("got %+v %v %v, want b:1", res, m, err)
	}
}

// A helper that fails job after job is left out for a growing time; one that
// refuses is not.
func TestLeftOut(t *testing.T) {
	err := errors.New("disk full")
	f, hosts := fleetOf(t, map[string]*peer{"a:1": newPeer(8, func(context.Context, *broker.Job) (broker.Result, error) { return broker.Result{}, err }, gcc12())})
	now := time.Now()
	f.o.Now = func() time.Time { return now }
	list := hosts("grpc://a:1")
	run := func() *broker.Refusal {
		ps := f.Prospects(t.Context(), list, want())
		if r := None(ps); r != nil {
			return r
		}
		f.Run(t.Context(), ps, &broker.Job{}, anyResult)
		return nil
	}
	for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		if r := run(); r != nil {
			t.Fatalf("not asked: %v", r)
		}
		if r := run(); r == nil || r.Reason != ReasonNoHelper || !strings.Contains(r.Text, "disk full") {
			t.Fatalf("asked again at once: %v", r)
		}
		now = now.Add(wait)
	}
	err = broker.Refusef("policy", "will not")
	for range 2 {
		if r := run(); r != nil {
			t.Fatalf("left out after a refusal: %v", r)
		}
	}
}

// A silent host does not hold up jobs that another one can do.
func TestSilentHost(t *testing.T) {
	f, hosts := fleetOf(t, map[string]*peer{"b:1": newPeer(1, good("b"), gcc12())})
	dial := f.o.Dial
	f.o.Dial = func(h hostlist.Host) (Link, error) {
		if h.Address() == "a:1" {
			return Link{Close: func() error { return nil }, Watch: func(ctx context.Context, _ func(broker.State)) error { <-ctx.Done(); return ctx.Err() }}, nil
		}
		return dial(h)
	}
	began := time.Now()
	if r := None(f.Prospects(t.Context(), hosts("grpc://a:1 grpc://b:1"), want())); r != nil {
		t.Fatal(r)
	}
	if d := time.Since(began); d > connectTime/2 {
		t.Errorf("it took %s", d)
	}
}

// When all places are taken jobs wait, and go in the order in which they came.
func TestOrder(t *testing.T) {
	hold := make(chan struct{})
	var mu sync.Mutex
	var order []string
	run := func(_ context.Context, j *broker.Job) (broker.Result, error) {
		mu.Lock()
		order = append(order, j.Name)
		mu.Unlock()
		<-hold
		return broker.Result{}, nil
	}
	f, hosts := fleetOf(t, map[string]*peer{"a:1": newPeer(1, run, gcc12())})
	list := f.Prospects(t.Context(), hosts("grpc://a:1/1"), want())
	var wg sync.WaitGroup
	for i, name := range []string{"0", "1", "2", "3"} {
		wg.Go(func() {
			if _, _, err := f.Run(t.Context(), list, &broker.Job{Name: name}, anyResult); err != nil {
				t.Error(err)
			}
		})
		waitFor(t, func() bool { // until it runs or stands in the queue
			f.mu.Lock()
			defer f.mu.Unlock()
			return len(f.queue) == i && list[0].member.jobs == 1
		})
	}
	close(hold)
	wg.Wait()
	if got := strings.Join(order, ""); got != "0123" {
		t.Errorf("order %s, want 0123", got)
	}
}

// A job whose build is gone leaves the queue, and takes no place along.
func TestCancelInQueue(t *testing.T) {
	hold := make(chan struct{})
	run := func(context.Context, *broker.Job) (broker.Result, error) { <-hold; return broker.Result{}, nil }
	f, hosts := fleetOf(t, map[string]*peer{"a:1": newPeer(1, run, gcc12())})
	list := f.Prospects(t.Context(), hosts("grpc://a:1/1"), want())
	var wg sync.WaitGroup
	wg.Go(func() { f.Run(t.Context(), list, &broker.Job{}, anyResult) })
	waitFor(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return list[0].member.jobs == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, _, err := f.Run(ctx, list, &broker.Job{}, anyResult); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled job: %v", err)
		}
	})
	waitFor(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.queue) == 1 })
	cancel()
	waitFor(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.queue) == 0 })
	close(hold)
	wg.Wait()
	if list[0].member.jobs != 0 {
		t.Errorf("%d places taken after all jobs ended", list[0].member.jobs)
	}
}

// A lost helper is down at once and comes back by itself.
func TestLostAndBack(t *testing.T) {
	p := newPeer(1, good("a"), gcc12())
	f, hosts := fleetOf(t, map[string]*peer{"a:1": p})
	if r := None(f.Prospects(t.Context(), hosts("grpc://a:1"), want())); r != nil {
		t.Fatal(r)
	}
	p.lost <- errors.New("killed")
	waitFor(t, func() bool {
		r := None(f.Prospects(t.Context(), hosts("grpc://a:1"), want()))
		return r != nil && strings.Contains(r.Text, "is down: killed")
	})
	waitFor(t, func() bool { return None(f.Prospects(t.Context(), hosts("grpc://a:1"), want())) == nil })
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not happen in 10 s")
}

// Helpers that take jobs and do nothing hold a build for a bounded time only.
func TestStalled(t *testing.T) {
	for name, slots := range map[string]int{"stuck": 1, "without slots": -7} {
		t.Run(name, func(t *testing.T) {
			hold := make(chan struct{})
			run := func(context.Context, *broker.Job) (broker.Result, error) { <-hold; return broker.Result{}, nil }
			f, hosts := fleetOf(t, map[string]*peer{"a:1": newPeer(slots, run, gcc12())})
			f.o.Stall = 50 * time.Millisecond
			list := f.Prospects(t.Context(), hosts("grpc://a:1"), want())
			places := max(slots, 0) + 1
			var wg sync.WaitGroup
			for range places {
				wg.Go(func() { f.Run(t.Context(), list, &broker.Job{}, anyResult) })
			}
			waitFor(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return list[0].member.jobs == places })
			_, _, err := f.Run(t.Context(), list, &broker.Job{}, anyResult)
			if r, ok := errors.AsType[*broker.Refusal](err); !ok || !strings.Contains(r.Text, "no place came free") {
				t.Errorf("got %v", err)
			}
			close(hold)
			wg.Wait()
		})
	}
}

// A file that changed is nobody's fault: the client hears of it at once, and the
// helper stays as good as it was.
func TestChangedFile(t *testing.T) {
	changed := &broker.ChangedError{Path: "/w/a.h", Err: errors.New("it is shorter")}
	runs := 0
	p := newPeer(1, func(context.Context, *broker.Job) (broker.Result, error) {
		runs++
		return broker.Result{}, fmt.Errorf("input: %w", changed)
	}, gcc12())
	f, hosts := fleetOf(t, map[string]*peer{"a:1": p, "b:1": p})
	prospects := func() []Prospect { return f.Prospects(t.Context(), hosts("grpc://a:1 grpc://b:1"), want()) }
	both := func() bool {
		return !slices.ContainsFunc(prospects(), func(p Prospect) bool { return p.Match == toolchains.None })
	}
	waitFor(t, both)
	_, _, err := f.Run(t.Context(), prospects(), &broker.Job{}, anyResult)
	if got, ok := errors.AsType[*broker.ChangedError](err); !ok || got != changed || runs != 1 {
		t.Errorf("after %d runs: %v, want %v after 1", runs, err, changed)
	}
	if !both() {
		t.Errorf("a helper is left out: %+v", prospects())
	}
}
