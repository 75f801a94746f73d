package docker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crosscc/crosscc/sandbox"
)

// TestPool: who waits is served by who gives back, first come first served, or makes
// one when that takes too long, or when the one that was waited for is lost.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ctx := newPool(), t.Context()
		p.made(time.Second)
		began := time.Now()
		take := func(key string, want *warm, after time.Duration) *warm {
			t.Helper()
			w, err := p.take(ctx, key)
			if err != nil || w != want || time.Since(began) != after {
				t.Errorf("%s after %s: got %p, %v, want %p after %s", key, time.Since(began), w, err, want, after)
			}
			return w
		}
		a, other := &warm{key: "a"}, &warm{key: "b"}
		take("a", nil, 0) // a is made
		take("b", nil, 0) // and b: another key does not wait
		p.free(other)
		time.AfterFunc(300*time.Millisecond, func() { p.free(a) })
		take("a", a, 300*time.Millisecond) // from the first
		take("a", nil, 1300*time.Millisecond)
		time.AfterFunc(200*time.Millisecond, func() { p.lost("a") }) // one of the two
		take("a", nil, 1500*time.Millisecond)
		p.free(a)
		p.free(&warm{key: "a"})
		take("b", other, 1500*time.Millisecond)
		p.lost("b")
		take("a", p.idle[len(p.idle)-1], 1500*time.Millisecond)
		p.lost("a")
		if len(p.taken) != 0 || len(p.waiting) != 0 {
			t.Errorf("taken %v, waiting %v", p.taken, p.waiting)
		}
	})
}

func TestPoolEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool()
		if err := p.enter(); err != nil {
			t.Fatal(err)
		}
		if w, err := p.take(t.Context(), "a"); w != nil || err != nil {
			t.Fatal(w, err)
		}
		cause := errors.New("the caller went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(cause) })
		if w, err := p.take(ctx, "a"); w != nil || !errors.Is(err, cause) {
			t.Errorf("got %v, %v", w, err)
		}
		var old []*warm
		for range maxIdle() + 2 {
			if w := p.free(&warm{key: "a"}); w != nil {
				old = append(old, w)
			}
		}
		if len(old) != 2 || len(p.idle) != maxIdle() {
			t.Errorf("%d go, %d stay", len(old), len(p.idle))
		}
		time.AfterFunc(time.Second, p.busy.Done)
		began := time.Now()
		if left := p.close(); len(left) != maxIdle() || time.Since(began) != time.Second {
			t.Errorf("%d are left after %s", len(left), time.Since(began))
		}
		if f, ok := errors.AsType[*sandbox.Failure](p.enter()); !ok || f.Kind != sandbox.Setup {
			t.Error("a closed pool lets one in")
		}
	})
}
