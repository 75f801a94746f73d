package reapi

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// What native means goes to helpers of ours alone: any other server's compiler
// would look at its own CPU.
func TestNativeGoesToHelpers(t *testing.T) {
	modes(t, func(t *testing.T, b *bench, c *Client) {
		j := reapitest.Job("int a;")
		j.Args, j.Native = append([]string{"-march=native"}, j.Args...), []string{"-march=skylake", "--param", "l1-cache-size=32"}
		var got []string
		b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
			got = j.Native
			return reapitest.Compiled(j, "object"), nil
		})
		_, err := c.Run(t.Context(), j)
		if c.server.Load().run {
			if err != nil || !slices.Equal(got, j.Native) {
				t.Errorf("helper was told %q, %v", got, err)
			}
			return
		}
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != wire.NotNative || got != nil {
			t.Errorf("%v after %q, want a refusal because of %s", err, got, wire.NotNative)
		}
	})
}
