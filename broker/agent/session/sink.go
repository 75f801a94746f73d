package session

import (
	"context"
	"fmt"
	"io"
	"os"
)

// A sink reads what a program prints into a pipe of the agent's, up to a bound.
type sink struct {
	w     *os.File // the end that the program gets; whoever sends it closes it
	limit int64
	done  chan struct{} // closed when data and err are final
	data  []byte
	err   error
}

func newSink(limit int64) (*sink, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &sink{w: w, limit: limit, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer r.Close() // a program that prints on gets SIGPIPE
		s.data, s.err = io.ReadAll(io.LimitReader(r, limit+1))
	}()
	return s, nil
}

// wait gives what was printed, to the end.
func (s *sink) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-s.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if int64(len(s.data)) > s.limit {
		return nil, fmt.Errorf("it printed more than %d bytes", s.limit)
	}
	return s.data, s.err
}
