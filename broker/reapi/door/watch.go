package door

import (
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/states"
	"github.com/crosscc/crosscc/toolchains"
)

// watcher is the Helper service of helperpb.
type watcher struct {
	helperpb.UnimplementedHelperServer
	s *Server
}

// Watch sends each new state. What changes with every job is sent at most once in
// each Options.Pace: it is a hint for where to send jobs, and each message
// wakes every client. A slow client misses those in between.
func (w *watcher) Watch(_ *helperpb.WatchRequest, stream grpc.ServerStreamingServer[helperpb.State]) error {
	beat := time.NewTicker(w.s.o.Beat)
	defer beat.Stop()
	var sent broker.State
	var at time.Time           // when it was
	var later <-chan time.Time // when a change of load is due
	drained := w.s.drained
	for due, first := true, true; ; {
		state, changed := w.s.b.State()
		state = state.For(peerOf(stream.Context()).Name)
		switch {
		case due || !sameBut(sent, state):
			same := !first && sameSlice(sent.Toolchains, state.Toolchains)
			if err := stream.Send(w.s.stateMessage(state, same)); err != nil {
				return err
			}
			sent, at, later, due, first = state, time.Now(), nil, false, false
		case sent.Running == state.Running && sent.Queued == state.Queued:
			later = nil
		case later == nil:
			later = time.After(w.s.o.Pace - time.Since(at))
		}
		select {
		case <-changed:
		case <-later:
			due = true
		case <-beat.C:
			due = true
		case <-drained:
			drained, due = nil, true // said once
		case <-w.s.gone:
			return status.Error(codes.Unavailable, "helper is leaving")
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// sameBut reports whether two states differ in their load alone, or not at all.
func sameBut(a, b broker.State) bool {
	return a.Version == b.Version && a.Sandbox == b.Sandbox && a.Slots == b.Slots && a.Draining == b.Draining && sameSlice(a.Toolchains, b.Toolchains) &&
		slices.Equal(a.Images, b.Images) && a.Packs == b.Packs && a.Machine == b.Machine
}

// sameSlice reports whether b is a itself, which nobody changes.
func sameSlice(a, b []toolchains.Toolchain) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// stateMessage words a state of this server; same leaves the toolchains out.
func (s *Server) stateMessage(state broker.State, same bool) *helperpb.State {
	s.mu.Lock()
	state.Draining = state.Draining || s.draining
	s.mu.Unlock()
	return states.Message(state, same)
}
