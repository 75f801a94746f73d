package reapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/toolchains"
)

// A bench is a real server on a loopback listener with a real store and a
// runner that a test can replace, and a real client.
type bench struct {
	t      testing.TB
	server *Server
	store  *store.Store
	addr   string
	client *Client
	runs   atomic.Int32

	mu      sync.Mutex // guards the fields below
	runner  broker.Runner
	state   broker.State
	changed chan struct{}
}

func newBench(t testing.TB) *bench {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: st, changed: make(chan struct{})}
	b.runner = func(_ context.Context, j *broker.Job) (broker.Result, error) { return compiled(j, "object"), nil }
	b.state = broker.State{Version: "test", Sandbox: "none", Slots: 2, Toolchains: []toolchains.Toolchain{testToolchain()}}
	b.server = NewServer(Backend{
		Run:   b.run,
		Store: st, State: b.now, Logf: t.Logf,
	}, ServerOptions{Idle: 20 * time.Second, Beat: 50 * time.Millisecond})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(l) }()
	t.Cleanup(func() {
		b.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
		st.Close()
	})
	b.client = dial(t, b.addr, ClientOptions{Idle: 30 * time.Second})
	return b
}

func dial(t testing.TB, addr string, o ClientOptions) *Client {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := Dial(addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// raw is a connection for a client made by hand.
func (b *bench) raw() *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///"+b.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

func (b *bench) run(ctx context.Context, j *broker.Job) (broker.Result, error) {
	b.runs.Add(1)
	b.mu.Lock()
	r := b.runner
	b.mu.Unlock()
	return r(ctx, j)
}

func (b *bench) setRunner(r broker.Runner) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runner = r
}

func (b *bench) now() (broker.State, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.changed
}

func (b *bench) setState(f func(*broker.State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.state)
	close(b.changed)
	b.changed = make(chan struct{})
}

func testToolchain() toolchains.Toolchain {
	return toolchains.Toolchain{
		Identity: testIdentity(), Fingerprint: toolchains.Fingerprint{"driver": strings.Repeat("1", 64)},
		Path: "/usr/bin/gcc-12", CXXPath: "/usr/bin/g++-12", Languages: []argv.Language{argv.C, argv.CXX}, Targets: []string{"a", "b"},
		Image: "tools@sha256:1",
	}
}

func testIdentity() toolchains.Identity {
	return toolchains.Identity{
		Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14",
		Assembler: "GNU assembler 2.40", Defaults: "ab",
	}
}

// testJob is a compile of text.
func testJob(text string) *broker.Job {
	return &broker.Job{
		Name: "gcc", Identity: testIdentity(), Fingerprint: toolchains.Fingerprint{"driver": strings.Repeat("1", 64)},
		Args: []string{"-O2", "-x", "cpp-output", "-c", ".crosscc-source.i", "-o", "a.o"},
		Dir:  "/w", Env: []string{"LC_ALL=C"}, Form: broker.Preprocessed, Outputs: []string{"a.o"},
		Root: textAt("/w/.crosscc-source.i", text),
	}
}

// compiled is a successful result with one content for all outputs.
func compiled(j *broker.Job, content string) broker.Result {
	res := broker.Result{Stdout: []byte("out"), Stderr: []byte("warning")}
	for _, o := range j.Outputs {
		res.Outputs = append(res.Outputs, broker.Output{Path: o, Blob: broker.BytesBlob([]byte(content)), Executable: true})
	}
	return res
}

func contents(t testing.TB, o broker.Output) string {
	t.Helper()
	data, err := o.Blob.Bytes(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (b *bench) mustRun(j *broker.Job) broker.Result {
	b.t.Helper()
	res, err := b.client.Run(context.Background(), j)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func TestRun(t *testing.T) {
	b := newBench(t)
	b.setRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		data, err := sourceOf(j).Bytes(1 << 20)
		if err != nil {
			return broker.Result{}, err
		}
		return compiled(j, strings.ToUpper(string(data))), nil
	})
	res := b.mustRun(testJob("text"))
	if res.ExitCode != 0 || string(res.Stdout) != "out" || string(res.Stderr) != "warning" || res.Cached || res.Helper != b.addr {
		t.Errorf("result %+v", res)
	}
	if len(res.Outputs) != 1 || res.Outputs[0].Path != "a.o" || !res.Outputs[0].Executable || contents(t, res.Outputs[0]) != "TEXT" {
		t.Errorf("outputs %+v", res.Outputs)
	}
}

func TestOutputsKeepTheJobsOrder(t *testing.T) {
	b := newBench(t)
	b.setRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		res := compiled(j, "")
		for i, o := range res.Outputs {
			res.Outputs[i].Blob = broker.BytesBlob([]byte("content of " + o.Path))
		}
		return res, nil
	})
	j := testJob("x")
	j.Outputs = []string{"z.o", "a.d", "m/x.o"}
	for i, o := range b.mustRun(j).Outputs {
		if o.Path != j.Outputs[i] || contents(t, o) != "content of "+o.Path {
			t.Errorf("output %d is %s with %q", i, o.Path, contents(t, o))
		}
	}
}

func TestCached(t *testing.T) {
	b := newBench(t)
	if res := b.mustRun(testJob("text")); res.Cached {
		t.Error("the first run is cached")
	}
	// Execute finds it, and so does a client that knows nothing.
	other := dial(t, b.addr, ClientOptions{})
	for name, c := range map[string]*Client{"same client": b.client, "other client": other} {
		res, err := c.Run(context.Background(), testJob("text"))
		if err != nil || !res.Cached || contents(t, res.Outputs[0]) != "object" || string(res.Stderr) != "warning" {
			t.Errorf("%s: %+v, %v, want it cached", name, res, err)
		}
	}
	if n := b.runs.Load(); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	b.setState(func(s *broker.State) {
		changed := testToolchain()
		changed.Fingerprint = toolchains.Fingerprint{"driver": strings.Repeat("2", 64)}
		s.Toolchains = []toolchains.Toolchain{changed}
	})
	if res := b.mustRun(testJob("text")); res.Cached || b.runs.Load() != 2 {
		t.Errorf("cached %v after %d runs though the toolchain changed", res.Cached, b.runs.Load())
	}
}

func TestToolchainChangesInTheMiddle(t *testing.T) {
	b := newBench(t)
	b.setRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		b.setState(func(s *broker.State) { s.Toolchains = nil })
		return compiled(j, "object"), nil
	})
	b.mustRun(testJob("text"))
	if res := b.mustRun(testJob("text")); res.Cached {
		t.Error("a result was kept though nobody knows which toolchain made it")
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	b := newBench(t)
	b.setRunner(func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{ExitCode: 1, Stderr: []byte("a.c:1: error")}, nil
	})
	for range 2 {
		if res := b.mustRun(testJob("text")); res.ExitCode != 1 || string(res.Stderr) != "a.c:1: error" || res.Cached || res.Outputs != nil {
			t.Errorf("result %+v", res)
		}
	}
}

func TestLongDiagnostics(t *testing.T) {
	b := newBench(t)
	text := bytes.Repeat([]byte("a.c:1: error\n"), 200_000)
	b.setRunner(func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{ExitCode: 1, Stderr: text, Stdout: text[:rawText+1]}, nil
	})
	res := b.mustRun(testJob("text"))
	if !bytes.Equal(res.Stderr, text) || len(res.Stdout) != rawText+1 {
		t.Errorf("%d and %d bytes, want %d and %d", len(res.Stderr), len(res.Stdout), len(text), rawText+1)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	tests := map[string]struct {
		err    error
		reason broker.Reason // "" for a plain error
		text   string
	}{
		"refusal":  {broker.Refusef("no-match", "has gcc 11.3.0 for x86_64-linux-gnu, this build uses 12.2.0"), "no-match", "has gcc 11.3.0 for x86_64-linux-gnu, this build uses 12.2.0"},
		"rejected": {broker.Refusef("rejected", "option -fplugin may not run here"), "rejected", "option -fplugin may not run here"},
		"machine":  {errors.New("disk is full"), "", b.addr + ": disk is full (Unavailable)"},
		"deadline": {context.DeadlineExceeded, "", b.addr + ": context deadline exceeded (DeadlineExceeded)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b.setRunner(func(context.Context, *broker.Job) (broker.Result, error) { return broker.Result{}, tt.err })
			_, err := b.client.Run(context.Background(), testJob(name))
			r, ok := errors.AsType[*broker.Refusal](err)
			if err == nil || ok != (tt.reason != "") || ok && r.Reason != tt.reason || err.Error() != tt.text {
				t.Errorf("error %q (refusal %+v), want %q", err, r, tt.text)
			}
		})
	}
}

func TestJobThatIsNoCompile(t *testing.T) {
	b := newBench(t)
	j := testJob("text")
	j.Args = []string{"a.o", "-o", "a.out"}
	_, err := b.client.Run(context.Background(), j)
	r, ok := errors.AsType[*broker.Refusal](err)
	if !ok || r.Reason != wire.Rejected || b.runs.Load() != 0 {
		t.Errorf("error %v after %d runs, want a refusal", err, b.runs.Load())
	}
}

func TestUploadsOnlyWhatIsMissing(t *testing.T) {
	modes(t, func(t *testing.T, b *bench, c *Client) {
		j := testJob("text")
		mustRun(t, c, j)
		before := b.store.Stats().Blobs
		j.Args[0] = "-O1" // another command, the same input
		mustRun(t, c, j)
		want := 2 // the command and the action
		if c.server.Load().run {
			want = 0 // which are not kept
		}
		if n := b.store.Stats().Blobs - before; n != want {
			t.Errorf("%d new blobs, want %d", n, want)
		}
	})
}

// The store lost an input that the client knows to be there.
func TestLostInputIsSentAgain(t *testing.T) {
	b := newBench(t)
	j := testJob("text")
	a, err := wire.NewWriter().ActionOf(j)
	if err != nil {
		t.Fatal(err)
	}
	// The client believes that all of it is there, but nothing is.
	b.client.storage.Known(a.Blobs())
	if res := b.mustRun(j); contents(t, res.Outputs[0]) != "object" {
		t.Errorf("result %+v", res)
	}
	// In the middle of the job, for ever: bounded.
	b.setRunner(func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{}, &wire.MissingError{Digests: []broker.Digest{sourceOf(j).Digest}}
	})
	j.Args[0] = "-O1"
	if _, err := b.client.Run(context.Background(), j); !wire.IsMissing(err) {
		t.Errorf("error %v, want what is missing", err)
	}
	if n := b.runs.Load(); n != 3 {
		t.Errorf("%d runs, want 3", n)
	}
}

func TestBigBlobsBothWays(t *testing.T) {
	b := newBench(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<20/16)
	b.setRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		data, err := sourceOf(j).Bytes(1 << 30)
		if err != nil {
			return broker.Result{}, err
		}
		data[0] = 'X'
		return compiled(j, string(data)), nil
	})
	res := b.mustRun(testJob(string(big)))
	got, err := res.Outputs[0].Blob.Bytes(1 << 30)
	big[0] = 'X'
	if err != nil || !bytes.Equal(got, big) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	small := dial(t, b.addr, ClientOptions{MaxOutputs: 1 << 20})
	if _, err := small.Run(context.Background(), testJob(string(big[1:]))); err == nil || !strings.Contains(err.Error(), "over 1048576 bytes") {
		t.Errorf("error %v, want the bound", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	b.setRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		data, err := sourceOf(j).Bytes(1 << 20)
		return compiled(j, string(data)), err
	})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			text := fmt.Sprint("text ", i%100)
			res, err := b.client.Run(context.Background(), testJob(text))
			if err != nil {
				t.Error(err)
				return
			}
			if got := contents(t, res.Outputs[0]); got != text {
				t.Errorf("job %q got %q", text, got)
			}
		})
	}
	wg.Wait()
}

func TestUnixSocket(t *testing.T) {
	b := newBench(t)
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	go b.server.Serve(l)
	for _, target := range []string{path, "unix:" + path} {
		c := dial(t, target, ClientOptions{})
		if res, err := c.Run(context.Background(), testJob("text")); err != nil || res.Helper != path {
			t.Errorf("%s: %+v, %v", target, res, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	b := newBench(t)
	caps, err := repb.NewCapabilitiesClient(b.raw()).GetCapabilities(context.Background(), &repb.GetCapabilitiesRequest{InstanceName: "any"})
	if err != nil {
		t.Fatal(err)
	}
	if caps.LowApiVersion.Minor != 0 || caps.HighApiVersion.Minor != 12 || caps.HighApiVersion.Major != 2 ||
		!caps.ExecutionCapabilities.ExecEnabled || caps.CacheCapabilities.ActionCacheUpdateCapabilities.UpdateEnabled {
		t.Errorf("capabilities %v", caps)
	}
}

// textAt is a tree with one file.
func textAt(path, text string) *broker.Dir {
	d := new(broker.Dir)
	d.Put(path, broker.File{Blob: broker.BytesBlob([]byte(text))})
	return d
}

// sourceOf is the text of such a job.
func sourceOf(j *broker.Job) broker.Blob {
	f, _ := j.Root.File("/w/.crosscc-source.i")
	return f.Blob
}
