package door

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/toolchains"
)

func TestCancelStopsTheJob(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	ctx, cancel := context.WithCancelCause(context.Background())
	done := reapitest.Start(ctx, b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", h.Began)
	gone := errors.New("the build went away")
	cancel(gone)
	if err := reapitest.Soon(t, "Run's end", done); !errors.Is(err, gone) {
		t.Errorf("Run = %v, want the cause", err)
	}
	if err := reapitest.Soon(t, "the job's end", h.Ended); !errors.Is(err, errNobodyWaits) {
		t.Errorf("job ended with %v, want that nobody waits", err)
	}
	// The next one must not join what is dying.
	done = reapitest.Start(context.Background(), b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the second job", h.Began)
	close(h.Release)
	if err := reapitest.Soon(t, "the second Run's end", done); err != nil {
		t.Error(err)
	}
}

func TestTwoWaitForOneJob(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	ctx, cancel := context.WithCancel(context.Background())
	first := reapitest.Start(ctx, b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", h.Began)
	second := reapitest.Start(context.Background(), dial(t, b.addr, reapi.ClientOptions{}).Run, reapitest.Job("text"))
	b.waiters(2)
	cancel()
	if err := reapitest.Soon(t, "the first Run's end", first); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	close(h.Release)
	if err := reapitest.Soon(t, "the second Run's end", second); err != nil || b.Runs.Load() != 1 {
		t.Errorf("Run = %v after %d runs, want one run for both", err, b.Runs.Load())
	}
}

// waiters waits until so many streams wait for the only operation.
func (b *bench) waiters(n int) {
	b.t.Helper()
	for range 2000 {
		b.server.ops.mu.Lock()
		got := 0
		for _, op := range b.server.ops.running {
			got += op.waiters
		}
		b.server.ops.mu.Unlock()
		if got == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("never %d waiters", n)
}

// Beats keep a long job alive beyond the client's idle bound.
func TestLongJobIsNotIdle(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	c := dial(t, b.addr, reapi.ClientOptions{Idle: time.Second})
	done := reapitest.Start(context.Background(), c.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", h.Began)
	time.Sleep(2500 * time.Millisecond)
	close(h.Release)
	if err := reapitest.Soon(t, "Run's end", done); err != nil {
		t.Error(err)
	}
}

func TestDrainLetsJobsEnd(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	done := reapitest.Start(context.Background(), b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", h.Began)
	drained := make(chan error, 1)
	go func() { drained <- b.server.Drain(context.Background()) }()
	<-b.server.drained
	if _, err := b.client.Run(context.Background(), reapitest.Job("late")); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Errorf("a job during drain: %v, want that it is draining", err)
	}
	close(h.Release)
	if err := reapitest.Soon(t, "Run's end", done); err != nil {
		t.Errorf("the job that ran: %v", err)
	}
	if err := reapitest.Soon(t, "Drain's end", drained); err != nil {
		t.Errorf("Drain = %v", err)
	}
	began := time.Now()
	if _, err := b.client.Run(context.Background(), reapitest.Job("after")); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("a job after drain: %v after %v", err, time.Since(began))
	}
}

// The client of the last job comes for an output that was not inlined.
func TestDrainHandsOutTheLastOutputs(t *testing.T) {
	b := newBench(t)
	big := strings.Repeat("x", 8<<20)
	began, drained := make(chan struct{}), make(chan error, 1)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		close(began)
		<-b.server.drained
		return reapitest.Compiled(j, big), nil
	})
	done := reapitest.Start(context.Background(), b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", began)
	go func() { drained <- b.server.Drain(context.Background()) }()
	if err := reapitest.Soon(t, "Run's end", done); err != nil {
		t.Error(err)
	}
	if err := reapitest.Soon(t, "Drain's end", drained); err != nil {
		t.Error(err)
	}
}

func TestDrainIsBounded(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	done := reapitest.Start(context.Background(), b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", h.Began)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := b.server.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain = %v", err)
	}
	if err := reapitest.Soon(t, "the job's end", h.Ended); !errors.Is(err, errClosed) {
		t.Errorf("job ended with %v, want that the server closed", err)
	}
	if err := reapitest.Soon(t, "Run's end", done); err == nil {
		t.Error("Run succeeded")
	}
}

func TestCloseStopsJobs(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	done := reapitest.Start(context.Background(), b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", h.Began)
	b.server.Close()
	reapitest.Soon(t, "the job's end", h.Ended)
	err := reapitest.Soon(t, "Run's end", done)
	if err == nil {
		t.Error("Run succeeded")
	}
}

func TestWatch(t *testing.T) {
	b := newBench(t)
	states := make(chan broker.State, 1000)
	ended := make(chan error, 1)
	go func() { ended <- b.client.Watch(context.Background(), func(s broker.State) { states <- s }) }()
	want := broker.State{Version: "test", Sandbox: "none", Slots: 2, Toolchains: []toolchains.Toolchain{reapitest.Toolchain()}}
	if diff := cmp.Diff(want, reapitest.Soon(t, "the first state", states)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	b.SetState(func(s *broker.State) { s.Running = 1 })
	want.Running = 1
	until(t, states, func(s broker.State) bool { return cmp.Diff(want, s) == "" })
	want.Images = []broker.ImageState{{Name: "tools@sha256:1", Phase: broker.ImageFetching, Detail: "half", Toolchains: 2, Digests: "sha256:1 sha256:2", Shared: "sha256:2"}}
	b.SetState(func(s *broker.State) { s.Images = want.Images })
	until(t, states, func(s broker.State) bool { return cmp.Diff(want, s) == "" })
	b.SetState(func(s *broker.State) { s.Toolchains = nil })
	until(t, states, func(s broker.State) bool { return len(s.Toolchains) == 0 })

	h := b.Hold() // something to drain
	reapitest.Start(context.Background(), b.client.Run, reapitest.Job("text"))
	reapitest.Soon(t, "the job", h.Began)
	go b.server.Drain(context.Background())
	until(t, states, func(s broker.State) bool { return s.Draining })
	close(h.Release)
	if err := reapitest.Soon(t, "Watch's end", ended); err == nil || !strings.Contains(err.Error(), "leaving") {
		t.Errorf("Watch = %v, want that the helper is leaving", err)
	}
}

func until(t *testing.T, states <-chan broker.State, ok func(broker.State) bool) {
	t.Helper()
	for !ok(reapitest.Soon(t, "the state", states)) {
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	err := b.client.Watch(ctx, func(broker.State) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v", err)
	}
}
