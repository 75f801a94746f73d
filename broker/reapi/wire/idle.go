package wire

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/status"
)

// An idleError is the cause of a context that a watch ended.
type idleError struct{ idle time.Duration }

func (e *idleError) Error() string { return fmt.Sprintf("peer was silent for %v", e.idle) }

// Watched returns a context that ends when touch was not called for the time
// idle, with an *idleError as its cause. stop frees it; touch is not called
// after stop.
func Watched(ctx context.Context, idle time.Duration) (_ context.Context, touch, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(idle, func() { cancel(&idleError{idle}) })
	return ctx, func() { t.Reset(idle) }, func() { t.Stop(); cancel(nil) }
}

// Failed words the error of a call made with ctx: why ctx ended, when it did.
func Failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s, ok := status.FromError(err); ok {
		return CallError(s)
	}
	return err // of this side, such as a file that can't be read
}
