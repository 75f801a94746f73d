// Package stall ends what waits too long for somebody else: an answer that does not
// come, and one that stops in its middle.
package stall

import (
	"context"
	"io"
	"time"
)

// A reader ends a read that waits too long.
type reader struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	wait   time.Duration // for the next bytes
	more   time.Duration // for those after them
	cause  func(time.Duration) error
}

// Open opens what open does. It has first until its first byte comes, and then more for
// each read; how long its reader takes between two reads is no matter. open has to end
// with its context, and so have the reads of what it returns; the error is then what
// cause says of the time that was too long. The caller closes what it gets.
func Open(ctx context.Context, first, more time.Duration, cause func(time.Duration) error, open func(context.Context) (io.ReadCloser, error)) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &reader{ctx: ctx, cancel: cancel, wait: first, more: more, cause: cause}
	err := r.within(func() (err error) {
		r.ReadCloser, err = open(ctx)
		return err
	})
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return r, nil
}

// within does what waits.
func (r *reader) within(f func() error) error {
	wait := r.wait
	timer := time.AfterFunc(wait, func() { r.cancel(r.cause(wait)) })
	defer timer.Stop()
	err := f()
	if cause := context.Cause(r.ctx); err != nil && err != io.EOF && cause != nil {
		return cause
	}
	return err
}

func (r *reader) Read(p []byte) (n int, err error) {
	err = r.within(func() (err error) {
		n, err = r.ReadCloser.Read(p)
		return err
	})
	if n > 0 {
		r.wait = r.more
	}
	return n, err
}

func (r *reader) Close() error {
	defer r.cancel(nil)
	return r.ReadCloser.Close()
}
