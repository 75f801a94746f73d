package reapi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crosscc/crosscc/broker"
)

// holding is a runner that says when a job began and how it ended, and works
// until release is closed.
type holding struct {
	began   chan struct{}
	ended   chan error
	release chan struct{}
}

func (b *bench) hold() *holding {
	h := &holding{began: make(chan struct{}, 100), ended: make(chan error, 100), release: make(chan struct{})}
	b.setRunner(func(ctx context.Context, j *broker.Job) (broker.Result, error) {
		h.began <- struct{}{}
		select {
		case <-h.release:
			h.ended <- nil
			return compiled(j, "object"), nil
		case <-ctx.Done():
			h.ended <- context.Cause(ctx)
			return broker.Result{}, ctx.Err()
		}
	})
	return h
}

// soon is what comes within a time that a busy machine keeps as well.
func soon[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", what)
	}
	return v
}

// start runs a job beside the test.
func start(ctx context.Context, c *Client, j *broker.Job) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx, j)
		done <- err
	}()
	return done
}

func TestCancelStopsTheJob(t *testing.T) {
	b := newBench(t)
	h := b.hold()
	ctx, cancel := context.WithCancelCause(context.Background())
	done := start(ctx, b.client, testJob("text"))
	soon(t, "the job", h.began)
	gone := errors.New("the build went away")
	cancel(gone)
	if err := soon(t, "Run's end", done); !errors.Is(err, gone) {
		t.Errorf("Run = %v, want the cause", err)
	}
	if err := soon(t, "the job's end", h.ended); !errors.Is(err, errNobodyWaits) {
		t.Errorf("job ended with %v, want that nobody waits", err)
	}
	// The next one must not join what is dying.
	done = start(context.Background(), b.client, testJob("text"))
	soon(t, "the second job", h.began)
	close(h.release)
	if err := soon(t, "the second Run's end", done); err != nil {
		t.Error(err)
	}
}

func TestTwoWaitForOneJob(t *testing.T) {
	b := newBench(t)
	h := b.hold()
	ctx, cancel := context.WithCancel(context.Background())
	first := start(ctx, b.client, testJob("text"))
	soon(t, "the job", h.began)
	second := start(context.Background(), dial(t, b.addr, ClientOptions{}), testJob("text"))
	b.waiters(2)
	cancel()
	if err := soon(t, "the first Run's end", first); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	close(h.release)
	if err := soon(t, "the second Run's end", second); err != nil || b.runs.Load() != 1 {
		t.Errorf("Run = %v after %d runs, want one run for both", err, b.runs.Load())
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
	h := b.hold()
	c := dial(t, b.addr, ClientOptions{Idle: time.Second})
	done := start(context.Background(), c, testJob("text"))
	soon(t, "the job", h.began)
	time.Sleep(2500 * time.Millisecond)
	close(h.release)
	if err := soon(t, "Run's end", done); err != nil {
		t.Error(err)
	}
}

func TestDrainLetsJobsEnd(t *testing.T) {
	b := newBench(t)
	h := b.hold()
	done := start(context.Background(), b.client, testJob("text"))
	soon(t, "the job", h.began)
	drained := make(chan error, 1)
	go func() { drained <- b.server.Drain(context.Background()) }()
	<-b.server.drained
	if _, err := b.client.Run(context.Background(), testJob("late")); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Errorf("a job during drain: %v, want that it is draining", err)
	}
	close(h.release)
	if err := soon(t, "Run's end", done); err != nil {
		t.Errorf("the job that ran: %v", err)
	}
	if err := soon(t, "Drain's end", drained); err != nil {
		t.Errorf("Drain = %v", err)
	}
	began := time.Now()
	if _, err := b.client.Run(context.Background(), testJob("after")); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("a job after drain: %v after %v", err, time.Since(began))
	}
}

// The client of the last job comes for an output that was not inlined.
func TestDrainHandsOutTheLastOutputs(t *testing.T) {
	b := newBench(t)
	big := strings.Repeat("x", 8<<20)
	began, drained := make(chan struct{}), make(chan error, 1)
	b.setRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		close(began)
		<-b.server.drained
		return compiled(j, big), nil
	})
	done := start(context.Background(), b.client, testJob("text"))
	soon(t, "the job", began)
	go func() { drained <- b.server.Drain(context.Background()) }()
	if err := soon(t, "Run's end", done); err != nil {
		t.Error(err)
	}
	if err := soon(t, "Drain's end", drained); err != nil {
		t.Error(err)
	}
}

func TestDrainIsBounded(t *testing.T) {
	b := newBench(t)
	h := b.hold()
	done := start(context.Background(), b.client, testJob("text"))
	soon(t, "the job", h.began)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := b.server.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain = %v", err)
	}
	if err := soon(t, "the job's end", h.ended); !errors.Is(err, errClosed) {
		t.Errorf("job ended with %v, want that the server closed", err)
	}
	if err := soon(t, "Run's end", done); err == nil {
		t.Error("Run succeeded")
	}
}

func TestCloseStopsJobs(t *testing.T) {
	b := newBench(t)
	h := b.hold()
	done := start(context.Background(), b.client, testJob("text"))
	soon(t, "the job", h.began)
	b.server.Close()
	soon(t, "the job's end", h.ended)
	err := soon(t, "Run's end", done)
	if err == nil {
		t.Error("Run succeeded")
	}
}

func TestWatch(t *testing.T) {
	b := newBench(t)
	states := make(chan broker.State, 1000)
	ended := make(chan error, 1)
	go func() { ended <- b.client.Watch(context.Background(), func(s broker.State) { states <- s }) }()
	want := broker.State{Version: "test", Sandbox: "none", Slots: 2, Toolchains: b.state.Toolchains}
	if diff := cmp.Diff(want, soon(t, "the first state", states)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	b.setState(func(s *broker.State) { s.Running = 1 })
	want.Running = 1
	until(t, states, func(s broker.State) bool { return cmp.Diff(want, s) == "" })
	want.Images = []broker.ImageState{{Name: "tools@sha256:1", Phase: broker.ImageFetching, Detail: "half", Toolchains: 2, Digests: "sha256:1 sha256:2", Shared: "sha256:2"}}
	b.setState(func(s *broker.State) { s.Images = want.Images })
	until(t, states, func(s broker.State) bool { return cmp.Diff(want, s) == "" })
	b.setState(func(s *broker.State) { s.Toolchains = nil })
	until(t, states, func(s broker.State) bool { return len(s.Toolchains) == 0 })

	h := b.hold() // something to drain
	start(context.Background(), b.client, testJob("text"))
	soon(t, "the job", h.began)
	go b.server.Drain(context.Background())
	until(t, states, func(s broker.State) bool { return s.Draining })
	close(h.release)
	if err := soon(t, "Watch's end", ended); err == nil || !strings.Contains(err.Error(), "leaving") {
		t.Errorf("Watch = %v, want that the helper is leaving", err)
	}
}

func until(t *testing.T, states <-chan broker.State, ok func(broker.State) bool) {
	t.Helper()
	for !ok(soon(t, "the state", states)) {
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
