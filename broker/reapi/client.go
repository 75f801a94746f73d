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
	"github.com/crosscc/crosscc/broker/trust"
)

const (
	// metadataKey is the header in which REAPI's RequestMetadata travels.
	metadataKey = "build.bazel.remote.execution.v2.requestmetadata-bin"
	// maxAlong bounds the bytes of unknown inputs that go along with a call of
	// Run. Some may be sent twice by jobs that start together, so they are few;
	// when more is unknown the server is asked first, for a kept result and for
	// what it lacks.
	maxAlong = 256 << 10
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
	// Secret tells this client from others where a helper of ours keeps something for
	// each: the compilers that it has sent (Pack). The zero value tells nothing.
	Secret trust.Secret
	// MaxOutputs bounds the bytes of one job's outputs; 0 means 2 GiB.
	MaxOutputs int64
}

// A Client has jobs run by one server. Its methods may be called at once. A job
// that waits at the server takes one goroutine besides its caller's, and nothing
// of the contents of its files.
type Client struct {
	target     string
	o          ClientOptions
	conn       *grpc.ClientConn
	invocation string
	word       map[string]string // the header of pass; nil: none. Nobody changes it
	writer     *wire.Writer
	storage    *cas.Client
	zstd       cas.Zstd
	asks       singleflight.Group
	near       atomic.Bool             // the connection does not leave this machine
	server     atomic.Pointer[answers] // nil until the server was asked
}

// answers are what a server said that it can do.
type answers struct {
	run  bool // it is a helper of ours, and has the call Run
	pack bool // what goes to it and comes from it is compressed with zstd
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
	c := &Client{target: target, o: o, invocation: rand.Text(), writer: wire.NewWriter()}
	if !o.Secret.None() {
		c.word = map[string]string{wire.PeerHeader: o.Secret.Word(target)}
	}
	dialer := &net.Dialer{Timeout: o.Connect}
	conn, err := grpc.NewClient("passthrough:///"+target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, target)
			if err == nil {
				c.near.Store(isNear(conn))
			}
			return conn, err
		}),
		grpc.WithPerRPCCredentials(pass{c}),
		grpc.WithAuthority("crosscc"),
		grpc.WithUserAgent("crosscc/"+o.Version),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage)),
		// Fixed windows spare the pings and updates with which grpc finds its own.
		grpc.WithInitialWindowSize(wire.Window), grpc.WithInitialConnWindowSize(wire.ConnWindow),
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
	c.conn, c.storage = conn, cas.NewClient(conn, o.Idle, o.Dir)
	return c, nil
}

// isNear reports whether a connection stays within this machine. There it is
// faster than any compressor, and compressing would only cost.
func isNear(conn net.Conn) bool {
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return true // a unix socket
	}
	local, _ := conn.LocalAddr().(*net.TCPAddr)
	return remote.IP.IsLoopback() || local != nil && local.IP.Equal(remote.IP)
}

// Close ends the connection; calls that run fail.
func (c *Client) Close() error { return c.conn.Close() }

// Run has one job run; it is a broker.Runner. Besides a *broker.Refusal it may
// return a *broker.ChangedError, with its path, of a file of the job's that
// changed before it was sent. All other errors start with the server's address and
// say nothing about the job.
func (c *Client) Run(ctx context.Context, j *broker.Job) (broker.Result, error) {
	res, err := c.run(ctx, j)
	if err == nil {
		res.Helper = c.target
		return res, nil
	}
	if _, ok := errors.AsType[*broker.Refusal](err); ok {
		return broker.Result{}, err
	}
	if changed, ok := errors.AsType[*broker.ChangedError](err); ok {
		return broker.Result{}, named(changed, j)
	}
	return broker.Result{}, fmt.Errorf("%s: %w", c.target, err)
}

// named is e with the name that the job has for the file.
func named(e *broker.ChangedError, j *broker.Job) error {
	for name, entry := range j.Root.All() {
		if entry.File != nil && entry.File.Blob.Digest == e.Digest {
			return &broker.ChangedError{Path: name, Digest: e.Digest, Err: e.Err}
		}
	}
	return e
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

// run words the job and has it executed. A server that lost an input, or was
// replaced by another, is told all once more.
func (c *Client) run(ctx context.Context, j *broker.Job) (broker.Result, error) {
	for again := false; ; again = true {
		a, err := c.writer.ActionOf(j)
		if err != nil {
			return broker.Result{}, err
		}
		if again {
			c.storage.Forget(a.Blobs())
		}
		res, err := c.attempt(ctx, j, a)
		if again || !wire.IsMissing(err) && !errors.Is(err, errReplaced) {
			return res, err
		}
		c.writer.Forget()
	}
}

// errReplaced says that the server is not any more what it said it is.
var errReplaced = errors.New("the server was replaced by one that can do less")

// attempt asks for a kept result and uploads what is missing, then executes.
func (c *Client) attempt(ctx context.Context, j *broker.Job, a *wire.Action) (broker.Result, error) {
	server, err := c.capabilities(ctx, a)
	if err != nil {
		return broker.Result{}, err
	}
	if len(j.Native) > 0 && !server.run {
		return broker.Result{}, broker.Refusef(wire.NotNative, "is no helper of crosscc's, which alone can be told what -march=native means here")
	}
	result, along, err := c.prepare(ctx, j, a, server)
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
	lost := result != nil
	if server.run {
		return c.runThere(ctx, j, a, along, server.pack, lost)
	}
	return c.execute(c.describe(ctx, a), j, a, lost)
}

// A cargo is what goes along with a call of Run.
type cargo struct{ directories, files []broker.Blob }

func (g cargo) size() int64 { return cas.Size(g.directories) + cas.Size(g.files) }

// unknown are those inputs of an action that the server was never told of.
func (c *Client) unknown(a *wire.Action) cargo {
	return cargo{c.storage.Unknown(a.Directories), c.storage.Unknown(a.Files)}
}

// prepare makes the server ready to execute: it has all blobs when prepare
// returns, but for those few that go along with the call. When the server turns
// out to have a result, that is returned.
func (c *Client) prepare(ctx context.Context, j *broker.Job, a *wire.Action, server *answers) (*repb.ActionResult, cargo, error) {
	if server.run {
		if along := c.unknown(a); along.size() <= maxAlong {
			return nil, along, nil // the call itself looks into the cache
		}
		result, err := c.upload(ctx, j, a, slices.Concat(a.Directories, a.Files), maxAlong)
		return result, c.unknown(a), err
	}
	result, err := c.upload(ctx, j, a, a.Blobs(), 0)
	return result, cargo{}, err
}

// upload makes the server know blobs of the action, all but small bytes of them.
// It asks for a result first, and returns it when there is one.
func (c *Client) upload(ctx context.Context, j *broker.Job, a *wire.Action, blobs []broker.Blob, small int64) (*repb.ActionResult, error) {
	blobs = c.storage.Unknown(blobs)
	if len(blobs) == 0 {
		return nil, nil // Execute looks into the cache itself
	}
	ctx = c.describe(ctx, a)
	asking, enough := context.WithCancel(ctx)
	defer enough()
	asked := make(chan *repb.ActionResult, 1)
	go func() { asked <- c.kept(asking, j, a) }()
	for first := true; ; first = false {
		claim := c.storage.Claim(blobs, small)
		defer claim.Drop()
		if err := claim.Ask(ctx); err != nil {
			return nil, err
		}
		if first {
			if result := <-asked; result != nil {
				return result, nil
			}
		}
		if err := claim.Bring(ctx); err != nil {
			return nil, err
		}
		// Those that others were to bring and did not are this job's now.
		if blobs = c.storage.Unknown(blobs); cas.Size(blobs) <= small {
			return nil, nil
		}
	}
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
	if !answer.CachedResult {
		a.Held()
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
func (c *Client) capabilities(ctx context.Context, a *wire.Action) (*answers, error) {
	if server := c.server.Load(); server != nil {
		return server, nil
	}
	asking := context.WithoutCancel(c.describe(ctx, a))
	answer := c.asks.DoChan("", func() (any, error) { return c.ask(asking) })
	select {
	case a := <-answer:
		if a.Err != nil {
			return nil, a.Err
		}
		return a.Val.(*answers), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *Client) ask(ctx context.Context) (*answers, error) {
	ctx, _, stop := wire.Watched(ctx, c.o.Idle)
	defer stop()
	var header metadata.MD
	caps, err := repb.NewCapabilitiesClient(c.conn).GetCapabilities(ctx, &repb.GetCapabilitiesRequest{}, grpc.Header(&header))
	if err != nil {
		return nil, wire.Failed(ctx, err)
	}
	if err := checkCapabilities(caps); err != nil {
		return nil, err
	}
	cache := caps.CacheCapabilities
	can := cas.Abilities{Batch: cas.MaxBatch}
	if n := cache.MaxBatchTotalSizeBytes; n > 0 {
		can.Batch = n
	}
	if !c.near.Load() {
		can.PackedBatch = slices.Contains(cache.SupportedBatchUpdateCompressors, repb.Compressor_ZSTD)
		can.PackedStream = slices.Contains(cache.SupportedCompressors, repb.Compressor_ZSTD)
	}
	c.storage.Learn(can)
	server := &answers{run: slices.Equal(header.Get(wire.RunHeader), []string{wire.RunVersion}), pack: can.PackedStream}
	c.server.Store(server)
	return server, nil
}

// checkCapabilities says what is lacking at a server.
func checkCapabilities(caps *repb.ServerCapabilities) error {
	cache, exec := caps.GetCacheCapabilities(), caps.GetExecutionCapabilities()
	low, high := caps.GetLowApiVersion(), caps.GetHighApiVersion()
	switch {
	case high.GetMajor() < 2 || low.GetMajor() > 2 || low.GetMajor() == 2 && low.GetMinor() > wire.HighMinor:
		return fmt.Errorf("server speaks versions %d.%d to %d.%d of the remote-execution API, crosscc 2.%d to 2.%d",
			low.GetMajor(), low.GetMinor(), high.GetMajor(), high.GetMinor(), wire.LowMinor, wire.HighMinor)
	case !exec.GetExecEnabled():
		return errors.New("server executes nothing for this client")
	case !slices.Contains(cache.GetDigestFunctions(), repb.DigestFunction_SHA256):
		return errors.New("server does not store by SHA-256")
	}
	return nil
}
