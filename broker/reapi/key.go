package reapi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// Key asks a helper of ours under which text it would keep the job's result. It
// uploads what the helper lacks, as for a run.
func (c *Client) Key(ctx context.Context, j *broker.Job) (string, error) {
	text, err := c.key(ctx, j)
	if _, ok := errors.AsType[*broker.Refusal](err); err != nil && !ok {
		err = fmt.Errorf("%s: %w", c.target, err)
	}
	return text, err
}

func (c *Client) key(ctx context.Context, j *broker.Job) (string, error) {
	a, err := wire.NewWriter().ActionOf(j) // one that takes nothing to be there
	if err != nil {
		return "", err
	}
	server, err := c.capabilities(ctx, a)
	if err != nil {
		return "", err
	}
	if !server.run {
		return "", errors.New("the server is no helper of crosscc's, which alone tell their keys")
	}
	inputs := slices.Concat(a.Directories, a.Files)
	c.storage.Forget(inputs)
	claim := c.storage.Claim(inputs, 0)
	defer claim.Drop()
	if err := claim.Ask(ctx); err != nil {
		return "", err
	}
	if err := claim.Bring(ctx); err != nil {
		return "", err
	}
	r := &helperpb.RunRequest{Action: a.Message}
	if r.Inputs, err = proto.Marshal(&helperpb.Inputs{Command: a.Command}); err != nil {
		return "", fmt.Errorf("inputs: %w", err)
	}
	ctx, _, stop := wire.Watched(ctx, c.o.Idle)
	defer stop()
	answer, err := helperpb.NewHelperClient(c.conn).Key(ctx, r)
	if err != nil {
		return "", c.executeFailed(ctx, err)
	}
	return answer.Text, nil
}
