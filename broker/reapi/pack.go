package reapi

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

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
