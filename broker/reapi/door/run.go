package door

import (
	"context"
	"fmt"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// minPackedOutput is the size from which an output is compressed for a client that
// wants that.
const minPackedOutput = 4 << 10

// Run is Execute for a client of ours: what the action needs comes with it and the
// outputs go with the answer, so that a job is one round trip, and one message
// each way. Measured as two calls side by side, BatchUpdateBlobs and Execute, the
// same cost a client a fifth more, and the server had to wait for what is on its
// way.
func (w *watcher) Run(r *helperpb.RunRequest, stream grpc.ServerStreamingServer[helperpb.RunAnswer]) error {
	s := w.s
	digest := broker.DigestOf(r.Action)
	sc := s.scopeOf(stream.Context())
	if !r.SkipCache {
		if result, err := s.alias(digest, sc); err == nil {
			return s.sendAnswer(stream, result, &helperpb.RunAnswer{Cached: true}, r.Pack)
		}
	}
	leave, err := s.admit()
	if err != nil {
		return err
	}
	defer leave()
	request, err := s.takeJob(stream.Context(), r)
	if err != nil {
		return wire.StatusOf(err).Err()
	}
	r.Inputs = nil // the job runs for long
	op, err := s.ops.join(digest, sc, r.SkipCache, func(op *operation) error { return s.start(op, request) })
	if err != nil {
		return wire.StatusOf(err).Err()
	}
	answer, err := s.await(stream.Context(), op, func() error { return stream.Send(&helperpb.RunAnswer{}) })
	if err != nil {
		return err
	}
	if st := status.FromProto(answer.Status); st.Code() != codes.OK {
		return st.Err()
	}
	return s.sendAnswer(stream, answer.Result, &helperpb.RunAnswer{Cached: answer.CachedResult, Held: true}, r.Pack)
}

// takeJob keeps the inputs that came and reads the job.
func (s *Server) takeJob(ctx context.Context, r *helperpb.RunRequest) (*wire.Request, error) {
	in, err := s.inputsOf(r)
	if err != nil {
		return nil, err
	}
	for _, message := range in.Directories {
		if err := s.source.Remember(message); err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
	}
	for _, content := range in.Files {
		if err := s.storage.Keep(ctx, content); err != nil {
			return nil, fmt.Errorf("keep input: %w", err)
		}
	}
	return wire.JobFrom(r.Action, in.Command, s.source)
}

// inputsOf reads the inputs of a request.
func (s *Server) inputsOf(r *helperpb.RunRequest) (*helperpb.Inputs, error) {
	data := r.Inputs
	if r.InputsSize != 0 {
		// No more than it could be plain: a message's bound.
		if r.InputsSize < 0 || r.InputsSize > wire.MaxMessage {
			return nil, wire.Rejectf("inputs of %d bytes, at most %d are served", r.InputsSize, wire.MaxMessage)
		}
		var err error
		if data, err = s.zstd.Unpack(data, r.InputsSize); err != nil {
			return nil, wire.Rejectf("inputs: %v", err)
		}
	}
	if n := wire.Fields(data); n > maxRequestFields {
		return nil, wire.Rejectf("%d inputs, at most %d are served at once", n, maxRequestFields)
	}
	in := new(helperpb.Inputs)
	if err := proto.Unmarshal(data, in); err != nil {
		return nil, wire.Rejectf("inputs are malformed")
	}
	return in, nil
}

// sendAnswer sends the last answer, with the outputs in it that fit.
func (s *Server) sendAnswer(stream grpc.ServerStreamingServer[helperpb.RunAnswer], r *repb.ActionResult, a *helperpb.RunAnswer, pack bool) error {
	var err error
	a.Done = true
	if a.Result, err = proto.Marshal(r); err != nil {
		return status.Errorf(codes.Internal, "answer: %v", err)
	}
	room := int64(maxInlined)
	for _, f := range r.OutputFiles {
		c := new(helperpb.Content)
		if size := f.Digest.SizeBytes; size <= min(room, wire.MaxInline) {
			c.Data = s.contents(f.Digest)
			room -= size
		}
		if pack && len(c.Data) >= minPackedOutput {
			if packed, ok := s.zstd.Pack(c.Data); ok {
				c.Data, c.Packed = packed, true
			}
		}
		a.Contents = append(a.Contents, c)
	}
	return stream.Send(a)
}
