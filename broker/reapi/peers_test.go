package reapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/bazelbuild/remote-apis/build/bazel/semver"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/cas"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// listen serves connections with f until the test ends.
func listen(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return l.Addr().String()
}

// Peers that are no REAPI server: a clear error within bounded time.
func TestOtherPeers(t *testing.T) {
	stay := make(chan struct{})
	t.Cleanup(func() { close(stay) })
	says := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1024))
			_, _ = io.WriteString(c, text)
		}
	}
	tests := map[string]struct {
		peer func(net.Conn)
		want string
	}{
		"HTTP/1":       {says("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "no gRPC server answers there"},
		"ssh":          {says("SSH-2.0-OpenSSH_9.2p1\r\n"), "no gRPC server answers there"},
		"distcc":       {says("DONE00000001STAT00006b00SERR00000000SOUT00000000DOTO00000000"), "no gRPC server answers there"},
		"garbage":      {says(strings.Repeat("\xde\xad\xbe\xef", 5000)), "no gRPC server answers there"},
		"hangs up":     {func(net.Conn) {}, ""},
		"says nothing": {func(net.Conn) { <-stay }, "no gRPC server answers there"},
		"settings, then nothing": {func(c net.Conn) {
			_, _ = c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0})
			_, _ = io.Copy(io.Discard, c)
		}, "silent for 300ms"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			addr := listen(t, tt.peer)
			c := dial(t, addr, ClientOptions{Idle: 300 * time.Millisecond, Connect: 200 * time.Millisecond})
			began := time.Now()
			_, err := c.Run(context.Background(), reapitest.Job("text"))
			if err == nil || !strings.HasPrefix(err.Error(), addr+": ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %v, want %q", err, tt.want)
			}
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
			if err := c.Watch(context.Background(), func(broker.State) {}); err == nil {
				t.Error("Watch succeeded")
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	c := dial(t, "127.0.0.1:1", ClientOptions{})
	_, err := c.Run(context.Background(), reapitest.Job("text"))
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Run = %v, want that the connection was refused", err)
	}
}

// gRPC, but nothing of what is asked for.
func TestOtherGRPCServer(t *testing.T) {
	addr := serveGRPC(t, func(*grpc.Server) {})
	_, err := dial(t, addr, ClientOptions{}).Run(context.Background(), reapitest.Job("text"))
	if err == nil || !strings.Contains(err.Error(), "no remote-execution server") {
		t.Errorf("Run = %v", err)
	}
}

func serveGRPC(t testing.TB, register func(*grpc.Server)) string {
	t.Helper()
	s := grpc.NewServer()
	register(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// An engine is a server made by hand that answers what a test wants.
type engine struct {
	repb.UnimplementedCapabilitiesServer
	repb.UnimplementedExecutionServer
	repb.UnimplementedActionCacheServer
	repb.UnimplementedContentAddressableStorageServer
	bytestream.UnimplementedByteStreamServer
	helperpb.UnimplementedHelperServer
	caps    func(*repb.ServerCapabilities)
	op      func() *longrunningpb.Operation // nil: says nothing more
	read    func() []byte
	answer  *helperpb.RunAnswer // of Run; nil: it has no such call
	labels  atomic.Pointer[repb.RequestMetadata]
	updates atomic.Int32
}

func (e *engine) serve(t testing.TB) string {
	return serveGRPC(t, func(s *grpc.Server) {
		repb.RegisterCapabilitiesServer(s, e)
		repb.RegisterExecutionServer(s, e)
		repb.RegisterActionCacheServer(s, e)
		repb.RegisterContentAddressableStorageServer(s, e)
		bytestream.RegisterByteStreamServer(s, e)
		helperpb.RegisterHelperServer(s, e)
	})
}

func (e *engine) GetCapabilities(ctx context.Context, _ *repb.GetCapabilitiesRequest) (*repb.ServerCapabilities, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	m := new(repb.RequestMetadata)
	if v := md.Get(metadataKey); len(v) == 1 && proto.Unmarshal([]byte(v[0]), m) == nil {
		e.labels.Store(m)
	}
	sha256 := []repb.DigestFunction_Value{repb.DigestFunction_SHA256}
	zstd := []repb.Compressor_Value{repb.Compressor_ZSTD}
	caps := &repb.ServerCapabilities{
		CacheCapabilities: &repb.CacheCapabilities{
			DigestFunctions: sha256, MaxBatchTotalSizeBytes: cas.MaxBatch, SupportedCompressors: zstd, SupportedBatchUpdateCompressors: zstd,
		},
		ExecutionCapabilities: &repb.ExecutionCapabilities{DigestFunction: sha256[0], DigestFunctions: sha256, ExecEnabled: true},
		LowApiVersion:         &semver.SemVer{Major: 2},
		HighApiVersion:        &semver.SemVer{Major: 2, Minor: 12},
	}
	if e.caps != nil {
		e.caps(caps)
	}
	return caps, nil
}

func (e *engine) FindMissingBlobs(_ context.Context, r *repb.FindMissingBlobsRequest) (*repb.FindMissingBlobsResponse, error) {
	return &repb.FindMissingBlobsResponse{MissingBlobDigests: r.BlobDigests}, nil
}

func (e *engine) BatchUpdateBlobs(_ context.Context, r *repb.BatchUpdateBlobsRequest) (*repb.BatchUpdateBlobsResponse, error) {
	e.updates.Add(1)
	answer := &repb.BatchUpdateBlobsResponse{}
	for _, one := range r.Requests {
		answer.Responses = append(answer.Responses, &repb.BatchUpdateBlobsResponse_Response{Digest: one.Digest})
	}
	return answer, nil
}

func (e *engine) Execute(_ *repb.ExecuteRequest, stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	if e.op == nil {
		<-stream.Context().Done()
		return nil
	}
	return stream.Send(e.op())
}

func (e *engine) Run(_ *helperpb.RunRequest, stream grpc.ServerStreamingServer[helperpb.RunAnswer]) error {
	if e.answer == nil {
		return status.Error(codes.Unimplemented, "unknown method Run")
	}
	return stream.Send(e.answer)
}

func (e *engine) Read(_ *bytestream.ReadRequest, stream bytestream.ByteStream_ReadServer) error {
	return stream.Send(&bytestream.ReadResponse{Data: e.read()})
}

// done is an operation that ended with the result.
func done(answer *repb.ExecuteResponse) *longrunningpb.Operation {
	response, err := anypb.New(answer)
	if err != nil {
		panic(err)
	}
	return &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Response{Response: response}}
}

func outputs(files ...*repb.OutputFile) *repb.ExecuteResponse {
	return &repb.ExecuteResponse{Result: &repb.ActionResult{OutputFiles: files}}
}

// What a server claims is checked: nothing but the job's outputs, all of them,
// each what its digest says.
func TestLyingServers(t *testing.T) {
	right := wire.DigestToProto(broker.DigestOf([]byte("object")))
	huge := &repb.Digest{Hash: right.Hash, SizeBytes: 1 << 50}
	a := func(d *repb.Digest, contents string) *repb.OutputFile {
		return &repb.OutputFile{Path: "a.o", Digest: d, Contents: []byte(contents)}
	}
	tests := map[string]struct {
		answer *repb.ExecuteResponse
		want   string
	}{
		"wrong contents":   {outputs(a(right, "other!")), "the server said"},
		"wrong read":       {outputs(a(right, "")), "the server said"},
		"no output":        {outputs(), "did not come"},
		"another output":   {outputs(a(right, "object"), &repb.OutputFile{Path: "../x", Digest: right}), "not asked for"},
		"no digest":        {outputs(a(nil, "object")), "digest is missing"},
		"huge":             {outputs(a(huge, "")), "over"},
		"no result":        {&repb.ExecuteResponse{}, "no result"},
		"huge stderr":      {&repb.ExecuteResponse{Result: &repb.ActionResult{ExitCode: 1, StderrDigest: huge}}, "over"},
		"failed, exit 0":   {&repb.ExecuteResponse{Status: wire.StatusOf(errors.New("stager broke")).Proto(), Result: outputs(a(right, "object")).Result}, "stager broke"},
		"malformed any":    {nil, "answer"},
		"longer than said": {outputs(a(wire.DigestToProto(broker.DigestOf([]byte("obj"))), "")), "more than"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := &engine{read: func() []byte { return []byte("other!") }, op: func() *longrunningpb.Operation {
				if tt.answer == nil {
					return &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Response{Response: &anypb.Any{TypeUrl: "x/y"}}}
				}
				return done(tt.answer)
			}}
			res, err := dial(t, e.serve(t), ClientOptions{}).Run(context.Background(), reapitest.Job("text"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %+v, %v, want %q", res, err, tt.want)
			}
			if _, ok := errors.AsType[*broker.Refusal](err); ok {
				t.Errorf("%v is a refusal: the job is blamed for what the server did", err)
			}
		})
	}
}

func TestServersThatCannot(t *testing.T) {
	tests := map[string]struct {
		caps func(*repb.ServerCapabilities)
		want string
	}{
		"version 3": {func(c *repb.ServerCapabilities) { c.LowApiVersion = &semver.SemVer{Major: 3} }, "speaks versions 3.0"},
		"version 1": {func(c *repb.ServerCapabilities) { c.HighApiVersion = &semver.SemVer{Major: 1} }, "speaks versions"},
		"cache":     {func(c *repb.ServerCapabilities) { c.ExecutionCapabilities = nil }, "executes nothing"},
		"BLAKE3": {func(c *repb.ServerCapabilities) {
			c.CacheCapabilities.DigestFunctions = []repb.DigestFunction_Value{repb.DigestFunction_BLAKE3}
		}, "SHA-256"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := &engine{caps: tt.caps}
			_, err := dial(t, e.serve(t), ClientOptions{}).Run(context.Background(), reapitest.Job("text"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestClientKeepsToTheServersBatches(t *testing.T) {
	object := &repb.OutputFile{Path: "a.o", Digest: wire.DigestToProto(broker.DigestOf([]byte("object"))), Contents: []byte("object")}
	e := &engine{
		caps: func(c *repb.ServerCapabilities) { c.CacheCapabilities.MaxBatchTotalSizeBytes = 2000 },
		op:   func() *longrunningpb.Operation { return done(outputs(object)) },
	}
	j := reapitest.Job("text")
	for _, name := range []string{"/w/1", "/w/2", "/w/3", "/w/4"} {
		j.Root.Put(name, broker.File{Blob: broker.BytesBlob([]byte(strings.Repeat(name, 300)))})
	}
	if _, err := dial(t, e.serve(t), ClientOptions{}).Run(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	if n := e.updates.Load(); n < 4 {
		t.Errorf("%d batches, want a blob of 1200 bytes each", n)
	}
	if m := e.labels.Load(); m == nil || m.ToolDetails.ToolName != "crosscc" || m.ActionId == "" || m.ToolInvocationId == "" {
		t.Errorf("request metadata %v", m)
	}
}

// A server that takes the job and then says nothing for ever.
func TestServerThatNeverAnswers(t *testing.T) {
	c := dial(t, (&engine{}).serve(t), ClientOptions{Idle: 200 * time.Millisecond})
	began := time.Now()
	_, err := c.Run(context.Background(), reapitest.Job("text"))
	if err == nil || !strings.Contains(err.Error(), "silent for 200ms") || time.Since(began) > 20*time.Second {
		t.Errorf("Run = %v after %v", err, time.Since(began))
	}
}

// A proxy cuts the connection at some byte, in either direction.
func TestConnectionIsCut(t *testing.T) {
	b := newBench(t)
	big := strings.Repeat("0123456789abcdef", 8<<20/16)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) { return reapitest.Compiled(j, big), nil })
	for _, after := range []int64{0, 10, 100, 1000, 100_000, 4 << 20, 9 << 20, 12 << 20} {
		addr := listen(t, func(c net.Conn) { proxy(c, b.addr, after) })
		c := dial(t, addr, ClientOptions{Idle: time.Second, Connect: time.Second})
		began := time.Now()
		_, err := c.Run(context.Background(), reapitest.Job(fmt.Sprint(after, big)))
		if err == nil || time.Since(began) > 20*time.Second {
			t.Errorf("cut after %d bytes: %v after %v, want an error soon", after, err, time.Since(began))
		}
		if _, ok := errors.AsType[*broker.Refusal](err); ok {
			t.Errorf("cut after %d bytes: %v is a refusal", after, err)
		}
	}
	b.mustRun(reapitest.Job("and it still serves"))
}

// proxy forwards both ways until after bytes went through.
func proxy(c net.Conn, addr string, after int64) {
	up, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer up.Close()
	var left atomic.Int64
	left.Store(after)
	forward := func(dst, src net.Conn) {
		defer dst.Close()
		defer src.Close()
		buf := make([]byte, 4096)
		for {
			n, err := src.Read(buf)
			if err != nil || left.Add(int64(-n)) < 0 {
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	go forward(up, c)
	forward(c, up)
}

// A helper that came back is used again soon.
func TestReconnect(t *testing.T) {
	b := newBench(t)
	var refuse atomic.Bool
	addr := listen(t, func(c net.Conn) {
		if !refuse.Load() {
			proxy(c, b.addr, 1<<40)
		}
	})
	refuse.Store(true)
	c := dial(t, addr, ClientOptions{})
	if _, err := c.Run(context.Background(), reapitest.Job("text")); err == nil {
		t.Fatal("Run succeeded")
	}
	refuse.Store(false)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := c.Run(context.Background(), reapitest.Job("text")); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
