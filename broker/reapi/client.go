package reapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/cas"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

const (
	// lowMinor and highMinor are the versions 2.x that both sides speak.
	lowMinor, highMinor = 0, 12
	// metadataKey is the header in which REAPI's RequestMetadata travels.
	metadataKey = "build.bazel.remote.execution.v2.requestmetadata-bin"
)

// ClientOptions are a client's settings; the zero value is well for use.
type ClientOptions struct {
	// Version of crosscc, for the server's logs.
	Version string
	// Idle bounds the silence of every call; 0 means 1 minute. A server of
	// ours says every 10 seconds that a job still runs; an engine may not, and
	// needs as much as its longest compile.
	Idle time.Duration
	// Connect bounds the making of a connection; 0 means 10 seconds.
	Connect time.Duration
	// Dir is where outputs over 4 MiB are kept, in files without a name that
	// go with their Blob; "" means os.TempDir.
	Dir string
	// MaxOutputs bounds the bytes of one job's outputs; 0 means 2 GiB.
	MaxOutputs int64
}

// A Client has jobs run by one server. Its methods may be called at once.
type Client struct {
	target     string
	o          ClientOptions
	conn       *grpc.ClientConn
	invocation string
	writer     *wire.Writer
	storage    *cas.Client
	asks       singleflight.Group
	batch      atomic.Int64 // the server's bound of a batch, in bytes; 0 until it was asked
}

// Dial makes a client of the server at target, host:port or the absolute path
// of a unix socket. It connects with the first call, and again when it must.
func Dial(target string, o ClientOptions) (*Client, error) {
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	if o.Connect == 0 {
		o.Connect = 10 * time.Second
	}
	if o.MaxOutputs == 0 {
		o.MaxOutputs = 2 << 30
	}
	network := "tcp"
	if path := strings.TrimPrefix(target, "unix:"); strings.HasPrefix(path, "/") {
		network, target = "unix", path
	}
	dialer := &net.Dialer{Timeout: o.Connect}
	conn, err := grpc.NewClient("passthrough:///"+target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, target)
		}),
		grpc.WithAuthority("crosscc"),
		grpc.WithUserAgent("crosscc/"+o.Version),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 15 * time.Second}),
		// The fleet leaves out what fails for a growing time; a helper that
		// came back must not wait for grpc's own two minutes as well.
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: o.Connect,
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return &Client{
		target: target, o: o, conn: conn, invocation: rand.Text(), writer: wire.NewWriter(),
		storage: cas.NewClient(conn, o.Idle, o.Dir),
	}, nil
}

// Close ends the connection; calls that run fail.
func (c *Client) Close() error { return c.conn.Close() }

// Run has one job run; it is a broker.Runner. Every error but a *broker.Refusal
// starts with the server's address and says nothing about the job.
func (c *Client) Run(ctx context.Context, j *broker.Job) (broker.Result, error) {
	a, err := c.writer.ActionOf(j)
	if err != nil {
		return broker.Result{}, err
	}
	res, err := c.run(c.describe(ctx, a), j, a)
	if err != nil {
		if _, ok := errors.AsType[*broker.Refusal](err); ok {
			return broker.Result{}, err
		}
		return broker.Result{}, fmt.Errorf("%s: %w", c.target, err)
	}
	res.Helper = c.target
	return res, nil
}

// describe adds the RequestMetadata that some servers insist on.
func (c *Client) describe(ctx context.Context, a *wire.Action) context.Context {
	m, err := proto.Marshal(&repb.RequestMetadata{
		ToolDetails:      &repb.ToolDetails{ToolName: "crosscc", ToolVersion: strings.ToValidUTF8(c.o.Version, "?")},
		ActionId:         a.Digest.Hash,
		ToolInvocationId: c.invocation,
	})
	if err != nil {
		return ctx // nothing in it can fail; a job is worth more than its label
	}
	return metadata.AppendToOutgoingContext(ctx, metadataKey, string(m))
}

// run asks for a kept result and uploads what is missing, then executes. A
// server that lost an input in between is told once more.
func (c *Client) run(ctx context.Context, j *broker.Job, a *wire.Action) (broker.Result, error) {
	if err := c.capabilities(ctx); err != nil {
		return broker.Result{}, err
	}
	for again := false; ; again = true {
		result, err := c.prepare(ctx, j, a)
		if err != nil {
			return broker.Result{}, err
		}
		if result != nil {
			res, err := c.resultOf(ctx, j, result)
			if !wire.IsMissing(err) {
				res.Cached = true
				return res, err
			}
		}
		// A kept result whose outputs went away must not come a second time.
		res, err := c.execute(ctx, j, a, result != nil)
		if !wire.IsMissing(err) || again {
			return res, err
		}
		c.storage.Forget(a.Blobs())
	}
}

// prepare makes the server ready to execute: it has all blobs when prepare
// returns. When the server turns out to have a result, that is returned.
func (c *Client) prepare(ctx context.Context, j *broker.Job, a *wire.Action) (*repb.ActionResult, error) {
	unknown := c.storage.Unknown(a.Blobs())
	if len(unknown) == 0 {
		return nil, nil // Execute looks into the cache itself
	}
	asking, enough := context.WithCancel(ctx)
	defer enough()
	asked := make(chan *repb.ActionResult, 1)
	go func() { asked <- c.kept(asking, j, a) }()
	missing, err := c.storage.Missing(ctx, unknown)
	if err != nil {
		return nil, err
	}
	if result := <-asked; result != nil {
		return result, nil
	}
	return nil, c.storage.Upload(ctx, missing, c.batch.Load())
}

// kept is the server's result of an earlier run, or nil; a failure to ask is
// found by the next call.
func (c *Client) kept(ctx context.Context, j *broker.Job, a *wire.Action) *repb.ActionResult {
	ctx, _, stop := wire.Watched(ctx, c.o.Idle)
	defer stop()
	result, err := repb.NewActionCacheClient(c.conn).GetActionResult(ctx, &repb.GetActionResultRequest{
		ActionDigest: wire.DigestToProto(a.Digest), InlineStdout: true, InlineStderr: true, InlineOutputFiles: j.Outputs,
		DigestFunction: repb.DigestFunction_SHA256,
	})
	if err != nil || result.ExitCode != 0 {
		return nil
	}
	return result
}

// execute has the action run and waits for its result.
func (c *Client) execute(ctx context.Context, j *broker.Job, a *wire.Action, skipCache bool) (broker.Result, error) {
	answer, err := c.await(ctx, &repb.ExecuteRequest{
		ActionDigest: wire.DigestToProto(a.Digest), SkipCacheLookup: skipCache,
		InlineStdout: true, InlineStderr: true, InlineOutputFiles: j.Outputs,
		DigestFunction: repb.DigestFunction_SHA256,
	})
	if err != nil {
		return broker.Result{}, err
	}
	// The status first: a server may report its own failure with exit code 0.
	if s := status.FromProto(answer.Status); s.Code() != codes.OK {
		return broker.Result{}, wire.JobError(s)
	}
	if answer.Result == nil {
		return broker.Result{}, errors.New("answer has no result")
	}
	res, err := c.resultOf(ctx, j, answer.Result)
	res.Cached = answer.CachedResult
	return res, err
}

// await follows an execution to its answer.
func (c *Client) await(ctx context.Context, r *repb.ExecuteRequest) (*repb.ExecuteResponse, error) {
	ctx, touch, stop := wire.Watched(ctx, c.o.Idle)
	defer stop() // ends the stream: the server stops a job that nobody waits for
	stream, err := repb.NewExecutionClient(c.conn).Execute(ctx, r)
	if err != nil {
		return nil, c.executeFailed(ctx, err)
	}
	for {
		op, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("execution ended without an answer")
		}
		if err != nil {
			return nil, c.executeFailed(ctx, err)
		}
		touch()
		if !op.Done {
			continue
		}
		if e := op.GetError(); e != nil {
			return nil, wire.JobError(status.FromProto(e))
		}
		answer := new(repb.ExecuteResponse)
		if err := op.GetResponse().UnmarshalTo(answer); err != nil {
			return nil, fmt.Errorf("answer of the execution: %w", err)
		}
		return answer, nil
	}
}

// executeFailed words the failure of an Execute call, which may be about the
// job; failed that of any other, which is about the server.
func (c *Client) executeFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return wire.JobError(status.Convert(err))
}

// capabilities asks once what the server can do, and whether it is one. Jobs
// that start together share the answer, and a silent server keeps them waiting
// together.
func (c *Client) capabilities(ctx context.Context) error {
	if c.batch.Load() != 0 {
		return nil
	}
	answer := c.asks.DoChan("", func() (any, error) { return nil, c.ask(context.WithoutCancel(ctx)) })
	select {
	case a := <-answer:
		return a.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) ask(ctx context.Context) error {
	ctx, _, stop := wire.Watched(ctx, c.o.Idle)
	defer stop()
	caps, err := repb.NewCapabilitiesClient(c.conn).GetCapabilities(ctx, &repb.GetCapabilitiesRequest{})
	if err != nil {
		return wire.Failed(ctx, err)
	}
	if err := checkCapabilities(caps); err != nil {
		return err
	}
	batch := int64(cas.MaxBatch)
	if n := caps.CacheCapabilities.MaxBatchTotalSizeBytes; n > 0 {
		batch = n
	}
	c.batch.Store(batch)
	return nil
}

// checkCapabilities says what is lacking at a server.
func checkCapabilities(caps *repb.ServerCapabilities) error {
	cache, exec := caps.GetCacheCapabilities(), caps.GetExecutionCapabilities()
	low, high := caps.GetLowApiVersion(), caps.GetHighApiVersion()
	switch {
	case high.GetMajor() < 2 || low.GetMajor() > 2 || low.GetMajor() == 2 && low.GetMinor() > highMinor:
		return fmt.Errorf("server speaks versions %d.%d to %d.%d of the remote-execution API, crosscc 2.%d to 2.%d",
			low.GetMajor(), low.GetMinor(), high.GetMajor(), high.GetMinor(), lowMinor, highMinor)
	case !exec.GetExecEnabled():
		return errors.New("server executes nothing for this client")
	case !slices.Contains(cache.GetDigestFunctions(), repb.DigestFunction_SHA256):
		return errors.New("server does not store by SHA-256")
	}
	return nil
}
