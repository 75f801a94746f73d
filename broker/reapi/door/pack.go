package door

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/trust"
)

// This file is about peers that have sent packs. What the programs of a pack make is
// for the peer that sent it alone, so all that a server keeps of actions or lets
// calls share (aliases, running operations, the list of toolchains) is apart for
// such a peer. All others share one scope.

// A scope is the name of a peer with packs, or "" for all others.
type scope string

// scopeOf is the scope of a call by which a peer uses what it has.
func (s *Server) scopeOf(ctx context.Context) scope {
	name := peerOf(ctx).Name
	if name == "" {
		return ""
	}
	state, _ := s.b.State()
	if _, ok := state.Peers[name]; !ok {
		return ""
	}
	if s.b.Heard != nil {
		s.b.Heard(name)
	}
	return scope(name)
}

// peerOf is who calls: its name by the word that it says, which no other can say.
func peerOf(ctx context.Context) broker.Peer {
	who := broker.Peer{Address: addressOf(ctx)}
	if words := metadata.ValueFromIncomingContext(ctx, wire.PeerHeader); len(words) == 1 {
		who.Name = trust.PeerName(words[0])
	}
	return who
}

// addressOf is where a call comes from. All that come through a unix socket are one.
func addressOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	switch a := p.Addr.(type) {
	case *net.UnixAddr:
		return "unix"
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().String()
	}
	if a, err := netip.ParseAddrPort(p.Addr.String()); err == nil {
		return a.Addr().Unmap().String()
	}
	return ""
}

// key is a name for an action within a scope.
func (sc scope) key(action broker.Digest) broker.Digest {
	if sc == "" {
		return action
	}
	return broker.DigestOf([]byte("crosscc peer v1\n" + string(sc) + "\n" + action.String()))
}

// Pack takes a pack for the peer that calls.
func (w *watcher) Pack(r *helperpb.PackRequest, stream grpc.ServerStreamingServer[helperpb.PackAnswer]) error {
	s := w.s
	if s.b.Pack == nil {
		return status.Error(codes.Unimplemented, "no packs are taken here")
	}
	d := broker.Digest{Hash: r.Hash, Size: r.Size}
	if !d.Valid() {
		return status.Errorf(codes.InvalidArgument, "pack: %s is no digest", d)
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(errClosed) })()
	said, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- s.b.Pack(ctx, peerOf(ctx), d, func(text string) {
			select {
			case said <- text:
			default: // the client is told now and then
			}
		})
	}()
	beat := time.NewTicker(s.o.Beat)
	defer beat.Stop()
	for text := ""; ; {
		var failed error
		select {
		case err := <-done:
			if err != nil {
				return wire.StatusOf(err).Err()
			}
			return nil
		case text = <-said:
			failed = stream.Send(&helperpb.PackAnswer{Detail: strings.ToValidUTF8(text, "\uFFFD")})
		case <-beat.C:
			failed = stream.Send(&helperpb.PackAnswer{Detail: strings.ToValidUTF8(text, "\uFFFD")})
		}
		if failed != nil {
			cancel(failed)
			s.b.Logf("pack of a client that went away: %v", <-done)
			return failed
		}
	}
}
