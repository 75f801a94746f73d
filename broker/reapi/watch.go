package reapi

import (
	"context"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/states"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/toolchains"
)

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
		state := states.Parse(p, last)
		last = state.Toolchains
		f(state)
	}
}
