package door

import (
	"context"
	"errors"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi"
	"github.com/crosscc/crosscc/broker/reapi/cas"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/trust"
	"github.com/crosscc/crosscc/toolchains"
)

// The address of every test is this machine's.
const here = "127.0.0.1"

// secret is one that no other client has.
func secret(t testing.TB) trust.Secret {
	t.Helper()
	s, err := trust.OpenSecret(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// known is a client that says who it is, and the name that it gets.
func (b *bench) known() (*reapi.Client, string) {
	b.t.Helper()
	s := secret(b.t)
	return dial(b.t, b.addr, reapi.ClientOptions{Idle: 30 * time.Second, Secret: s}), trust.PeerName(s.Word(b.addr))
}

// A pack goes up once, with news of how far it is, for the peer that sent it; what
// the helper says against it comes back as it said it.
func TestPack(t *testing.T) {
	b := newBench(t)
	blob := broker.BytesBlob([]byte(strings.Repeat("a pack", 1<<20)))
	client, name := b.known()
	var peers []broker.Peer
	var refuse error
	b.server.b.Pack = func(_ context.Context, from broker.Peer, d broker.Digest, say func(string)) error {
		peers = append(peers, from)
		if d != blob.Digest || len(b.Store.Missing([]broker.Digest{d})) > 0 {
			t.Errorf("the blob %s is not there, or another", d)
		}
		say("unpacking")
		return refuse
	}
	var said []string
	if err := client.Pack(t.Context(), blob, func(s string) { said = append(said, s) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(said, "sending 6 MiB") {
		t.Errorf("said %q", said)
	}
	refuse = broker.Refusef("pack-refused", "takes no packs")
	err := client.Pack(t.Context(), blob, func(string) {})
	r, ok := errors.AsType[*broker.Refusal](err)
	if !ok || r.Reason != "pack-refused" || !strings.Contains(r.Text, "takes no packs") {
		t.Errorf("got %v", err)
	}
	if err := b.client.Pack(t.Context(), blob, func(string) {}); err == nil { // says nothing of itself
		t.Error("not refused")
	}
	if !slices.Equal(peers, []broker.Peer{{Name: name, Address: here}, {Name: name, Address: here}, {Address: here}}) {
		t.Errorf("sent by %q", peers)
	}
	b.server.b.Pack = nil
	if err := client.Pack(t.Context(), blob, func(string) {}); err == nil {
		t.Error("a helper that takes none took it")
	}
}

// A peer with packs is told of its own toolchains, its jobs carry its name, and what
// they made is not what others get; nor it what others made. Others come from the same
// address, with a secret of their own or none.
func TestPeersAreApart(t *testing.T) {
	b := newBench(t)
	own := reapitest.Toolchain()
	own.Identity.Version = "99"
	client, name := b.known()
	other, _ := b.known()
	clients := map[string]*reapi.Client{"owner": client, "other": other, "nobody": b.client}
	heard := 0
	b.server.b.Heard = func(peer string) {
		if heard++; peer != name {
			t.Errorf("heard of %q", peer)
		}
	}
	states := map[string]chan broker.State{}
	for who, c := range clients {
		told := make(chan broker.State, 100)
		states[who] = told
		go func() { _ = c.Watch(t.Context(), func(s broker.State) { told <- s }) }()
		reapitest.Soon(t, "the first state", told)
	}
	var ran []string
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		ran = append(ran, j.Peer)
		return reapitest.Compiled(j, "object of "+j.Peer), nil
	})
	run := func(who, want string) {
		t.Helper()
		res, err := clients[who].Run(t.Context(), reapitest.Job("text"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := res.Outputs[0].Blob.Bytes(1 << 20)
		if err != nil || string(data) != want {
			t.Errorf("%s gets %q, not %q; %v", who, data, want, err)
		}
	}
	run("owner", "object of ")
	b.SetState(func(s *broker.State) {
		s.Peers = map[string]broker.PeerState{"": {Toolchains: s.Toolchains}, name: {Toolchains: []toolchains.Toolchain{own}}}
		s.Queued++
	})
	until(t, states["owner"], func(s broker.State) bool {
		return len(s.Toolchains) == 1 && s.Toolchains[0].Version == "99" && s.Peers == nil
	})
	for who, told := range states {
		if who != "owner" {
			until(t, told, func(s broker.State) bool {
				if len(s.Toolchains) != 1 || s.Toolchains[0].Version == "99" || s.Peers != nil {
					t.Errorf("%s is told %+v", who, s)
				}
				return s.Queued > 0
			})
		}
	}
	for range 2 {
		run("owner", "object of "+name)
		run("other", "object of ")
		run("nobody", "object of ")
	}
	b.SetState(func(s *broker.State) { s.Peers = nil })
	run("owner", "object of ")
	if !slices.Equal(ran, []string{"", name}) {
		t.Errorf("ran for %q: the others were kept", ran)
	}
	if heard == 0 {
		t.Error("nobody was heard")
	}
}

// Who learned the name of a peer, from a log or a directory, is not that peer: nor is
// who says what is no word, or two.
func TestNameIsNoWord(t *testing.T) {
	word := secret(t).Word("here:1")
	name := trust.PeerName(word)
	for what, say := range map[string][]string{
		"nothing": nil, "the name": {name}, "half": {word[:32]}, "two": {word, word}, "text": {"peer"}, "long": {strings.Repeat(word, 100)},
	} {
		md := metadata.MD{wire.PeerHeader: say}
		if got := peerOf(metadata.NewIncomingContext(t.Context(), md)); got.Name == name {
			t.Errorf("%s passes for the word", what)
		}
	}
	if got := peerOf(metadata.NewIncomingContext(t.Context(), metadata.Pairs(wire.PeerHeader, word))); got.Name != name {
		t.Errorf("the word makes %q", got.Name)
	}
}

// others are the abilities of a server that is none of ours.
type others struct{ capabilities }

func (others) GetCapabilities(_ context.Context, r *repb.GetCapabilitiesRequest) (*repb.ServerCapabilities, error) {
	return capabilities{}.GetCapabilities(context.Background(), r) // where no header goes anywhere
}

// A word is said to helpers of ours alone: not before the server has said that it is
// one, and to no other.
func TestWordIsForHelpers(t *testing.T) {
	for _, ours := range []bool{true, false} {
		var mu sync.Mutex
		heard := map[string]bool{} // by method: whether the word came
		see := func(ctx context.Context, method string) {
			mu.Lock()
			defer mu.Unlock()
			heard[path.Base(method)] = len(metadata.ValueFromIncomingContext(ctx, wire.PeerHeader)) > 0
		}
		server := grpc.NewServer(
			grpc.UnaryInterceptor(func(ctx context.Context, r any, i *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
				see(ctx, i.FullMethod)
				return h(ctx, r)
			}),
			grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, i *grpc.StreamServerInfo, h grpc.StreamHandler) error {
				see(stream.Context(), i.FullMethod)
				return h(srv, stream)
			}),
			grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
				method, _ := grpc.MethodFromServerStream(stream)
				see(stream.Context(), method)
				return status.Error(codes.Unimplemented, "an engine")
			}))
		b := newBench(t)
		cas.Register(server, b.Store, time.Minute)
		repb.RegisterActionCacheServer(server, &actionCache{s: b.server})
		repb.RegisterExecutionServer(server, &execution{s: b.server})
		if ours {
			repb.RegisterCapabilitiesServer(server, capabilities{})
			helperpb.RegisterHelperServer(server, &watcher{s: b.server})
		} else {
			repb.RegisterCapabilitiesServer(server, others{})
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(server.Stop)
		c := dial(t, l.Addr().String(), reapi.ClientOptions{Idle: 30 * time.Second, Secret: secret(t)})
		ctx, cancel := context.WithCancel(t.Context())
		_ = c.Watch(ctx, func(broker.State) { cancel() }) // the first that a fleet does
		cancel()
		if _, err := c.Run(t.Context(), reapitest.Job("text")); err != nil {
			t.Fatal(err)
		}
		_ = c.Pack(t.Context(), broker.BytesBlob([]byte("a pack")), func(string) {})
		mu.Lock()
		want := map[bool]map[string]bool{
			true:  {"GetCapabilities": false, "Watch": true, "Run": true, "FindMissingBlobs": true, "BatchUpdateBlobs": true, "Pack": true},
			false: {"GetCapabilities": false, "Watch": false, "GetActionResult": false, "FindMissingBlobs": false, "BatchUpdateBlobs": false, "Execute": false, "Pack": false},
		}[ours]
		if !maps.Equal(heard, want) {
			t.Errorf("ours: %t; who heard the word: %v, want %v", ours, heard, want)
		}
		mu.Unlock()
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
	one := reapitest.Toolchain()
	two := one
	two.Image = "sha256:1"
	text := func(tc toolchains.Toolchain) string {
		return string(toolsetText(broker.State{Toolchains: []toolchains.Toolchain{tc}}))
	}
	if text(one) == text(two) {
		t.Errorf("both are %s", text(one))
	}
}
