package reapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/toolchains"
)

func TestRun(t *testing.T) {
	b := newBench(t)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		data, err := reapitest.Source(j).Bytes(1 << 20)
		if err != nil {
			return broker.Result{}, err
		}
		return reapitest.Compiled(j, strings.ToUpper(string(data))), nil
	})
	res := b.mustRun(reapitest.Job("text"))
	if res.ExitCode != 0 || string(res.Stdout) != "out" || string(res.Stderr) != "warning" || res.Cached || res.Helper != b.addr {
		t.Errorf("result %+v", res)
	}
	if len(res.Outputs) != 1 || res.Outputs[0].Path != "a.o" || !res.Outputs[0].Executable || reapitest.Contents(t, res.Outputs[0]) != "TEXT" {
		t.Errorf("outputs %+v", res.Outputs)
	}
}

func TestOutputsKeepTheJobsOrder(t *testing.T) {
	b := newBench(t)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		res := reapitest.Compiled(j, "")
		for i, o := range res.Outputs {
			res.Outputs[i].Blob = broker.BytesBlob([]byte("content of " + o.Path))
		}
		return res, nil
	})
	j := reapitest.Job("x")
	j.Outputs = []string{"z.o", "a.d", "m/x.o"}
	for i, o := range b.mustRun(j).Outputs {
		if o.Path != j.Outputs[i] || reapitest.Contents(t, o) != "content of "+o.Path {
			t.Errorf("output %d is %s with %q", i, o.Path, reapitest.Contents(t, o))
		}
	}
}

func TestCached(t *testing.T) {
	b := newBench(t)
	if res := b.mustRun(reapitest.Job("text")); res.Cached {
		t.Error("the first run is cached")
	}
	// Execute finds it, and so does a client that knows nothing.
	other := dial(t, b.addr, ClientOptions{})
	for name, c := range map[string]*Client{"same client": b.client, "other client": other} {
		res, err := c.Run(context.Background(), reapitest.Job("text"))
		if err != nil || !res.Cached || reapitest.Contents(t, res.Outputs[0]) != "object" || string(res.Stderr) != "warning" {
			t.Errorf("%s: %+v, %v, want it cached", name, res, err)
		}
	}
	if n := b.Runs.Load(); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	b.SetState(func(s *broker.State) {
		changed := reapitest.Toolchain()
		changed.Fingerprint = toolchains.Fingerprint{"driver": strings.Repeat("2", 64)}
		s.Toolchains = []toolchains.Toolchain{changed}
	})
	if res := b.mustRun(reapitest.Job("text")); res.Cached || b.Runs.Load() != 2 {
		t.Errorf("cached %v after %d runs though the toolchain changed", res.Cached, b.Runs.Load())
	}
}

func TestToolchainChangesInTheMiddle(t *testing.T) {
	b := newBench(t)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		b.SetState(func(s *broker.State) { s.Toolchains = nil })
		return reapitest.Compiled(j, "object"), nil
	})
	b.mustRun(reapitest.Job("text"))
	if res := b.mustRun(reapitest.Job("text")); res.Cached {
		t.Error("a result was kept though nobody knows which toolchain made it")
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	b := newBench(t)
	b.SetRunner(func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{ExitCode: 1, Stderr: []byte("a.c:1: error")}, nil
	})
	for range 2 {
		if res := b.mustRun(reapitest.Job("text")); res.ExitCode != 1 || string(res.Stderr) != "a.c:1: error" || res.Cached || res.Outputs != nil {
			t.Errorf("result %+v", res)
		}
	}
}

func TestLongDiagnostics(t *testing.T) {
	const rawText = 64 << 10 // what a result of the door carries itself
	b := newBench(t)
	text := bytes.Repeat([]byte("a.c:1: error\n"), 200_000)
	b.SetRunner(func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{ExitCode: 1, Stderr: text, Stdout: text[:rawText+1]}, nil
	})
	res := b.mustRun(reapitest.Job("text"))
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
			b.SetRunner(func(context.Context, *broker.Job) (broker.Result, error) { return broker.Result{}, tt.err })
			_, err := b.client.Run(context.Background(), reapitest.Job(name))
			r, ok := errors.AsType[*broker.Refusal](err)
			if err == nil || ok != (tt.reason != "") || ok && r.Reason != tt.reason || err.Error() != tt.text {
				t.Errorf("error %q (refusal %+v), want %q", err, r, tt.text)
			}
		})
	}
}

func TestJobThatIsNoCompile(t *testing.T) {
	b := newBench(t)
	j := reapitest.Job("text")
	j.Args = []string{"a.o", "-o", "a.out"}
	_, err := b.client.Run(context.Background(), j)
	r, ok := errors.AsType[*broker.Refusal](err)
	if !ok || r.Reason != wire.Rejected || b.Runs.Load() != 0 {
		t.Errorf("error %v after %d runs, want a refusal", err, b.Runs.Load())
	}
}

func TestUploadsOnlyWhatIsMissing(t *testing.T) {
	modes(t, func(t *testing.T, b *bench, c *Client) {
		j := reapitest.Job("text")
		mustRun(t, c, j)
		before := b.Store.Stats().Blobs
		j.Args[0] = "-O1" // another command, the same input
		mustRun(t, c, j)
		want := 2 // the command and the action
		if c.server.Load().run {
			want = 0 // which are not kept
		}
		if n := b.Store.Stats().Blobs - before; n != want {
			t.Errorf("%d new blobs, want %d", n, want)
		}
	})
}

// The store lost an input that the client knows to be there.
func TestLostInputIsSentAgain(t *testing.T) {
	b := newBench(t)
	j := reapitest.Job("text")
	a, err := wire.NewWriter().ActionOf(j)
	if err != nil {
		t.Fatal(err)
	}
	// The client believes that all of it is there, but nothing is.
	b.client.storage.Known(a.Blobs())
	if res := b.mustRun(j); reapitest.Contents(t, res.Outputs[0]) != "object" {
		t.Errorf("result %+v", res)
	}
	// In the middle of the job, for ever: bounded.
	b.SetRunner(func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{}, &wire.MissingError{Digests: []broker.Digest{reapitest.Source(j).Digest}}
	})
	j.Args[0] = "-O1"
	if _, err := b.client.Run(context.Background(), j); !wire.IsMissing(err) {
		t.Errorf("error %v, want what is missing", err)
	}
	if n := b.Runs.Load(); n != 3 {
		t.Errorf("%d runs, want 3", n)
	}
}

func TestBigBlobsBothWays(t *testing.T) {
	b := newBench(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<20/16)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		data, err := reapitest.Source(j).Bytes(1 << 30)
		if err != nil {
			return broker.Result{}, err
		}
		data[0] = 'X'
		return reapitest.Compiled(j, string(data)), nil
	})
	res := b.mustRun(reapitest.Job(string(big)))
	got, err := res.Outputs[0].Blob.Bytes(1 << 30)
	big[0] = 'X'
	if err != nil || !bytes.Equal(got, big) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	small := dial(t, b.addr, ClientOptions{MaxOutputs: 1 << 20})
	if _, err := small.Run(context.Background(), reapitest.Job(string(big[1:]))); err == nil || !strings.Contains(err.Error(), "over 1048576 bytes") {
		t.Errorf("error %v, want the bound", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	b.SetRunner(func(_ context.Context, j *broker.Job) (broker.Result, error) {
		data, err := reapitest.Source(j).Bytes(1 << 20)
		return reapitest.Compiled(j, string(data)), err
	})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			text := fmt.Sprint("text ", i%100)
			res, err := b.client.Run(context.Background(), reapitest.Job(text))
			if err != nil {
				t.Error(err)
				return
			}
			if got := reapitest.Contents(t, res.Outputs[0]); got != text {
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
		if res, err := c.Run(context.Background(), reapitest.Job("text")); err != nil || res.Helper != path {
			t.Errorf("%s: %+v, %v", target, res, err)
		}
	}
}
