package sandbox

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
)

// An ending is all that is known about a program that is gone.
type ending struct {
	started        bool // the program itself ran, not only the sandbox
	code           int
	signal         syscall.Signal // what killed it, or 0
	stdout, stderr []byte
	usage          Usage
	events         cgroup.Events // of its group, if it had one
	out, tmp       *os.File      // directories it could write to, or nil
}

// outcome judges an ending: what came from outside first (the caller, a limit
// that we watch), then whether it ran at all, then what ended it, then whether
// a non-zero exit is the program's own word. stale says whether the programs
// that were shown are still the same files.
func (e *ending) outcome(ctx context.Context, s *Spec, l Limits, stale func() error) (*Outcome, error) {
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case !e.started:
		return nil, failf(Setup, "%s", firstLine(e.stderr))
	case e.signal != 0:
		return nil, e.killed(l)
	}
	o := &Outcome{ExitCode: e.code, Stdout: e.stdout, Stderr: e.stderr, Usage: e.usage}
	if e.code != 0 {
		if f := e.doubt(l, stale); f != nil {
			return nil, f
		}
	}
	if len(s.Outputs) > 0 {
		var err error
		if o.Outputs, err = take(e.out, s.Outputs, l, e.code == 0); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// killed says why a signal may have come.
func (e *ending) killed(l Limits) *Failure {
	name := unix.SignalName(e.signal)
	switch {
	case e.events.Killed > 0:
		return e.outOfMemory(l)
	case e.signal == unix.SIGXCPU, e.signal == unix.SIGKILL && e.usage.User+e.usage.System >= l.CPU:
		return failf(CPU, "%s after %s of CPU time", name, (e.usage.User + e.usage.System).Round(time.Millisecond))
	case e.signal == unix.SIGXFSZ:
		return failf(Disk, "a file grew over %d bytes", l.FileSize)
	case e.nearMemory(l):
		return failf(Memory, "%s with %d MiB in use", name, e.usage.MaxRSS>>20)
	case e.signal == unix.SIGABRT: // by itself; clang has said why
		if f := readSigns(e.stderr); f != nil {
			return f
		}
	case e.signal == unix.SIGSYS:
		return failf(Killed, "%s: a system call that the filter forbids", name)
	}
	return failf(Killed, "%s", name)
}

// outOfMemory tells what the kernel said of the whole group.
func (e *ending) outOfMemory(l Limits) *Failure {
	return failf(Memory, "the whole run came to %d MiB, or all runs to what this machine has for them; the kernel ended %d of its processes",
		l.Sum>>20, e.events.Killed)
}

// signalOf takes apart the exit code by which bubblewrap (as a shell) reports
// 128+n for signal n. No compiler ends with such a code by itself.
func signalOf(code int) syscall.Signal {
	if code > 128 && code <= 128+64 {
		return syscall.Signal(code - 128)
	}
	return 0
}

// usageOf reads what a reaped process and its descendants used. A process
// started from this one first counts this one's memory as its own peak, so a
// peak that is not above ours says nothing.
func usageOf(p *os.ProcessState, wall time.Duration) Usage {
	u := Usage{Wall: wall, User: p.UserTime(), System: p.SystemTime()}
	var own unix.Rusage
	if r, ok := p.SysUsage().(*syscall.Rusage); ok && unix.Getrusage(unix.RUSAGE_SELF, &own) == nil && r.Maxrss > own.Maxrss {
		u.MaxRSS = int64(r.Maxrss) << 10
	}
	return u
}
