// Package ending judges how a program ended: whether what it said is the program's
// own word about its input, or the machine's fault. Start with [Ending.Outcome].
package ending

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
)

// An Ending is all that is known about a program that is gone.
type Ending struct {
	Started        bool // the program itself ran, not only the sandbox; else Stderr says why not
	Code           int
	Signal         syscall.Signal // what killed it, or 0
	Stdout, Stderr []byte
	Usage          sandbox.Usage
	Events         cgroup.Events // of its group, if it had one
	Out, Tmp       *os.File      // directories it could write to, or nil
}

// Outcome judges an ending: what came from outside first (the caller, a limit
// that we watch), then whether it ran at all, then what ended it, then whether
// a non-zero exit is the program's own word. stale says whether the programs
// that were shown are still the same files.
func (e *Ending) Outcome(ctx context.Context, s *sandbox.Spec, l sandbox.Limits, stale func() error) (*sandbox.Outcome, error) {
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case !e.Started:
		return nil, sandbox.Failf(sandbox.Setup, "%s", sandbox.FirstLine(e.Stderr))
	case e.Signal != 0:
		return nil, e.killed(l)
	}
	o := &sandbox.Outcome{ExitCode: e.Code, Stdout: e.Stdout, Stderr: e.Stderr, Usage: e.Usage}
	if e.Code != 0 {
		if f := e.doubt(l, stale); f != nil {
			return nil, f
		}
	}
	if len(s.Outputs) > 0 {
		var err error
		if o.Outputs, err = take(e.Out, s.Outputs, l, e.Code == 0); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// killed says why a signal may have come.
func (e *Ending) killed(l sandbox.Limits) *sandbox.Failure {
	name := unix.SignalName(e.Signal)
	switch {
	case e.Events.Killed > 0:
		return e.outOfMemory(l)
	case e.Signal == unix.SIGXCPU, e.Signal == unix.SIGKILL && e.Usage.User+e.Usage.System >= l.CPU:
		return sandbox.Failf(sandbox.CPU, "%s after %s of CPU time", name, (e.Usage.User + e.Usage.System).Round(time.Millisecond))
	case e.Signal == unix.SIGXFSZ:
		return sandbox.Failf(sandbox.Disk, "a file grew over %d bytes", l.FileSize)
	case e.nearMemory(l):
		return sandbox.Failf(sandbox.Memory, "%s with %d MiB in use", name, e.Usage.MaxRSS>>20)
	case e.Signal == unix.SIGBUS && (full(e.Out) || full(e.Tmp)): // a mapped file could not grow
		return sandbox.Failf(sandbox.Disk, "%s: no room left for a file", name)
	case e.Signal == unix.SIGABRT: // by itself; clang has said why
		if f := readSigns(e.Stderr); f != nil {
			return f
		}
	case e.Signal == unix.SIGSYS:
		return sandbox.Failf(sandbox.Killed, "%s: a system call that the filter forbids", name)
	}
	return sandbox.Failf(sandbox.Killed, "%s", name)
}

// outOfMemory tells what the kernel said of the whole group.
func (e *Ending) outOfMemory(l sandbox.Limits) *sandbox.Failure {
	return sandbox.Failf(sandbox.Memory, "the whole run came to %d MiB, or all runs to what this machine has for them; the kernel ended %d of its processes",
		l.Sum>>20, e.Events.Killed)
}

// SignalOf takes apart the exit code by which bubblewrap (as a shell) reports
// 128+n for signal n. No compiler ends with such a code by itself.
func SignalOf(code int) syscall.Signal {
	if code > 128 && code <= 128+64 {
		return syscall.Signal(code - 128)
	}
	return 0
}
