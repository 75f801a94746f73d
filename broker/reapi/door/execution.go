package door

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

const (
	// maxInlined bounds the outputs that come inside one action result, each of
	// which is bounded by wire.MaxInline: one message must hold them.
	maxInlined = 3 << 20
	// rawText is how much of stdout and stderr each an action result carries
	// itself.
	rawText = 64 << 10
)

// execution is the Execution service.
type execution struct {
	repb.UnimplementedExecutionServer
	s *Server
}

// Execute runs an action, or joins those who wait for the same one, and
// streams its state until the result is there. What is wrong with the action
// is the call's status; what went wrong with running it is ExecuteResponse's.
func (e *execution) Execute(r *repb.ExecuteRequest, stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	digest, err := wire.DigestFromProto(r.ActionDigest)
	if err == nil {
		err = wire.CheckFunction(r.DigestFunction)
	}
	if err != nil {
		return wire.StatusOf(err).Err()
	}
	sc := e.s.scopeOf(stream.Context())
	if !r.SkipCacheLookup {
		if result, err := e.s.alias(digest, sc); err == nil {
			return e.s.sendCached(digest, result, r.InlineOutputFiles, stream)
		}
	}
	leave, err := e.s.admit()
	if err != nil {
		return err
	}
	defer leave()
	request, err := wire.JobOf(digest, e.s.source)
	if err != nil {
		return wire.StatusOf(err).Err()
	}
	op, err := e.s.ops.join(digest, sc, r.SkipCacheLookup, func(op *operation) error { return e.s.start(op, request) })
	if err != nil {
		return wire.StatusOf(err).Err()
	}
	return e.s.follow(op, r.InlineOutputFiles, stream)
}

// admit counts a call in that waits for a job. Each holds the job's expanded tree:
// how many may is bounded before a tree is read.
func (s *Server) admit() (leave func(), err error) {
	select {
	case s.admitted <- struct{}{}:
		return func() { <-s.admitted }, nil
	default:
		return nil, status.Errorf(codes.ResourceExhausted, "%d actions wait here already", maxActions)
	}
}

// WaitExecution joins an operation that runs or has just ended.
func (e *execution) WaitExecution(r *repb.WaitExecutionRequest, stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	op, ok := e.s.ops.find(r.Name)
	if !ok {
		return status.Errorf(codes.NotFound, "operation %q is not known any more", r.Name)
	}
	return e.s.follow(op, nil, stream)
}

// start runs the job of op beside its streams, which may come and go.
func (s *Server) start(op *operation, r *wire.Request) error {
	done, err := s.begin()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	op.cancel = cancel
	go func() {
		defer done()
		defer cancel(nil)
		s.ops.finish(op, s.run(ctx, op.action, op.scope, r))
	}()
	return nil
}

// run runs one job and words its answer.
func (s *Server) run(ctx context.Context, action broker.Digest, sc scope, r *wire.Request) *repb.ExecuteResponse {
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	tools := s.toolset(sc)
	r.Job.Peer = string(sc)
	res, err := s.b.Run(ctx, r.Job)
	if err == nil {
		var result *repb.ActionResult
		if result, err = s.resultOf(res); err == nil {
			if res.ExitCode == 0 && !r.DoNotCache {
				s.putAlias(action, sc, tools, result)
			}
			return &repb.ExecuteResponse{Result: result, CachedResult: res.Cached}
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	st := wire.StatusOf(err)
	if st.Code() == codes.Unavailable && ctx.Err() == nil {
		s.b.Logf("action %s: %v", action, err)
	}
	return &repb.ExecuteResponse{Status: st.Proto()}
}

// follow sends the state of op, of which the caller is a waiter: at once, every
// beat, and at the end.
func (s *Server) follow(op *operation, inline []string, stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	tell := func() error {
		return sendOperation(stream, op.name, op.action, repb.ExecutionStage_EXECUTING, nil)
	}
	select {
	case <-op.done:
	default:
		if err := tell(); err != nil {
			s.ops.leave(op)
			return err
		}
	}
	answer, err := s.await(stream.Context(), op, tell)
	if err != nil {
		return err
	}
	return sendOperation(stream, op.name, op.action, repb.ExecutionStage_COMPLETED, s.inlined(answer, inline))
}

// await waits for the answer of op, of which the caller is a waiter until then. It
// calls tell every beat.
func (s *Server) await(ctx context.Context, op *operation, tell func() error) (*repb.ExecuteResponse, error) {
	defer s.ops.leave(op)
	beat := time.NewTicker(s.o.Beat)
	defer beat.Stop()
	for {
		select {
		case <-op.done:
			return op.answer, nil
		case <-beat.C:
			if err := tell(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// sendCached answers with an operation that is done before it began.
func (s *Server) sendCached(action broker.Digest, result *repb.ActionResult, inline []string, stream grpc.ServerStreamingServer[longrunningpb.Operation]) error {
	answer := s.inlined(&repb.ExecuteResponse{Result: result, CachedResult: true}, inline)
	return sendOperation(stream, "operations/cached-"+action.Hash, action, repb.ExecutionStage_COMPLETED, answer)
}

// sendOperation sends one state; answer is nil until the operation is done.
func sendOperation(stream grpc.ServerStreamingServer[longrunningpb.Operation], name string, action broker.Digest, stage repb.ExecutionStage_Value, answer *repb.ExecuteResponse) error {
	metadata, err := anypb.New(&repb.ExecuteOperationMetadata{Stage: stage, ActionDigest: wire.DigestToProto(action)})
	if err != nil {
		return status.Errorf(codes.Internal, "operation: %v", err)
	}
	op := &longrunningpb.Operation{Name: name, Metadata: metadata}
	if answer != nil {
		response, err := anypb.New(answer)
		if err != nil {
			return status.Errorf(codes.Internal, "answer: %v", err)
		}
		op.Done, op.Result = true, &longrunningpb.Operation_Response{Response: response}
	}
	return stream.Send(op)
}

// resultOf words a result, with everything that it names in the store.
func (s *Server) resultOf(res broker.Result) (*repb.ActionResult, error) {
	result := &repb.ActionResult{ExitCode: int32(res.ExitCode)}
	for _, o := range res.Outputs {
		if err := s.keep(o.Blob); err != nil {
			return nil, fmt.Errorf("keep output %s: %w", o.Path, err)
		}
		result.OutputFiles = append(result.OutputFiles, &repb.OutputFile{
			Path: o.Path, Digest: wire.DigestToProto(o.Blob.Digest), IsExecutable: o.Executable,
		})
	}
	var err error
	if result.StdoutRaw, result.StdoutDigest, err = s.keepText(res.Stdout); err != nil {
		return nil, fmt.Errorf("keep stdout: %w", err)
	}
	if result.StderrRaw, result.StderrDigest, err = s.keepText(res.Stderr); err != nil {
		return nil, fmt.Errorf("keep stderr: %w", err)
	}
	return result, nil
}

// keepText carries a short text itself and stores a long one.
func (s *Server) keepText(text []byte) ([]byte, *repb.Digest, error) {
	if len(text) <= rawText {
		return text, nil, nil
	}
	blob := broker.BytesBlob(text)
	return nil, wire.DigestToProto(blob.Digest), s.keep(blob)
}

// keep puts a blob into the store unless it is there.
func (s *Server) keep(b broker.Blob) error {
	if wire.Empty(b.Digest) || len(s.b.Store.Missing([]broker.Digest{b.Digest})) == 0 {
		return nil
	}
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return s.b.Store.Put(b.Digest, r)
}

// inlined is answer with the contents of the wanted outputs in it, as far as
// one message holds them. The answer itself belongs to others as well.
func (s *Server) inlined(answer *repb.ExecuteResponse, want []string) *repb.ExecuteResponse {
	if answer.Result == nil || len(want) == 0 {
		return answer
	}
	return &repb.ExecuteResponse{
		Result: s.inlinedResult(answer.Result, want), CachedResult: answer.CachedResult, Status: answer.Status,
	}
}

func (s *Server) inlinedResult(r *repb.ActionResult, want []string) *repb.ActionResult {
	wanted := make(map[string]bool, len(want))
	for _, path := range want {
		wanted[path] = true
	}
	out := &repb.ActionResult{
		ExitCode: r.ExitCode, StdoutRaw: r.StdoutRaw, StdoutDigest: r.StdoutDigest,
		StderrRaw: r.StderrRaw, StderrDigest: r.StderrDigest,
	}
	room := int64(maxInlined)
	for _, f := range r.OutputFiles {
		file := &repb.OutputFile{Path: f.Path, Digest: f.Digest, IsExecutable: f.IsExecutable}
		if size := f.Digest.SizeBytes; wanted[f.Path] && size <= min(room, wire.MaxInline) {
			file.Contents = s.contents(f.Digest)
			room -= size
		}
		out.OutputFiles = append(out.OutputFiles, file)
	}
	return out
}

// contents is a small blob, or nothing when it is gone: inlining is a favour.
func (s *Server) contents(p *repb.Digest) []byte {
	data, err := s.source.Read(broker.Digest{Hash: p.Hash, Size: p.SizeBytes}, wire.MaxInline)
	if err != nil {
		return nil
	}
	return data
}
