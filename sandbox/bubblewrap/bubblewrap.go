// Package bubblewrap is the Runner with walls that wants neither root nor a service:
// bubblewrap makes namespaces and mounts, and a program starts in them under a filter.
// Start with [New], and read from run downwards: how the program is held until its
// limits are set is in cell.go.
package bubblewrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
	"github.com/crosscc/crosscc/sandbox/internal/process"
	"github.com/crosscc/crosscc/sandbox/internal/seccomp"
	"github.com/crosscc/crosscc/sandbox/internal/view"
)

// Options tell the runner how to work on this host.
type Options struct {
	// UID and GID are what programs run as when the helper itself is root; 0
	// means nobody (65534). Otherwise they are not used.
	UID, GID int
	// Program is bubblewrap; "" means the one on PATH.
	Program string
	// Groups bound what one run takes as a whole; nil means that nothing does. Who
	// opened them closes them, behind the last run.
	Groups *groups.Set
	// Logf gets lines for the helper's log; nil means none.
	Logf func(format string, args ...any)
}

// A runner has no state but what it remembers about programs.
type runner struct {
	program    string
	credential *syscall.Credential // nil: stay who we are
	pen        pen
	extra      []string // flags that not every host can take
	groups     *groups.Set
	filter     []byte
	closures   sandbox.Closures
	logf       func(string, ...any)
}

// New makes the Runner of design section 9, after it has built one
// sandbox and thrown it away. Its error says what to install or to change. Who
// calls it calls prove.Closed before the first job.
//
// Started by root it changes to Options.UID before bubblewrap runs (X21):
// programs and trees must then be reachable for that uid. Descriptors that this
// process inherited are kept from programs from now on: they become
// close-on-exec.
func New(o Options) (sandbox.Runner, error) {
	b := &runner{program: cmp.Or(o.Program, "bwrap"), logf: o.Logf, credential: process.Nobody(o.UID, o.GID), groups: o.Groups}
	if b.logf == nil {
		b.logf = func(string, ...any) {}
	}
	program, err := exec.LookPath(b.program)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w; install bubblewrap (apt-get install bubblewrap)", err)
	}
	b.program = program
	if err := process.KeepDescriptors(); err != nil {
		return nil, err
	}
	if b.filter, err = seccomp.Filter(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	err = b.suit()
	if err != nil && b.groups != nil && b.groups.Err() == nil {
		b.groups.Disable(err) // they may be to blame
		err = b.suit()
	}
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, advice(err.Error(), "/proc/sys"))
	}
	b.closures.List = sandbox.Lister(b.run)
	return b.run, nil
}

// suit finds the strictest way to start bubblewrap that works on this host. Its
// error is that of the plainest way.
func (b *runner) suit() (err error) {
	for _, b.pen = range pens() {
		// --disable-userns writes to /proc/sys, which containers have read-only. The
		// filter forbids new user namespaces in any case.
		b.extra = []string{"--disable-userns"}
		if err = b.try(); err == nil {
			break
		}
		b.extra = nil
		if err = b.try(); err == nil {
			b.logf("sandbox: user namespaces inside are forbidden by the filter alone")
			break
		}
	}
	if err == nil && b.pen == noPen {
		b.logf("sandbox: no process id namespace for bubblewrap itself: should this process be killed, a sandbox that is just being started may wait for ever")
	}
	return err
}

// try builds a sandbox up to the point where a program would start.
func (b *runner) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := &sandbox.Spec{Path: "/none", Args: []string{"none"}, Dir: "/", Out: "/.crosscc"}
	_, err := b.cell(ctx, func(error) {}, s, s.Limits.OrDefaults(), nil, false)
	if errors.Is(err, errNotReleased) {
		return nil
	}
	return err
}

func (b *runner) run(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	l := s.Limits.OrDefaults()
	binds, err := b.closures.Of(s.Programs, s.Root)
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: "programs to show", Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.Wall, sandbox.Failf(sandbox.WallTime, "not done after %s", l.Wall))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	return b.cell(ctx, stop, s, l, binds, true)
}

// errNotReleased is what a cell ends with that was only tried.
var errNotReleased = errors.New("sandbox: not released")

// cell takes one program from start to end; released says whether it is let go
// once everything is in place.
//
// The thread is kept because bubblewrap dies with the thread that started it
// (PR_SET_PDEATHSIG), not with the process.
func (b *runner) cell(ctx context.Context, overflow context.CancelCauseFunc, s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind, released bool) (*sandbox.Outcome, error) {
	words, err := b.words(s, l, binds)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	leaf, err := b.groups.Leaf(l)
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: "limits", Err: err}
	}
	if leaf != nil {
		defer b.forget(leaf)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := b.start(s, l, leaf, words, overflow)
	if err != nil {
		return nil, err
	}
	defer c.close()
	err = c.hold(ctx, s, l)
	if err == nil && !released {
		err = errNotReleased
	}
	if err != nil {
		return nil, b.giveUp(c, err)
	}
	// Nobody kills before there is a filter to die under, and nobody misses a
	// cancellation: AfterFunc runs at once when it is already there.
	halt := context.AfterFunc(ctx, c.kill)
	defer halt()
	if err := c.release(b.filter); err != nil {
		c.kill()
	}
	o, err := c.wait().Outcome(ctx, s, l, func() error { return b.closures.Stale(s.Programs, s.Root) })
	b.explain(err, words)
	return o, err
}

// forget removes a leaf. One that stays is removed when the helper starts again.
func (b *runner) forget(leaf *cgroup.Leaf) {
	if err := leaf.Close(); err != nil {
		b.logf("sandbox: %v", err)
	}
}

// giveUp ends a cell that was not released.
func (b *runner) giveUp(c *cell, why error) error {
	c.shut()
	if c.child != nil {
		c.kill()
	}
	// Only where bubblewrap itself hangs; what it has started dies with the gate.
	timer := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	e := c.wait()
	if errors.Is(why, errNoChild) {
		b.explain(why, c.cmd.Args[1:])
		return &sandbox.Failure{Kind: sandbox.Setup, Detail: sandbox.FirstLine(e.Stderr), Err: why}
	}
	return why
}

// explain logs a set-up that failed as a line to paste into a shell.
func (b *runner) explain(err error, words []string) {
	f, ok := errors.AsType[*sandbox.Failure](err)
	if !errors.Is(err, errNoChild) && (!ok || f.Kind != sandbox.Setup) {
		return
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	b.logf("sandbox: %v; it was: %s %s", err, b.program, strings.Join(quoted, " "))
}

// words is the whole command line of bubblewrap, without argv[0].
func (b *runner) words(s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) ([]string, error) {
	words := []string{
		"--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
		"--uid", "65534", "--gid", "65534", "--hostname", "crosscc", "--cap-drop", "ALL",
		"--new-session", "--die-with-parent", "--as-pid-1",
		"--json-status-fd", "3", "--block-fd", "4", "--seccomp", "5", "--clearenv",
	}
	words = append(words, b.extra...)
	for _, kv := range s.Env {
		k, v, _ := strings.Cut(kv, "=")
		words = append(words, "--setenv", k, v)
	}
	root, err := view.Of(s, binds, l)
	if err != nil {
		return nil, err
	}
	return append(words, root...), nil
}
