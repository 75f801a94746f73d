package reapi

import (
	"context"
	"errors"
	"fmt"
	"io"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// runThere has a helper of ours run the action, with the inputs that it was never
// told of, and waits for its result: one round trip, whether the helper has a
// result already or a compiler runs.
func (c *Client) runThere(ctx context.Context, j *broker.Job, a *wire.Action, along cargo, pack, skipCache bool) (broker.Result, error) {
	leave, err := c.storage.Enter(ctx, along.size())
	if err != nil {
		return broker.Result{}, err
	}
	defer leave()
	r, err := c.runRequest(a, along, pack)
	if err != nil {
		return broker.Result{}, err
	}
	r.SkipCache = skipCache
	ctx, touch, stop := wire.Watched(ctx, c.o.Idle)
	defer stop() // ends the stream: the server stops a job that nobody waits for
	// grpc keeps nothing of it to send it again, and neither do we: jobs wait long.
	stream, err := helperpb.NewHelperClient(c.conn).Run(ctx, r, grpc.MaxRetryRPCBufferSize(0))
	leave()
	if err != nil {
		return broker.Result{}, c.executeFailed(ctx, err)
	}
	answer, err := c.lastAnswer(ctx, stream, touch)
	if err != nil {
		return broker.Result{}, err
	}
	if answer.Held {
		a.Held()
		c.storage.Known(along.directories)
		c.storage.Known(along.files)
	}
	result, err := c.unpackResult(answer)
	if err != nil {
		return broker.Result{}, err
	}
	res, err := c.resultOf(ctx, j, result)
	res.Cached = answer.Cached
	return res, err
}

// lastAnswer waits while the job runs.
func (c *Client) lastAnswer(ctx context.Context, stream grpc.ServerStreamingClient[helperpb.RunAnswer], touch func()) (*helperpb.RunAnswer, error) {
	for {
		answer, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("helper ended the job without an answer")
		case status.Code(err) == codes.Unimplemented:
			c.server.Store(nil)
			return nil, errReplaced
		case err != nil:
			return nil, c.executeFailed(ctx, err)
		}
		touch()
		if answer.Done {
			return answer, nil
		}
	}
}

// runRequest words a call. The contents of along are read now.
func (c *Client) runRequest(a *wire.Action, along cargo, pack bool) (_ *helperpb.RunRequest, err error) {
	in := &helperpb.Inputs{Command: a.Command}
	if in.Directories, err = contentsOf(along.directories); err == nil {
		in.Files, err = contentsOf(along.files)
	}
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	r := &helperpb.RunRequest{Action: a.Message, Pack: pack}
	if r.Inputs, err = proto.Marshal(in); err != nil {
		return nil, fmt.Errorf("inputs: %w", err)
	}
	if pack {
		if packed, ok := c.zstd.Pack(r.Inputs); ok {
			r.Inputs, r.InputsSize = packed, int64(len(r.Inputs))
		}
	}
	return r, nil
}

func contentsOf(blobs []broker.Blob) (list [][]byte, err error) {
	list = make([][]byte, len(blobs))
	for i, b := range blobs {
		if list[i], err = b.Bytes(maxAlong); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// unpackResult puts the outputs that came into the result.
func (c *Client) unpackResult(a *helperpb.RunAnswer) (*repb.ActionResult, error) {
	result := new(repb.ActionResult)
	if err := proto.Unmarshal(a.Result, result); err != nil {
		return nil, fmt.Errorf("answer of the helper: %w", err)
	}
	for i, content := range a.Contents {
		if i >= len(result.OutputFiles) {
			return nil, fmt.Errorf("answer of the helper has the contents of %d outputs, and names %d", len(a.Contents), len(result.OutputFiles))
		}
		f := result.OutputFiles[i]
		f.Contents = content.Data
		if !content.Packed {
			continue
		}
		size := f.Digest.GetSizeBytes()
		if size < 0 || size > wire.MaxInline {
			return nil, fmt.Errorf("output %s of %d bytes came inside the answer", f.Path, size)
		}
		var err error
		if f.Contents, err = c.zstd.Unpack(content.Data, size); err != nil {
			return nil, fmt.Errorf("output %s: %w", f.Path, err)
		}
	}
	return result, nil
}
