package helper

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/direct"
)

// A job that takes too long is no fault of the helper's: it says so, and is good for others.
// What may be one is not told like that.
func TestTooLong(t *testing.T) {
	var fails error
	run := direct.New(direct.Options{Dir: enterableDir(t)})
	h := newHelper(t, func(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
		if fails != nil {
			return nil, fails
		}
		return run(ctx, s)
	})
	j := job(t, h, "int f(void) { return 1; }\n")
	told := func(want string) {
		t.Helper()
		_, err := h.Run(t.Context(), j)
		r, ok := errors.AsType[*broker.Refusal](err)
		if err == nil || ok != (want != "") || ok && (r.Reason != broker.ReasonTooLong || !strings.Contains(r.Text, want)) {
			t.Errorf("got %v, want a refusal with %q", err, want)
		}
	}
	h.o.Limits.Wall = time.Millisecond
	told("not done after 1ms")
	fails = sandbox.Failf(sandbox.CPU, "SIGXCPU after 10m0s of CPU time")
	told("10m0s of CPU time")
	fails = sandbox.Failf(sandbox.Memory, "8191 MiB in use")
	told("")
}
