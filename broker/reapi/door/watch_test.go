package door

import (
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
)

// What changes with every job is not told with every job: each message wakes
// every agent that watches.
func TestWatchIsPaced(t *testing.T) {
	b := newBench(t)
	b.server.o.Beat, b.server.o.Pace = time.Minute, time.Hour
	states := make(chan broker.State, 1000)
	go func() { _ = b.client.Watch(t.Context(), func(s broker.State) { states <- s }) }()
	reapitest.Soon(t, "the first state", states)
	for running := range 20 {
		b.SetState(func(s *broker.State) { s.Running, s.Queued = running, running/2 })
		time.Sleep(time.Millisecond) // or they may fall together by themselves
	}
	b.SetState(func(s *broker.State) { s.Slots = 7 })
	if s := reapitest.Soon(t, "the second state", states); s.Slots != 7 || s.Running != 19 || s.Queued != 9 {
		t.Errorf("told of %+v, want 7 slots and the last load at once, and no load before", s)
	}
}

// A change of load that was held back is told when it is due.
func TestWatchTellsLoad(t *testing.T) {
	b := newBench(t)
	b.server.o.Beat, b.server.o.Pace = time.Minute, 50*time.Millisecond
	states := make(chan broker.State, 1000)
	go func() { _ = b.client.Watch(t.Context(), func(s broker.State) { states <- s }) }()
	reapitest.Soon(t, "the first state", states)
	for running := range 3 {
		b.SetState(func(s *broker.State) { s.Running = running + 1 })
	}
	until(t, states, func(s broker.State) bool { return s.Running == 3 })
}
