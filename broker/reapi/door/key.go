package door

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// Key answers for people: what the result of an action depends on.
func (w *watcher) Key(ctx context.Context, r *helperpb.RunRequest) (*helperpb.KeyAnswer, error) {
	s := w.s
	if s.b.Key == nil {
		return nil, status.Error(codes.Unimplemented, "keys are not told here")
	}
	leave, err := s.admit()
	if err != nil {
		return nil, err
	}
	defer leave()
	request, err := s.takeJob(ctx, r)
	if err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	request.Job.Peer = string(s.scopeOf(ctx))
	text, err := s.b.Key(ctx, request.Job)
	if err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	return &helperpb.KeyAnswer{Text: text}, nil
}
