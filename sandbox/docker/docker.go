// Package docker is the Runner through a Docker Engine, for hosts where that is
// policy. Start with [New]; container.go tells one container's life, and stage.go how
// a job's files get there.
package docker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/docker/internal/engine"
	"github.com/crosscc/crosscc/sandbox/internal/graft"
	"github.com/crosscc/crosscc/sandbox/internal/process"
)

// Options tell the runner how to work on this host.
type Options struct {
	// Host is the Engine's address, unix:///PATH; "" means that of DOCKER_HOST, or
	// Docker's default.
	Host string
	// Dir is where the containers' files are, in a directory of the runner's own. ""
	// means one in os.TempDir.
	Dir string
	// Logf gets lines for the helper's log; nil means none.
	Logf func(format string, args ...any)
}

// A runner keeps containers warm, because one takes a third of a second to start:
// for each set of programs (and limits) there are some, each with one job at a time,
// and thrown away as soon as a job leaves anything behind or has to be ended from
// outside. See warm for one container's life, and pool for how many there are.
//
// A Brief Spec has its programs copied onto the stage instead: which compilers a
// machine has is asked of all of them in the same few containers.
type runner struct {
	engine interface {
		Start(context.Context, engine.Container) (id string, warnings []string, err error)
		Remove(ctx context.Context, id string) error
		RemoveAll(ctx context.Context, label string) error
		OutOfMemory(ctx context.Context, id string) bool
		Close() error
	}
	dir      string   // of this runner
	inside   string   // below dir: this program, for process 1
	command  []string // how it is started there
	closures sandbox.Closures
	logf     func(string, ...any)
	warned   sync.Map    // Engine's warnings that were logged
	looks    atomic.Bool // somebody will look for stale containers
	made     atomic.Int64
	pool     *pool
}

// New makes the Runner that has jobs run in containers of the Docker Engine on this
// machine. Its error says why that is not possible. Who calls it calls prove.Closed
// before the first job, and at the end close, which ends the containers and waits for
// running jobs.
//
// A user who may speak to an Engine may do whatever root may: that user's helper
// guards the Engine's door from its clients. The program's main must begin with
// prove.Main.
func New(ctx context.Context, o Options) (run sandbox.Runner, end func() error, err error) {
	d, err := newRunner(ctx, o)
	if err != nil {
		return nil, nil, fmt.Errorf("sandbox: %w", err)
	}
	return d.run, d.close, nil
}

func newRunner(ctx context.Context, o Options) (d *runner, err error) {
	if err := process.KeepDescriptors(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	e, err := engine.Open(ctx, o.Host)
	if err != nil {
		return nil, err
	}
	d = &runner{engine: e, logf: o.Logf, pool: newPool()}
	if d.logf == nil {
		d.logf = func(string, ...any) {}
	}
	d.closures.List = sandbox.Lister(d.run)
	if err := d.open(ctx, e, o.Dir); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// openTime bounds what the Engine does before the first job: to answer, to import an
// empty image and to remove what an earlier helper has left.
const openTime = 2 * time.Minute

// open prepares the Engine and the runner's directory.
func (d *runner) open(ctx context.Context, e *engine.Engine, dir string) error {
	if err := e.Prepare(ctx); err != nil {
		return err
	}
	if err := d.home(dir); err != nil {
		return fmt.Errorf("directory for containers: %w", err)
	}
	// Those of a helper that was killed: no other has this directory.
	return e.RemoveAll(ctx, d.dir)
}

// home makes the runner's directory, with what process 1 of a container is in it.
func (d *runner) home(dir string) (err error) {
	if dir == "" {
		if d.dir, err = os.MkdirTemp("", "crosscc-docker-"); err != nil {
			return err
		}
	} else {
		d.dir = filepath.Join(dir, "docker")
		if err := errors.Join(os.RemoveAll(d.dir), os.MkdirAll(d.dir, 0o700)); err != nil {
			return err
		}
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	d.inside = filepath.Join(d.dir, "inside")
	if err := graft.Dir(d.inside); err != nil {
		return err
	}
	d.command, err = copyProgram(d.inside)
	return err
}

// copyProgram puts this program into dir, with its libraries when it has any, and
// returns how it is started below insideDir. It is a copy because the file
// that we were started from may be replaced, and closed to others.
func copyProgram(dir string) (command []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	binds, err := sandbox.Closure([]string{self}, "/", nil)
	if err != nil {
		return nil, err
	}
	base := map[string]string{} // of libraries and loader, by name
	for _, b := range binds {
		if b.Source != "" && b.Dest != self {
			base[path.Base(b.Dest)] = b.Source
		}
	}
	base["crosscc"] = "/proc/self/exe"
	for name, source := range base {
		if err := copyFile(source, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	program := path.Join(insideDir, "crosscc")
	for name := range base {
		if strings.HasPrefix(name, "ld-linux") || strings.HasPrefix(name, "ld-musl") || strings.HasPrefix(name, "ld64.so") || strings.HasPrefix(name, "ld.so") {
			return []string{path.Join(insideDir, name), "--library-path", insideDir, program}, nil
		}
	}
	return []string{program}, nil
}

func copyFile(source, target string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	return graft.File(target, 0o755, func(to *os.File) error {
		_, err := io.Copy(to, from)
		return err
	})
}

func (d *runner) run(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	l := s.Limits.OrDefaults()
	binds, err := d.closures.Of(s.Programs, s.Root)
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: "programs to show", Err: err}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	w, err := d.take(ctx, s, l, binds)
	if err != nil {
		return nil, err
	}
	defer d.pool.busy.Done()
	program, err := w.enter(s, l, binds)
	if err != nil {
		if clearing := w.stage.clear(); clearing != nil || !w.conn.Alive() {
			return nil, errors.Join(err, clearing, d.discard(w))
		}
		d.giveBack(w)
		return nil, err
	}
	return d.inContainer(ctx, w, s, l, program)
}

// inContainer runs one job in a container that is ready for it, and decides what
// becomes of the container.
func (d *runner) inContainer(ctx context.Context, w *warm, s *sandbox.Spec, l sandbox.Limits, program string) (*sandbox.Outcome, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.Wall, sandbox.Failf(sandbox.WallTime, "not done after %s", l.Wall))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// To end a job from outside is to end its container.
	killed := make(chan struct{})
	halt := context.AfterFunc(ctx, func() { defer close(killed); _ = w.conn.Cut() })
	e, left, err := w.job(ctx, s, l, program, stop)
	if !halt() {
		<-killed
		left = true
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.discard(w))
	}
	o, err := e.Outcome(ctx, s, l, func() error { return d.closures.Stale(s.Programs, s.Root) })
	if wiped := w.wipe(); left || wiped != nil {
		if wiped != nil {
			d.logf("sandbox: a container is thrown away: %v", wiped)
		}
		if gone := d.discard(w); gone != nil {
			d.logf("%v", gone)
		}
		return o, err
	}
	d.giveBack(w)
	return o, err
}

// take finds a container for s or makes one; its holder gives it back or
// discards it, and then tells the pool's busy.
func (d *runner) take(ctx context.Context, s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) (w *warm, err error) {
	key, shows, err := keyOf(s, l, binds)
	kind := ""
	if err == nil && brief(s, binds) {
		binds = nil
		kind, _, err = keyOf(s, l, nil)
		key = kind + key
	}
	if f, ok := errors.AsType[*sandbox.Failure](err); ok {
		return nil, f
	}
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: "programs to show", Err: err}
	}
	if err := d.pool.enter(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.pool.busy.Done()
		}
	}()
	for {
		if w, err = d.pool.take(ctx, key); w == nil || err != nil {
			break
		}
		if w.conn.Alive() {
			return w, nil
		}
		if err := d.discard(w); err != nil {
			d.logf("%v", err)
		}
	}
	if err != nil {
		return nil, err
	}
	if w = d.pool.dress(kind, key); w != nil && w.conn.Alive() {
		w.shows = shows
		return w, nil
	}
	if w != nil {
		if err := d.end(w); err != nil {
			d.logf("%v", err)
		}
	}
	began := time.Now()
	if w, err = d.newWarm(ctx, kind, key, s, l, binds); err != nil {
		d.pool.lost(key)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: "container", Err: err}
	}
	w.shows = shows
	d.pool.made(time.Since(began))
	if ctx.Err() != nil {
		d.giveBack(w)
		return nil, context.Cause(ctx)
	}
	return w, nil
}

// brief tells whether s may have copies of its programs. Those below a writable
// directory would have to be copied again for each run.
func brief(s *sandbox.Spec, binds []sandbox.Bind) bool {
	return s.Brief && !s.Whole && !slices.ContainsFunc(binds, func(b sandbox.Bind) bool {
		return strings.HasPrefix(b.Dest, "/tmp/") || s.Out != "" && strings.HasPrefix(b.Dest, s.Out+"/")
	})
}

// keyOf says which jobs can be in one container, one after the other: those with
// the same mounts. A file that changed is another mount. shows are the host's files that
// it has.
func keyOf(s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) (key string, shows []stamped, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d %d %d\n", s.Out, l.Temp, l.OutputSum, l.Sum, l.Processes)
	if s.Whole {
		words, err := fixedWords(s, l, binds)
		if err != nil {
			return "", nil, err
		}
		// An image's files never change, but all of it may go and come again by the same name.
		stamp, err := stampOf(s.Root)
		if err != nil {
			return "", nil, err
		}
		shows = append(shows, stamped{s.Root, stamp})
		fmt.Fprintf(h, "%q %s\n", words, stamp)
	}
	for _, b := range binds {
		stamp := ""
		if b.Source != "" {
			if stamp, err = stampOf(b.Source); err != nil {
				return "", nil, err
			}
			shows = append(shows, stamped{b.Source, stamp})
		}
		fmt.Fprintf(h, "%q %q %q %s\n", b.Dest, b.Source, b.Link, stamp)
	}
	return string(h.Sum(nil)), shows, nil
}

// giveBack keeps a container for the next job. Nobody waits for the one that has to go
// for it.
func (d *runner) giveBack(w *warm) {
	old := d.pool.free(w)
	d.lookLater()
	if old == nil {
		return
	}
	d.pool.busy.Go(func() {
		if err := d.end(old); err != nil {
			d.logf("%v", err)
		}
	})
}

// discard ends a container that was taken.
func (d *runner) discard(w *warm) error {
	defer d.pool.lost(w.key)
	return d.end(w)
}

func (d *runner) end(w *warm) error {
	if err := w.destroy(); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// warn logs a warning of the Engine's once.
func (d *runner) warn(line string) {
	if _, known := d.warned.LoadOrStore(line, true); !known {
		d.logf("sandbox: docker engine: %s", line)
	}
}

// close waits for running jobs and ends every container.
func (d *runner) close() error {
	var errs []error
	for _, w := range d.pool.close() {
		errs = append(errs, d.end(w))
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(append(errs, d.engine.Close())...)
}
