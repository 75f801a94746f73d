// Package reapitest is what the tests of both ends of the wire are made of: jobs, and
// what a server serves from, with a runner and a state that a test can replace. Start
// with New and Job.
package reapitest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/toolchains"
)

// A Helper is what a server serves from, with a real store. Its methods may be called
// at once.
type Helper struct {
	Store *store.Store
	Runs  atomic.Int32 // how often Run was called

	mu      sync.Mutex // guards the fields below
	runner  broker.Runner
	state   broker.State
	changed chan struct{}
}

// New makes a helper that has Toolchain and makes "object" of every job.
func New(t testing.TB) *Helper {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	h := &Helper{Store: st, changed: make(chan struct{})}
	h.runner = func(_ context.Context, j *broker.Job) (broker.Result, error) { return Compiled(j, "object"), nil }
	h.state = broker.State{Version: "test", Sandbox: "none", Slots: 2, Toolchains: []toolchains.Toolchain{Toolchain()}}
	return h
}

// Run has the runner run a job.
func (h *Helper) Run(ctx context.Context, j *broker.Job) (broker.Result, error) {
	h.Runs.Add(1)
	h.mu.Lock()
	r := h.runner
	h.mu.Unlock()
	return r(ctx, j)
}

// SetRunner replaces the runner.
func (h *Helper) SetRunner(r broker.Runner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runner = r
}

// State is the state and a channel that is closed when it changes.
func (h *Helper) State() (broker.State, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state, h.changed
}

// SetState changes the state.
func (h *Helper) SetState(f func(*broker.State)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(&h.state)
	close(h.changed)
	h.changed = make(chan struct{})
}

// A Holding is a runner that says when a job began and how it ended, and works
// until Release is closed.
type Holding struct {
	Began   chan struct{}
	Ended   chan error
	Release chan struct{}
}

// Hold makes the runner one that holds its jobs.
func (h *Helper) Hold() *Holding {
	hold := &Holding{Began: make(chan struct{}, 100), Ended: make(chan error, 100), Release: make(chan struct{})}
	h.SetRunner(func(ctx context.Context, j *broker.Job) (broker.Result, error) {
		hold.Began <- struct{}{}
		select {
		case <-hold.Release:
			hold.Ended <- nil
			return Compiled(j, "object"), nil
		case <-ctx.Done():
			hold.Ended <- context.Cause(ctx)
			return broker.Result{}, ctx.Err()
		}
	})
	return hold
}

// Soon is what comes within a time that a busy machine keeps as well.
func Soon[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", what)
	}
	return v
}

// Start runs a job beside the test.
func Start(ctx context.Context, run broker.Runner, j *broker.Job) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := run(ctx, j)
		done <- err
	}()
	return done
}

// Toolchain is the one that does all jobs.
func Toolchain() toolchains.Toolchain {
	return toolchains.Toolchain{
		Identity: identity(), Fingerprint: toolchains.Fingerprint{"driver": strings.Repeat("1", 64)},
		Path: "/usr/bin/gcc-12", CXXPath: "/usr/bin/g++-12", Languages: []argv.Language{argv.C, argv.CXX}, Targets: []string{"a", "b"},
		Image: "tools@sha256:1",
	}
}

func identity() toolchains.Identity {
	return toolchains.Identity{
		Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14",
		Assembler: "GNU assembler 2.40", Defaults: "ab",
	}
}

// Job is a compile of preprocessed text.
func Job(text string) *broker.Job {
	return &broker.Job{
		Name: "gcc", Identity: identity(), Fingerprint: toolchains.Fingerprint{"driver": strings.Repeat("1", 64)},
		Args: []string{"-O2", "-x", "cpp-output", "-c", ".crosscc-source.i", "-o", "a.o"},
		Dir:  "/w", Env: []string{"LC_ALL=C"}, Form: broker.Preprocessed, Outputs: []string{"a.o"},
		Root: textAt("/w/.crosscc-source.i", text),
	}
}

// Source is the text of such a job.
func Source(j *broker.Job) broker.Blob {
	f, _ := j.Root.File("/w/.crosscc-source.i")
	return f.Blob
}

// TreeJob is a job of a source and so many headers of 2 KiB each.
func TreeJob(headers int, source string) *broker.Job {
	j := Job("")
	j.Form, j.Outputs = broker.Tree, []string{"out.d", "out.o"}
	j.Root = textAt("/w/src/a.c", source)
	for i := range headers {
		text := fmt.Sprintf("/* %d */\n%s", i, strings.Repeat("int thing(void);\n", 128))
		j.Root.Put(fmt.Sprintf("/usr/include/%d/%d.h", i%20, i), broker.File{Blob: broker.BytesBlob([]byte(text))})
	}
	return j
}

// textAt is a tree with one file.
func textAt(path, text string) *broker.Dir {
	d := new(broker.Dir)
	d.Put(path, broker.File{Blob: broker.BytesBlob([]byte(text))})
	return d
}

// Compiled is a successful result with one content for all outputs.
func Compiled(j *broker.Job, content string) broker.Result {
	res := broker.Result{Stdout: []byte("out"), Stderr: []byte("warning")}
	for _, o := range j.Outputs {
		res.Outputs = append(res.Outputs, broker.Output{Path: o, Blob: broker.BytesBlob([]byte(content)), Executable: true})
	}
	return res
}

// Contents is what an output has in it.
func Contents(t testing.TB, o broker.Output) string {
	t.Helper()
	data, err := o.Blob.Bytes(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
