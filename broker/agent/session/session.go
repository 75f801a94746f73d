// Package session is one wrapper as the agent sees it: what it asked for, its files
// below its root, its process as the place where programs run, and what its settings
// say. Start with Session.
package session

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

const (
	// MaxText bounds the preprocessed text of one source: the largest known
	// (machine-made) is a tenth of it.
	MaxText = 512 << 20
	// MaxWords bounds what a probe prints, and a source that is quoted.
	MaxWords = 16 << 20
	// runTime bounds one question to a program of the client's, and one run of its
	// preprocessor. Compiles and links have bounds of their own (RunPlaced).
	runTime = 5 * time.Minute
)

// A Session is one wrapper, from its request to its end, with its root as the
// place where files are and its process as the place where programs run.
type Session struct {
	*local.Client
	Files *rootfs.Root // as the wrapper sees them
	pid   int          // of the wrapper; 0 when it has none here

	set    *Settings // read once
	setErr error

	running chan struct{} // holds a token while the wrapper runs a program: one at a time
}

// Open makes a session of a wrapper that has said what it wants.
func Open(c *local.Client, pid int) (*Session, error) {
	fd, err := unix.FcntlInt(c.Root.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("root of the wrapper: %w", err)
	}
	return &Session{Client: c, Files: rootfs.FromFD(fd), pid: pid, running: make(chan struct{}, 1)}, nil
}

// End lets go of the wrapper. A program that runs there for the agent is killed.
func (s *Session) End() {
	s.Close()
	_ = s.Files.Close() // it was only read from
}

// Getenv is a variable of the wrapper's environment, "" when it has none.
func (s *Session) Getenv(key string) string { return local.Getenv(s.Request.Env, key) }

// IsSet reports whether the wrapper's environment has the variable, an empty one
// too.
func (s *Session) IsSet(key string) bool {
	return slices.ContainsFunc(s.Request.Env, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
}

// FileLimit is the largest file that a program of the wrapper's may write (ulimit -f).
// One that can't be asked has none.
func (s *Session) FileLimit() uint64 {
	var limit unix.Rlimit
	if s.pid == 0 || unix.Prlimit(s.pid, unix.RLIMIT_FSIZE, nil, &limit) != nil {
		return unix.RLIM_INFINITY
	}
	return limit.Cur
}

// Gone is the cause of the session's end, or nil while the wrapper waits.
func (s *Session) Gone() error { return context.Cause(s.Context()) }

// Abs is the absolute form of a name that the build used. It is not made clean:
// what `..` leads to behind a link is the file system's to say.
func (s *Session) Abs(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return s.Request.Dir + "/" + name
}

// Ask has the wrapper run a program of the client's. It is the run function
// of every probe of a client's compiler.
func (s *Session) Ask(ctx context.Context, p drivers.Program) (drivers.Output, error) {
	return s.RunAs(ctx, p.Path, p, MaxWords)
}

// RunAs is Ask with an argv[0] and a bound on what is printed.
func (s *Session) RunAs(ctx context.Context, argv0 string, p drivers.Program, limit int64) (drivers.Output, error) {
	return s.runNext(ctx, func() (drivers.Output, error) {
		return s.runBounded(ctx, runTime, argv0, p, limit)
	})
}

// RunPlaced is RunAs in a place of the machine's, for a compile or a link. The place is
// waited for when the wrapper has nothing else to run, so that nobody holds one who can't
// use it, and given back when the program has ended. It may run as long as bound says, from
// then on; 0 is as long as ctx lasts.
func (s *Session) RunPlaced(ctx context.Context, of *slots.Slots, bound time.Duration, argv0 string, p drivers.Program, limit int64) (drivers.Output, error) {
	return s.runNext(ctx, func() (drivers.Output, error) {
		release, err := s.Place(ctx, of)
		if err != nil {
			return drivers.Output{}, err
		}
		defer release()
		if bound == 0 {
			return s.run(ctx, argv0, p, limit)
		}
		return s.runBounded(ctx, bound, argv0, p, limit)
	})
}

// runNext runs when the wrapper runs no other program. The wait is no part of what a program
// may take: the one before may be a compile.
func (s *Session) runNext(ctx context.Context, run func() (drivers.Output, error)) (drivers.Output, error) {
	select {
	case s.running <- struct{}{}:
	case <-ctx.Done():
		return drivers.Output{}, context.Cause(ctx)
	case <-s.Context().Done():
		return drivers.Output{}, s.Gone()
	}
	defer func() { <-s.running }()
	return run()
}

// runBounded is run for a time.
func (s *Session) runBounded(ctx context.Context, bound time.Duration, argv0 string, p drivers.Program, limit int64) (drivers.Output, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("it was not done after %s", bound))
	defer cancel()
	return s.run(ctx, argv0, p, limit)
}

// run has the wrapper run a program, for as long as ctx lasts. s.running is held.
func (s *Session) run(ctx context.Context, argv0 string, p drivers.Program, limit int64) (_ drivers.Output, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("run %s: %w", p.Path, err)
		}
	}()
	stdin, err := fileWith(p.Stdin)
	if err != nil {
		return drivers.Output{}, err
	}
	out, err := newSink(limit)
	if err != nil {
		return drivers.Output{}, err
	}
	errs, err := newSink(MaxWords)
	if err != nil {
		out.w.Close()
		return drivers.Output{}, err
	}
	r := local.Run{Path: p.Path, Args: append([]string{argv0}, p.Args...), Env: p.Env}
	ran, err := s.Run(ctx, r, stdin, out.w, errs.w)
	if err != nil {
		return drivers.Output{}, err // the sinks end with the wrapper
	}
	stdout, oerr := out.wait(ctx)
	stderr, eerr := errs.wait(ctx)
	status, serr := exitOf(ran)
	if err := errors.Join(oerr, eerr, serr); err != nil {
		return drivers.Output{}, err
	}
	return drivers.Output{Stdout: stdout, Stderr: stderr, Status: status}, nil
}

// Place waits for a place for a compile that the agent has this wrapper run. A wrapper
// below another one needs none: that one may hold the last, for as long as this one
// runs.
func (s *Session) Place(ctx context.Context, of *slots.Slots) (release func(), err error) {
	if s.Request.Nested {
		return func() {}, nil
	}
	return of.Acquire(ctx)
}

// exitOf is the exit status of a program that the wrapper ran. One that could
// not be started or died of a signal said nothing.
func exitOf(r local.Ran) (int, error) {
	if r.Err != "" {
		return 0, errors.New(r.Err)
	}
	ws := unix.WaitStatus(r.Status)
	if !ws.Exited() {
		return 0, fmt.Errorf("it was killed by %v", ws.Signal())
	}
	return ws.ExitStatus(), nil
}
