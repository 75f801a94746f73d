package reapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
)

// The peer of every test is this machine.
const here = "127.0.0.1"

// A pack goes up once, with news of how far it is, for the peer that sent it; what
// the helper says against it comes back as it said it.
func TestPack(t *testing.T) {
	b := newBench(t)
	blob := broker.BytesBlob([]byte(strings.Repeat("a pack", 1<<20)))
	var peers []string
	var refuse error
	b.server.b.Pack = func(_ context.Context, peer string, d broker.Digest, say func(string)) error {
		peers = append(peers, peer)
		if d != blob.Digest || len(b.store.Missing([]broker.Digest{d})) > 0 {
			t.Errorf("the blob %s is not there, or another", d)
		}
		say("unpacking")
		return refuse
	}
	var said []string
	if err := b.client.Pack(t.Context(), blob, func(s string) { said = append(said, s) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(said, "sending 6 MiB") {
		t.Errorf("said %q", said)
	}
	refuse = broker.Refusef("pack-refused", "takes no packs")
	err := b.client.Pack(t.Context(), blob, func(string) {})
	r, ok := errors.AsType[*broker.Refusal](err)
	if !ok || r.Reason != "pack-refused" || !strings.Contains(r.Text, "takes no packs") {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(peers, []string{here, here}) {
		t.Errorf("sent by %q", peers)
	}
	b.server.b.Pack = nil
	if err := b.client.Pack(t.Context(), blob, func(string) {}); err == nil {
		t.Error("a helper that takes none took it")
	}
}

// A peer with packs is told of its own toolchains, its jobs carry its name, and what
// they made is not what others get; nor it what others made.
func TestPeersAreApart(t *testing.T) {
	b := newBench(t)
	own := testToolchain()
	own.Identity.Version = "99"
	private := func(s *broker.State) {
		s.Peers = map[string]broker.PeerState{"": {Toolchains: s.Toolchains}, here: {Toolchains: []toolchains.Toolchain{own}}}
	}
	states := make(chan broker.State, 100)
	go func() { _ = b.client.Watch(t.Context(), func(s broker.State) { states <- s }) }()
	soon(t, "the first state", states)

	var ran []string
	b.runner = func(_ context.Context, j *broker.Job) (broker.Result, error) {
		ran = append(ran, j.Peer)
		return compiled(j, "object of "+j.Peer), nil
	}
	run := func() string {
		res, err := b.client.Run(t.Context(), testJob("text"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := res.Outputs[0].Blob.Bytes(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if got := run(); got != "object of " {
		t.Errorf("everybody's is %q", got)
	}
	b.setState(private)
	until(t, states, func(s broker.State) bool {
		return len(s.Toolchains) == 1 && s.Toolchains[0].Version == "99" && s.Peers == nil
	})
	for range 2 {
		if got := run(); got != "object of "+here {
			t.Errorf("the peer's is %q", got)
		}
	}
	b.setState(func(s *broker.State) { s.Peers = nil })
	if got := run(); got != "object of " {
		t.Errorf("everybody's is %q after a peer had its own", got)
	}
	if !slices.Equal(ran, []string{"", here}) {
		t.Errorf("ran for %q: the others were kept", ran)
	}
}

// Jobs that run are shared within a scope alone.
func TestOperationsAreApart(t *testing.T) {
	var o operations
	start := func(op *operation) error { op.cancel = func(error) {}; return nil }
	d := broker.DigestOf(nil)
	var ops []*operation
	for _, sc := range []scope{"", "a", "b", "", "a"} {
		op, err := o.join(d, sc, false, start)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	if ops[0] != ops[3] || ops[1] != ops[4] || ops[0] == ops[1] || ops[1] == ops[2] {
		t.Error("operations are shared by other calls than those of one peer")
	}
	for _, op := range ops {
		o.leave(op)
	}
	if len(o.running)+len(o.named) != 0 {
		t.Errorf("%d operations are left", len(o.running)+len(o.named))
	}
}

// What a toolchain of one image made is not kept for the same one in another.
func TestToolsetsOfImages(t *testing.T) {
	one := testToolchain()
	two := one
	two.Image = "sha256:1"
	text := func(tc toolchains.Toolchain) string {
		return string(toolsetText(broker.State{Toolchains: []toolchains.Toolchain{tc}}))
	}
	if text(one) == text(two) {
		t.Errorf("both are %s", text(one))
	}
}
