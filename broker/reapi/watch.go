package reapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/toolchains"
)

// watcher is the Helper service of helperpb.
type watcher struct {
	helperpb.UnimplementedHelperServer
	s *Server
}

// Watch sends each new state. What changes with every job is sent at most once in
// each ServerOptions.Pace: it is a hint for where to send jobs, and each message
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
			if err := stream.Send(w.s.stateToProto(state, same)); err != nil {
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

// stateToProto words a state; same leaves the toolchains out.
func (s *Server) stateToProto(state broker.State, same bool) *helperpb.State {
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	p := &helperpb.State{
		Version: state.Version, Sandbox: state.Sandbox, Slots: int32(state.Slots), Running: int32(state.Running),
		Queued: int32(state.Queued), Draining: state.Draining || draining, SameToolchains: same,
		Machine: state.Machine, Packs: state.Packs,
	}
	for _, i := range state.Images {
		p.Images = append(p.Images, &helperpb.Image{
			Name: i.Name, Phase: string(i.Phase), Detail: strings.ToValidUTF8(i.Detail, "\uFFFD"), Toolchains: int32(i.Toolchains), Digests: i.Digests, Shared: i.Shared,
		})
	}
	if same {
		return p
	}
	for _, t := range state.Toolchains {
		p.Toolchains = append(p.Toolchains, toolchainToProto(t))
	}
	return p
}

func toolchainToProto(t toolchains.Toolchain) *helperpb.Toolchain {
	id := t.Identity
	p := &helperpb.Toolchain{
		Family: wire.FamilyName(id.Family), Target: id.Target, Version: id.Version, Package: id.Package,
		Assembler: id.Assembler, Defaults: id.Defaults, Libm: id.Libm, Fingerprint: t.Fingerprint,
		// For people to read: a path that is not UTF-8 still must not end the stream.
		Path: strings.ToValidUTF8(t.Path, "\uFFFD"), CxxPath: strings.ToValidUTF8(t.CXXPath, "\uFFFD"),
		Targets: t.Targets, UnaskedC: t.Unasked.C, UnaskedCxx: t.Unasked.CXX, Knobs: t.Unasked.Knobs, Rest: t.Unasked.Rest,
		Derived: t.Derived,
		Image:   t.Image,
	}
	for _, l := range t.Languages {
		p.Languages = append(p.Languages, l.XName())
	}
	return p
}

// toolchainFromProto leaves out languages of a newer helper.
func toolchainFromProto(p *helperpb.Toolchain) (toolchains.Toolchain, error) {
	family, ok := wire.ParseFamily(p.Family)
	if !ok {
		return toolchains.Toolchain{}, fmt.Errorf("compiler family %q is not known", p.Family)
	}
	t := toolchains.Toolchain{
		Identity: toolchains.Identity{
			Family: family, Target: p.Target, Version: p.Version, Package: p.Package,
			Assembler: p.Assembler, Defaults: p.Defaults, Libm: p.Libm,
		},
		Fingerprint: p.Fingerprint, Path: p.Path, CXXPath: p.CxxPath, Targets: p.Targets,
		Unasked: toolchains.Unasked{C: p.UnaskedC, CXX: p.UnaskedCxx, Knobs: p.Knobs, Rest: p.Rest},
		Derived: p.Derived,
		Image:   p.Image,
	}
	for l := argv.C; l <= argv.Asm; l++ {
		if slices.Contains(p.Languages, l.XName()) {
			t.Languages = append(t.Languages, l)
		}
	}
	return t, nil
}

// Watch calls f with each new state of the helper, until ctx ends, the stream
// breaks, or the helper is silent for ClientOptions.Idle. It never returns nil.
// A server that is none of ours has no such service: the error says so. What the server
// is is asked first, each time: it may have been replaced, and one of ours tells a peer
// that it knows of more.
func (c *Client) Watch(ctx context.Context, f func(broker.State)) error {
	if _, err := c.ask(ctx); err != nil {
		return err
	}
	ctx, touch, stop := wire.Watched(ctx, c.o.Idle)
	defer stop()
	stream, err := helperpb.NewHelperClient(c.conn).Watch(ctx, &helperpb.WatchRequest{})
	if err != nil {
		return wire.Failed(ctx, err)
	}
	var last []toolchains.Toolchain
	for {
		p, err := stream.Recv()
		if err != nil {
			return wire.Failed(ctx, err)
		}
		touch()
		if !p.SameToolchains {
			last = c.toolchains(p)
		}
		f(broker.State{
			Version: p.Version, Sandbox: p.Sandbox, Slots: int(p.Slots), Running: int(p.Running),
			Queued: int(p.Queued), Draining: p.Draining, Toolchains: last, Images: imagesFromProto(p.Images),
			Machine: p.Machine, Packs: p.Packs,
		})
	}
}

func imagesFromProto(list []*helperpb.Image) []broker.ImageState {
	var out []broker.ImageState
	for _, i := range list {
		out = append(out, broker.ImageState{Name: i.Name, Phase: broker.ImagePhase(i.Phase), Detail: i.Detail, Toolchains: int(i.Toolchains), Digests: i.Digests, Shared: i.Shared})
	}
	return out
}

// toolchains leaves out those that this version does not understand.
func (c *Client) toolchains(p *helperpb.State) []toolchains.Toolchain {
	out := make([]toolchains.Toolchain, 0, len(p.Toolchains))
	for _, tp := range p.Toolchains {
		if t, err := toolchainFromProto(tp); err == nil {
			out = append(out, t)
		}
	}
	return out
}
