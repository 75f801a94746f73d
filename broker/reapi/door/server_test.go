package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// put stores content as an uploading client would.
func (b *bench) put(data []byte) *repb.Digest {
	b.t.Helper()
	d := broker.DigestOf(data)
	if err := b.Store.Put(d, bytes.NewReader(data)); err != nil {
		b.t.Fatal(err)
	}
	return wire.DigestToProto(d)
}

func (b *bench) message(m proto.Message) *repb.Digest {
	b.t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.put(data)
}

// foreign stores an action as recc writes them.
func (b *bench) foreign(change func(*repb.Action)) *repb.Digest {
	b.t.Helper()
	platform := &repb.Platform{Properties: []*repb.Platform_Property{{Name: "ISA", Value: "x86-64"}, {Name: "OSFamily", Value: "linux"}}}
	a := &repb.Action{
		Platform: platform,
		CommandDigest: b.message(&repb.Command{
			Arguments:            []string{"/usr/bin/gcc", "-O2", "-c", "a.c", "-o", "a.o"},
			EnvironmentVariables: []*repb.Command_EnvironmentVariable{{Name: "LANG", Value: "C"}, {Name: "PATH", Value: "/usr/bin:/bin"}},
			OutputPaths:          []string{"a.o"},
		}),
		InputRootDigest: b.message(&repb.Directory{Files: []*repb.FileNode{{Name: "a.c", Digest: b.put([]byte("int a;"))}}}),
	}
	change(a)
	return b.message(a)
}

func (b *bench) execute(ctx context.Context, r *repb.ExecuteRequest) (*longrunningpb.Operation, error) {
	stream, err := repb.NewExecutionClient(b.raw()).Execute(ctx, r)
	if err != nil {
		return nil, err
	}
	return last(stream)
}

// last reads a stream to its end.
func last(stream grpc.ServerStreamingClient[longrunningpb.Operation]) (op *longrunningpb.Operation, err error) {
	for {
		next, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return op, nil
		}
		if err != nil {
			return nil, err
		}
		op = next
	}
}

func answerOf(t testing.TB, op *longrunningpb.Operation, err error) *repb.ExecuteResponse {
	t.Helper()
	answer := new(repb.ExecuteResponse)
	if err == nil {
		err = op.GetResponse().UnmarshalTo(answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestForeignClient(t *testing.T) {
	b := newBench(t)
	var got *broker.Job
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		got = j
		return reapitest.Compiled(j, "object"), nil
	})
	digest := b.foreign(func(*repb.Action) {})
	op, err := b.execute(context.Background(), &repb.ExecuteRequest{ActionDigest: digest, InstanceName: "main"})
	answer := answerOf(t, op, err)
	if !op.Done || answer.CachedResult || len(answer.Result.OutputFiles) != 1 || len(answer.Result.OutputFiles[0].Contents) != 0 {
		t.Errorf("answer %v: want one output, not inlined unasked", answer)
	}
	if got.Name != "gcc" || got.Dir != "/" || len(got.Root.Files) != 1 || got.Form != broker.Tree {
		t.Errorf("job %+v", got)
	}
	cas := repb.NewContentAddressableStorageClient(b.raw())
	read, err := cas.BatchReadBlobs(context.Background(), &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{answer.Result.OutputFiles[0].Digest}})
	if err != nil || string(read.Responses[0].Data) != "object" {
		t.Errorf("output: %v, %v", read, err)
	}
	cache := repb.NewActionCacheClient(b.raw())
	result, err := cache.GetActionResult(context.Background(), &repb.GetActionResultRequest{ActionDigest: digest, InlineOutputFiles: []string{"a.o"}})
	if err != nil || string(result.OutputFiles[0].Contents) != "object" {
		t.Errorf("kept result: %v, %v", result, err)
	}
	op, err = b.execute(context.Background(), &repb.ExecuteRequest{ActionDigest: digest, SkipCacheLookup: true})
	if answer := answerOf(t, op, err); answer.CachedResult || b.Runs.Load() != 2 {
		t.Errorf("answer %v after %d runs: skip_cache_lookup was not honoured", answer, b.Runs.Load())
	}
	_, err = cache.UpdateActionResult(context.Background(), &repb.UpdateActionResultRequest{ActionDigest: digest, ActionResult: result})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("UpdateActionResult = %v, want it denied", err)
	}
}

func TestDoNotCache(t *testing.T) {
	b := newBench(t)
	digest := b.foreign(func(a *repb.Action) { a.DoNotCache = true })
	for range 2 {
		op, err := b.execute(context.Background(), &repb.ExecuteRequest{ActionDigest: digest})
		if answer := answerOf(t, op, err); answer.CachedResult {
			t.Error("cached")
		}
	}
}

func TestActionTimeout(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	digest := b.foreign(func(a *repb.Action) { a.Timeout = durationpb.New(50 * time.Millisecond) })
	op, err := b.execute(context.Background(), &repb.ExecuteRequest{ActionDigest: digest})
	if answer := answerOf(t, op, err); codes.Code(answer.Status.GetCode()) != codes.DeadlineExceeded {
		t.Errorf("status %v", answer.Status)
	}
	reapitest.Soon(t, "the job's end", h.Ended)
}

func TestWaitExecution(t *testing.T) {
	b := newBench(t)
	h := b.Hold()
	client := repb.NewExecutionClient(b.raw())
	first, err := client.Execute(context.Background(), &repb.ExecuteRequest{ActionDigest: b.foreign(func(*repb.Action) {})})
	if err != nil {
		t.Fatal(err)
	}
	op, err := first.Recv()
	if err != nil || op.Done {
		t.Fatalf("first message %v, %v", op, err)
	}
	running, err := client.WaitExecution(context.Background(), &repb.WaitExecutionRequest{Name: op.Name})
	if err != nil {
		t.Fatal(err)
	}
	b.waiters(2)
	close(h.Release)
	final, err := last(running)
	if answer := answerOf(t, final, err); answer.Result == nil || final.Name != op.Name {
		t.Errorf("while it ran: %v", final)
	}
	ended, err := client.WaitExecution(context.Background(), &repb.WaitExecutionRequest{Name: op.Name})
	if err == nil {
		final, err = last(ended)
	}
	if answer := answerOf(t, final, err); answer.Result == nil {
		t.Errorf("after it ended: %v", final)
	}
	none, err := client.WaitExecution(context.Background(), &repb.WaitExecutionRequest{Name: "operations/none"})
	if err == nil {
		_, err = last(none)
	}
	if status.Code(err) != codes.NotFound {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestOperationsExpire(t *testing.T) {
	var o operations
	for range keepFinished + 10 {
		op, err := o.join(broker.DigestOf(nil), "", true, func(op *operation) error { op.cancel = func(error) {}; return nil })
		if err != nil {
			t.Fatal(err)
		}
		o.finish(op, &repb.ExecuteResponse{})
		o.leave(op)
	}
	if len(o.finished) != keepFinished || len(o.named) != keepFinished || len(o.running) != 0 {
		t.Errorf("%d finished, %d named, %d running", len(o.finished), len(o.named), len(o.running))
	}
	o.expire(time.Now().Add(2 * keepFor))
	if len(o.finished) != 0 || len(o.named) != 0 {
		t.Errorf("%d finished, %d named after their time", len(o.finished), len(o.named))
	}
}

// What is wrong with a request is its own fault, whoever sends it.
func TestHostileExecutes(t *testing.T) {
	b := newBench(t)
	odd := func(root *repb.Directory) func() *repb.ExecuteRequest {
		return func() *repb.ExecuteRequest {
			return &repb.ExecuteRequest{ActionDigest: b.foreign(func(a *repb.Action) { a.InputRootDigest = b.message(root) })}
		}
	}
	leaf := b.put([]byte("x"))
	tests := map[string]struct {
		request func() *repb.ExecuteRequest
		want    codes.Code
	}{
		"no digest":       {func() *repb.ExecuteRequest { return &repb.ExecuteRequest{} }, codes.InvalidArgument},
		"climbing names":  {odd(&repb.Directory{Files: []*repb.FileNode{{Name: "../x", Digest: leaf}}}), codes.InvalidArgument},
		"names twice":     {odd(&repb.Directory{Files: []*repb.FileNode{{Name: "x", Digest: leaf}, {Name: "x", Digest: leaf}}}), codes.InvalidArgument},
		"link to nothing": {odd(&repb.Directory{Symlinks: []*repb.SymlinkNode{{Name: "x"}}}), codes.InvalidArgument},
		"SHA-512": {func() *repb.ExecuteRequest {
			return &repb.ExecuteRequest{ActionDigest: leaf, DigestFunction: repb.DigestFunction_SHA512}
		}, codes.InvalidArgument},
		"garbage action": {func() *repb.ExecuteRequest { return &repb.ExecuteRequest{ActionDigest: b.put([]byte("\xff\xff"))} }, codes.InvalidArgument},
		"wrong size": {func() *repb.ExecuteRequest {
			return &repb.ExecuteRequest{ActionDigest: &repb.Digest{Hash: leaf.Hash, SizeBytes: 7}}
		}, codes.FailedPrecondition},
		"an action's lack": {func() *repb.ExecuteRequest {
			return &repb.ExecuteRequest{ActionDigest: wire.DigestToProto(broker.DigestOf([]byte("?")))}
		}, codes.FailedPrecondition},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := b.execute(context.Background(), tt.request())
			if status.Code(err) != tt.want {
				t.Errorf("Execute = %v, want %v", err, tt.want)
			}
		})
	}
	if b.Runs.Load() != 0 {
		t.Errorf("%d runs", b.Runs.Load())
	}
	b.mustRun(reapitest.Job("and it still serves"))
}

func TestCapabilities(t *testing.T) {
	b := newBench(t)
	caps, err := repb.NewCapabilitiesClient(b.raw()).GetCapabilities(context.Background(), &repb.GetCapabilitiesRequest{InstanceName: "any"})
	if err != nil {
		t.Fatal(err)
	}
	if caps.LowApiVersion.Minor != 0 || caps.HighApiVersion.Minor != 12 || caps.HighApiVersion.Major != 2 ||
		!caps.ExecutionCapabilities.ExecEnabled || caps.CacheCapabilities.ActionCacheUpdateCapabilities.UpdateEnabled {
		t.Errorf("capabilities %v", caps)
	}
}
