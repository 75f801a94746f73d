package reapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/cas"
	"github.com/crosscc/crosscc/broker/reapi/door"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/store"
)

// modes runs f with each way in which a client may have its jobs done.
func modes(t *testing.T, f func(t *testing.T, b *bench, c *Client)) {
	for name, server := range map[string]*answers{
		"run": {run: true}, "run packed": {run: true, pack: true}, "standard": {}, "standard packed": {pack: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c := dial(t, b.addr, ClientOptions{Idle: 30 * time.Second})
			believe(c, *server)
			f(t, b, c)
		})
	}
}

// believe has the client believe that the server said so.
func believe(c *Client, server answers) {
	c.storage.Learn(cas.Abilities{Batch: cas.MaxBatch, PackedBatch: server.pack, PackedStream: server.pack})
	c.server.Store(&server)
}

func mustRun(t testing.TB, c *Client, j *broker.Job) broker.Result {
	t.Helper()
	res, err := c.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A tap stands between clients and a server and counts the calls: HTTP/2's frames
// of headers.
type tap struct {
	calls, sent, received atomic.Int64
	pings                 atomic.Int64 // from clients, and their answers
}

func (p *tap) listen(t testing.TB, addr string) string {
	return listen(t, func(c net.Conn) {
		up, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, io.TeeReader(up, counter{&p.received}))
		}()
		defer up.Close()
		p.forward(up, c)
	})
}

// A counter counts the bytes written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

func (p *tap) forward(up io.Writer, c io.Reader) {
	c = io.TeeReader(c, up)
	if _, err := io.CopyN(io.Discard, c, 24); err != nil { // the preface
		return
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		switch head[3] {
		case 1:
			p.calls.Add(1)
		case 6:
			p.pings.Add(1)
		}
		size := int64(binary.BigEndian.Uint32(append([]byte{0}, head[:3]...)))
		p.sent.Add(size)
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			return
		}
	}
}

// since is how many calls and bytes there were since the last time.
func (p *tap) since() (calls, sent int64) { return p.calls.Swap(0), p.sent.Swap(0) }

// A job of which the helper has nearly all is one call, of about the size of its
// source; so is one whose result it has, and a small one.
func TestRoundTrips(t *testing.T) {
	b := newBench(t)
	var p tap
	c := dial(t, p.listen(t, b.addr), ClientOptions{})
	const source = 16 << 10
	text := func(s string) string { return s + strings.Repeat("x", source) }
	steps := []struct {
		name   string
		job    *broker.Job
		calls  int64
		bytes  int64 // at most
		cached bool
	}{
		// Capabilities, GetActionResult and FindMissingBlobs at once, BatchUpdateBlobs, Run.
		{"cold", reapitest.TreeJob(400, text("1")), 5, 2 << 20, false},
		{"another source", reapitest.TreeJob(400, text("2")), 1, source + 4096, false},
		{"a hit", reapitest.TreeJob(400, text("2")), 1, source + 4096, true},
		{"one new header", reapitest.TreeJob(401, text("3")), 1, source + 8192, false},
		{"the same headers", reapitest.TreeJob(401, text("4")), 1, source + 4096, false},
		{"other words", func() *broker.Job { j := reapitest.TreeJob(401, text("4")); j.Args[0] = "-O1"; return j }(), 1, 4096, false},
		{"preprocessed", reapitest.Job("int a;"), 1, 4096, false},
		// Much that is new: asked first.
		{"a large source", reapitest.Job(strings.Repeat("int a;", 100_000)), 4, 1 << 20, false},
	}
	for _, step := range steps {
		res := mustRun(t, c, step.job)
		calls, sent := p.since()
		if a, err := c.writer.ActionOf(step.job); err != nil || !res.Cached && len(a.Directories) > 0 {
			t.Errorf("%s: %d directories are not known to be there, %v", step.name, len(a.Directories), err)
		}
		if calls != step.calls || sent > step.bytes || res.Cached != step.cached {
			t.Errorf("%s: %d calls and %d bytes, cached %t, want %d, at most %d, %t", step.name, calls, sent, res.Cached, step.calls, step.bytes, step.cached)
		}
	}
	if n := p.pings.Load(); n > 0 {
		t.Errorf("%d pings: each costs the client a wake-up", n)
	}
}

// Two agents with the same sources share results: the second asks before it
// uploads.
func TestClientsShareTrees(t *testing.T) {
	for name, tt := range map[string]struct {
		headers int
		calls   int64
	}{
		"few headers":  {3, 2},   // capabilities and Run
		"many headers": {400, 3}, // capabilities, and GetActionResult beside FindMissingBlobs
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			mustRun(t, b.client, reapitest.TreeJob(tt.headers, "int a;"))
			before := b.Store.Stats()
			var p tap
			other := dial(t, p.listen(t, b.addr), ClientOptions{})
			if res := mustRun(t, other, reapitest.TreeJob(tt.headers, "int a;")); !res.Cached || reapitest.Contents(t, res.Outputs[1]) != "object" {
				t.Errorf("result %+v, want the first client's", res)
			}
			calls, sent := p.since()
			if after := b.Store.Stats(); after.Blobs != before.Blobs || b.Runs.Load() != 1 || calls != tt.calls || sent > 100<<10 {
				t.Errorf("%d runs, %d blobs more, %d calls, %d bytes sent", b.Runs.Load(), after.Blobs-before.Blobs, calls, sent)
			}
			// Nothing is kept of what came along with a hit.
			if all, err := wire.NewWriter().ActionOf(reapitest.TreeJob(tt.headers, "int a;")); err != nil || tt.headers < 10 && len(other.storage.Unknown(all.Blobs())) != len(all.Blobs()) {
				t.Errorf("the client takes inputs to be there that it was never told of, %v", err)
			}
			if res := mustRun(t, other, reapitest.TreeJob(tt.headers, "int b;")); res.Cached || b.Runs.Load() != 2 {
				t.Errorf("another source: cached %t after %d runs", res.Cached, b.Runs.Load())
			}
		})
	}
}

// A result comes back whole in each way: outputs small, large and empty, texts
// short and long.
func TestResultsInAllModes(t *testing.T) {
	modes(t, func(t *testing.T, b *bench, c *Client) {
		want := map[string]string{
			"a.o": "object", "b.o": strings.Repeat("0123", 100_000), "c.d": "", "d.o": strings.Repeat("abc", 1<<20), "e.o": strings.Repeat("x", wire.MaxInline),
		}
		b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
			res := reapitest.Compiled(j, "")
			for i, o := range res.Outputs {
				res.Outputs[i].Blob = broker.BytesBlob([]byte(want[o.Path]))
			}
			res.Stderr = bytes.Repeat([]byte("warning\n"), 50_000)
			return res, nil
		})
		j := reapitest.TreeJob(200, "int a;")
		j.Outputs = []string{"e.o", "a.o", "b.o", "c.d", "d.o"}
		for i := range 2 {
			res := mustRun(t, c, j)
			if res.Cached != (i == 1) || len(res.Outputs) != 5 || len(res.Stderr) != 400_000 || string(res.Stdout) != "out" {
				t.Errorf("run %d: cached %t, %d outputs, %d bytes of stderr", i, res.Cached, len(res.Outputs), len(res.Stderr))
			}
			for k, o := range res.Outputs {
				if o.Path != j.Outputs[k] || reapitest.Contents(t, o) != want[o.Path] || !o.Executable {
					t.Errorf("run %d: output %d is %s of %d bytes", i, k, o.Path, o.Blob.Digest.Size)
				}
			}
		}
	})
}

// What goes to another machine is compressed, both ways.
func TestRunIsCompressed(t *testing.T) {
	b := newBench(t)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		return reapitest.Compiled(j, strings.Repeat("0123456789abcdef", 10_000)), nil
	})
	var p tap
	c := dial(t, p.listen(t, b.addr), ClientOptions{})
	mustRun(t, c, reapitest.Job("x"))
	for pack, most := range map[bool]int64{false: 1 << 30, true: 20 << 10} {
		believe(c, answers{run: true, pack: pack})
		p.since()
		p.received.Store(0)
		mustRun(t, c, reapitest.Job(fmt.Sprint(pack, strings.Repeat("int a;\n", 10_000))))
		_, sent := p.since()
		if received := p.received.Load(); sent > most || received > most || !pack && (sent < 70_000 || received < 160_000) {
			t.Errorf("packed %t: %d bytes went and %d came", pack, sent, received)
		}
	}
}

// A compile that failed may have written its dependencies.
func TestOutputsOfAFailure(t *testing.T) {
	modes(t, func(t *testing.T, b *bench, c *Client) {
		b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
			res := reapitest.Compiled(j, "a.o: a.c")
			return broker.Result{ExitCode: 1, Stderr: []byte("error"), Outputs: res.Outputs[:1]}, nil
		})
		res := mustRun(t, c, reapitest.TreeJob(3, "int a;"))
		if res.ExitCode != 1 || len(res.Outputs) != 1 || res.Outputs[0].Path != "out.d" || reapitest.Contents(t, res.Outputs[0]) != "a.o: a.c" {
			t.Errorf("result %+v", res)
		}
	})
}

// restart puts another server at the address, with the store or an empty one.
func (b *bench) restart(keep bool) {
	b.t.Helper()
	b.server.Close()
	st := b.Store
	if !keep {
		var err error
		if st, err = store.Open(b.t.TempDir(), store.Options{}); err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { st.Close() })
	}
	s := door.New(door.Backend{Run: b.Run, Store: st, State: b.State, Logf: b.t.Logf}, door.Options{})
	l, err := net.Listen("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	go s.Serve(l)
	b.t.Cleanup(s.Close)
}

// A helper that started again has forgotten directories, or everything: it is told
// once more, and the job is done.
func TestHelperStartsAgain(t *testing.T) {
	for name, keep := range map[string]bool{"with its store": true, "with an empty store": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for i := range 3 {
				mustRun(t, b.client, reapitest.TreeJob(200, fmt.Sprint("int a", i)))
			}
			b.restart(keep)
			for i := range 3 {
				var res broker.Result
				var err error
				for range 100 { // until the connection is made again
					if res, err = b.client.Run(context.Background(), reapitest.TreeJob(200, fmt.Sprint("int b", i))); err == nil {
						break
					}
					time.Sleep(50 * time.Millisecond)
				}
				if err != nil || reapitest.Contents(t, res.Outputs[1]) != "object" {
					t.Errorf("job %d: %+v, %v", i, res, err)
				}
			}
		})
	}
}

// A helper that was replaced by a server that is none of ours.
func TestHelperIsReplaced(t *testing.T) {
	e := &engine{op: func() *longrunningpb.Operation {
		return done(outputs(&repb.OutputFile{Path: "a.o", Digest: wire.DigestToProto(broker.DigestOf([]byte("object"))), Contents: []byte("object")}))
	}}
	c := dial(t, e.serve(t), ClientOptions{})
	believe(c, answers{run: true, pack: true})
	for range 2 {
		if res := mustRun(t, c, reapitest.Job("text")); reapitest.Contents(t, res.Outputs[0]) != "object" {
			t.Errorf("result %+v", res)
		}
	}
	if c.server.Load().run {
		t.Error("the client still takes it for a helper")
	}
}

// The helper's store lost one input of a job that it would have only to run.
func TestLostInputInAllModes(t *testing.T) {
	modes(t, func(t *testing.T, b *bench, c *Client) {
		j := reapitest.TreeJob(300, "int a;")
		a, err := wire.NewWriter().ActionOf(j)
		if err != nil {
			t.Fatal(err)
		}
		c.storage.Known(a.Blobs()) // but nothing is there
		if res := mustRun(t, c, j); reapitest.Contents(t, res.Outputs[1]) != "object" {
			t.Errorf("result %+v", res)
		}
		if len(b.Store.Missing(digestsOf(a.Files))) > 0 {
			t.Error("not all files came")
		}
	})
}

func digestsOf(blobs []broker.Blob) (list []broker.Digest) {
	for _, b := range blobs {
		list = append(list, b.Digest)
	}
	return list
}

// A file that changes after the job was made: the caller hears which, and no
// compiler runs.
func TestChangedFile(t *testing.T) {
	modes(t, func(t *testing.T, b *bench, c *Client) {
		for _, size := range []int{100, 1 << 20, 4 << 20} {
			path := filepath.Join(t.TempDir(), "b.h")
			old := []byte(strings.Repeat("o", size))
			if err := os.WriteFile(path, []byte(strings.Repeat("n", size)), 0o600); err != nil {
				t.Fatal(err)
			}
			j := reapitest.TreeJob(3, fmt.Sprint("int a", size))
			j.Root.Put("/w/inc/b.h", broker.File{Blob: broker.PathBlob(broker.DigestOf(old), path)})
			_, err := c.Run(context.Background(), j)
			changed, ok := errors.AsType[*broker.ChangedError](err)
			if !ok || changed.Path != "/w/inc/b.h" || b.Runs.Load() != 0 {
				t.Errorf("%d bytes: %v after %d runs, want that /w/inc/b.h changed", size, err, b.Runs.Load())
			}
			// The file is as the job says again: nothing was taken for sent.
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			mustRun(t, c, j)
			b.Runs.Store(0)
		}
	})
}

// Two hundred jobs that wait hold a goroutine of grpc's each, and nothing of what
// they sent.
func TestWaitingJobsAreSmall(t *testing.T) {
	const jobs, size = 200, 100 << 10
	b := newBenchOf(t, door.Options{Beat: time.Minute}) // no answer tells grpc that the call is taken
	began := make(chan struct{}, jobs+1)
	b.SetRunner(func(ctx context.Context, _ *broker.Job) (broker.Result, error) {
		began <- struct{}{}
		<-ctx.Done()
		return broker.Result{}, ctx.Err()
	})
	mustBegin := func(i int) (<-chan error, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		text := []byte(strings.Repeat("x", size) + fmt.Sprint(i))
		path := filepath.Join(t.TempDir(), "a.c")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		j := reapitest.TreeJob(0, "")
		j.Root.Put("/w/src/a.c", broker.File{Blob: broker.PathBlob(broker.DigestOf(text), path)})
		return reapitest.Start(ctx, b.client.Run, j), cancel
	}
	_, cancel := mustBegin(-1)
	defer cancel()
	reapitest.Soon(t, "a job", began)
	before := heap()
	for i := range jobs {
		_, cancel := mustBegin(i)
		defer cancel()
		reapitest.Soon(t, "a job", began)
	}
	if n := int64(heap()) - int64(before); n > jobs*size/2 {
		t.Errorf("%d bytes for %d jobs with sources of %d bytes", n, jobs, size)
	}
	var stacks bytes.Buffer
	buf := make([]byte, 16<<20)
	stacks.Write(buf[:runtime.Stack(buf, true)])
	client, stream := 0, 0
	for _, g := range strings.Split(stacks.String(), "\n\n") {
		switch {
		case strings.Contains(g, "reapi.(*Client).Run("):
			client++
		case strings.Contains(g, "grpc.newClientStream"):
			stream++
		case strings.Contains(g, "reapi.(*Client)"):
			t.Errorf("another goroutine of a client's:\n%s", g)
		}
	}
	if client != jobs+1 || stream > jobs+1 {
		t.Errorf("%d goroutines of callers and %d of streams for %d jobs", client, stream, jobs+1)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools let go of what they hold in two rounds
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What a helper says of its outputs is checked when it comes in one message, too.
func TestLyingHelpers(t *testing.T) {
	var z cas.Zstd
	object := strings.Repeat("object", 1000)
	packed, _ := z.Pack([]byte(object))
	right := wire.DigestToProto(broker.DigestOf([]byte(object)))
	answer := func(f *repb.OutputFile, c ...*helperpb.Content) *helperpb.RunAnswer {
		return &helperpb.RunAnswer{Done: true, Result: marshal(t, outputs(f).Result), Contents: c}
	}
	a := func(d *repb.Digest) *repb.OutputFile { return &repb.OutputFile{Path: "a.o", Digest: d} }
	plain := &helperpb.Content{Data: []byte(object)}
	tests := map[string]struct {
		answer *helperpb.RunAnswer
		want   string
	}{
		"plain":          {answer(a(right), plain), ""},
		"packed":         {answer(a(right), &helperpb.Content{Data: packed, Packed: true}), ""},
		"other content":  {answer(a(right), &helperpb.Content{Data: []byte("other")}), "the server said"},
		"not packed":     {answer(a(right), &helperpb.Content{Data: []byte(object), Packed: true}), "zstd data"},
		"longer":         {answer(a(wire.DigestToProto(broker.DigestOf([]byte("x")))), &helperpb.Content{Data: packed, Packed: true}), "zstd data"},
		"huge":           {answer(a(&repb.Digest{Hash: right.Hash, SizeBytes: 1 << 50}), &helperpb.Content{Data: packed, Packed: true}), "came inside"},
		"negative":       {answer(a(&repb.Digest{Hash: right.Hash, SizeBytes: -1}), &helperpb.Content{Data: packed, Packed: true}), "came inside"},
		"no digest":      {answer(a(nil), plain), "digest is missing"},
		"more contents":  {answer(a(right), plain, plain), "contents of 2 outputs, and names 1"},
		"garbage result": {&helperpb.RunAnswer{Done: true, Result: []byte("\xff")}, "answer of the helper"},
		"no output":      {&helperpb.RunAnswer{Done: true}, "did not come"},
		"never done":     {&helperpb.RunAnswer{}, "without an answer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := &engine{answer: tt.answer, read: func() []byte { return nil }}
			c := dial(t, e.serve(t), ClientOptions{})
			believe(c, answers{run: true})
			res, err := c.Run(context.Background(), reapitest.Job("text"))
			if tt.want == "" {
				if err != nil || reapitest.Contents(t, res.Outputs[0]) != object {
					t.Errorf("Run = %+v, %v", res, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %+v, %v, want %q", res, err, tt.want)
			}
			if _, ok := errors.AsType[*broker.Refusal](err); ok {
				t.Errorf("%v is a refusal: the job is blamed for what the helper did", err)
			}
		})
	}
}

// What leaves the machine is compressed, and what stays on it is not.
func TestNear(t *testing.T) {
	ip := func(s string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(s), Port: 1} }
	for _, tt := range []struct {
		local, remote net.Addr
		near          bool
	}{
		{ip("127.0.0.1"), ip("127.0.0.2"), true},
		{ip("::1"), ip("::1"), true},
		{&net.UnixAddr{}, &net.UnixAddr{}, true},
		{ip("192.0.2.1"), ip("192.0.2.1"), true},
		{ip("192.0.2.1"), ip("192.0.2.2"), false},
		{ip("2001:db8::1"), ip("2001:db8::2"), false},
	} {
		if got := isNear(addresses{local: tt.local, remote: tt.remote}); got != tt.near {
			t.Errorf("from %v to %v: near %t", tt.local, tt.remote, got)
		}
	}
	b := newBench(t)
	b.mustRun(reapitest.Job("x"))
	if s := b.client.server.Load(); !s.run || s.pack {
		t.Errorf("over loopback: %+v, want the short call, nothing compressed", s)
	}
}

type addresses struct {
	net.Conn
	local, remote net.Addr
}

func (a addresses) LocalAddr() net.Addr  { return a.local }
func (a addresses) RemoteAddr() net.Addr { return a.remote }
