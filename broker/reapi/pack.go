package reapi

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// peerHeader is the header in which a client of ours says its word, by which a helper
// knows it from others (trust.Secret).
const peerHeader = "crosscc-peer"

// A pass says the client's word with each call to a server that has said that it is a
// helper of ours. Others have no use for it, and may keep what headers they get. Where
// a server was replaced by another since it was asked, that hears a word which is made
// for its own address.
type pass struct{ c *Client }

func (p pass) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if server := p.c.server.Load(); server == nil || !server.run {
		return nil, nil
	}
	return p.c.word, nil
}

// RequireTransportSecurity: it goes in the clear where jobs do.
func (pass) RequireTransportSecurity() bool { return false }

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
	if words := metadata.ValueFromIncomingContext(ctx, peerHeader); len(words) == 1 {
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

// Pack sends a pack to the helper, unless it has it, and returns when the helper
// knows what is in it; say is called with how far that is. A *broker.Refusal says
// why the helper does not take it.
func (c *Client) Pack(ctx context.Context, b broker.Blob, say func(string)) error {
	if c.server.Load() == nil {
		if _, err := c.ask(ctx); err != nil {
			return err
		}
	}
	claim := c.storage.Claim([]broker.Blob{b}, 0)
	defer claim.Drop()
	if err := claim.Ask(ctx); err != nil {
		return err
	}
	say(fmt.Sprintf("sending %d MiB", b.Digest.Size>>20))
	if err := claim.Bring(ctx); err != nil {
		return err
	}
	ctx, touch, stop := wire.Watched(ctx, c.o.Idle)
	defer stop()
	stream, err := helperpb.NewHelperClient(c.conn).Pack(ctx, &helperpb.PackRequest{Hash: b.Digest.Hash, Size: b.Digest.Size})
	if err != nil {
		return wire.Failed(ctx, err)
	}
	for {
		answer, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.executeFailed(ctx, err)
		}
		touch()
		say(answer.Detail)
	}
}
