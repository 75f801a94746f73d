package stall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A slow source says each of its parts after a pause, and ends with its context.
type slow struct {
	ctx   context.Context
	pause []time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.pause) == 0 {
		return 0, io.EOF
	}
	pause := s.pause[0]
	s.pause = s.pause[1:]
	select {
	case <-time.After(pause):
		return copy(p, "x"), nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

func (s *slow) Close() error { return nil }

// Who waits has a time for the first byte and one for each later read; who reads has all
// the time in the world.
func TestOpen(t *testing.T) {
	cause := func(d time.Duration) error { return fmt.Errorf("nothing for %v", d) }
	const first, more = 10 * time.Minute, time.Minute
	for name, tt := range map[string]struct {
		open     time.Duration
		pauses   []time.Duration
		consumer time.Duration // between reads
		want     string        // what was read, and the error
	}{
		"in time":              {first - 1, []time.Duration{first - 1, more - 1, more - 1}, 0, "xxx"},
		"opened too late":      {first + 1, nil, 0, " nothing for 10m0s"},
		"the first too late":   {0, []time.Duration{first + 1}, 0, " nothing for 10m0s"},
		"stops in its middle":  {0, []time.Duration{1, more + 1}, 0, "x nothing for 1m0s"},
		"who reads is slow":    {0, []time.Duration{1, 1, 1}, time.Hour, "xxx"},
		"nothing at all comes": {0, nil, 0, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			got, err := "", error(nil)
			r, err := Open(t.Context(), first, more, cause, func(ctx context.Context) (io.ReadCloser, error) {
				select {
				case <-time.After(tt.open):
					return &slow{ctx, tt.pauses}, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			})
			for err == nil {
				var n int
				b := make([]byte, 10)
				n, err = r.Read(b)
				got += string(b[:n])
				time.Sleep(tt.consumer)
			}
			if !errors.Is(err, io.EOF) {
				got += " " + err.Error()
			}
			if got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
			if r != nil {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// The caller's own end is not called a stall.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := Open(ctx, time.Hour, time.Hour, func(time.Duration) error { return errors.New("stalled") }, func(ctx context.Context) (io.ReadCloser, error) {
		return &slow{ctx, []time.Duration{time.Hour}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("enough"))
	if _, err := r.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v", err)
	}
}
