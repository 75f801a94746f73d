package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/docker/internal/engine"
	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
	"github.com/crosscc/crosscc/sandbox/internal/ending"
	"github.com/crosscc/crosscc/sandbox/internal/graft"
	"github.com/crosscc/crosscc/sandbox/internal/inner"
	"github.com/crosscc/crosscc/sandbox/internal/process"
)

// Places in a container, which jobs don't see: they have the stage as their root.
const (
	insideDir = "/inside" // this program
	rootDir   = "/root"   // the stage
	lateDir   = "/late"   // what process 1 copies into the writable directories
	socketDir = "/socket" // where process 1 calls us
)

// Each container's jobs have a uid of their own: what one of them is allowed
// (RLIMIT_NPROC) counts for a uid on the whole machine. These are nobody's: above
// what systemd gives out, below 65534.
const (
	firstUID = 65520
	manyUIDs = 14
)

// slack is what a container may have of processes and threads beside a job's:
// process 1 and the shim.
const slack = 32

// A warm is a container that waits for jobs or has one. Its life:
//
//  1. newWarm: the stage is laid out on the host, and the Engine starts a container
//     with the stage as its /root and this program as process 1. That calls a
//     socket of ours: so the Engine is on this machine and sees our files.
//  2. job: the tree goes on the stage, process 1 starts the shim with the job's
//     streams, and the shim becomes the program: chroot, uid, no capabilities,
//     limits, filter. When the program has ended, process 1 ends what it left.
//  3. wipe: the job's files are removed, on the stage by us, in the writable
//     directories by process 1. Where anything was left behind the container has
//     had its last job.
//  4. destroy: the wire is cut, on which process 1 ends, and the Engine is asked
//     for what it knows: when it says so there is nothing left.
//
// Should this process be killed, the wire is cut as well.
type warm struct {
	d     *runner
	kind  string // which keys it may have by a change of what is on its stage; "" for this one only
	key   string // which jobs it is for
	id    string
	dir   string // on the host: the stage and the socket
	uid   int
	shows []stamped // of the host, besides the tree
	stage *stage
	conn  *inner.Conn
}

// newWarm makes a container for jobs like s. Nothing is left of one that fails. It is
// made to its end even when ctx ends: an Engine that is left alone in the middle may
// make a container that nobody knows.
func (d *runner) newWarm(ctx context.Context, kind, key string, s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) (w *warm, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	w = &warm{d: d, kind: kind, key: key, uid: firstUID + int(d.made.Add(1)%manyUIDs)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.destroy())
		}
	}()
	if w.dir, err = os.MkdirTemp(d.dir, "container-"); err != nil {
		return w, err
	}
	root, late, socket := filepath.Join(w.dir, "root"), filepath.Join(w.dir, "late"), filepath.Join(w.dir, "socket")
	if err := errors.Join(graft.Dir(root), graft.Dir(late), graft.Dir(socket)); err != nil {
		return w, err
	}
	var waits []string
	fixed, err := fixedWords(s, l, binds)
	if err != nil {
		return w, err
	}
	if w.stage, waits, err = newStage(root, late, fixed); err != nil {
		return w, err
	}
	calls, err := listen(socket)
	if err != nil {
		return w, err
	}
	defer calls.Close()
	var warnings []string
	if w.id, warnings, err = d.engine.Start(ctx, w.describe(s, l, socket)); err != nil {
		return w, err
	}
	for _, line := range warnings {
		d.warn(line)
	}
	if err := calls.SetDeadline(time.Now().Add(callTime)); err != nil {
		return w, err
	}
	if w.conn, err = inner.Accept(calls); err != nil {
		return w, fmt.Errorf("a container was started, and its process 1 did not call: does the Docker Engine see this machine's files (is it on another one, or this program in a container)? %w", err)
	}
	return w, w.conn.Place(waits, true)
}

// patience bounds what the Engine does with one container.
const patience = 30 * time.Second

// callTime is how long process 1 may take to call once it was started.
const callTime = 20 * time.Second

// listen opens the socket that process 1 calls. The directory is closed to others
// on the host; in the container it is there for process 1 alone. Its name may be too
// long for a socket's address, so it goes by its descriptor.
func listen(dir string) (*net.UnixListener, error) {
	at, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	name := fmt.Sprintf("/proc/self/fd/%d/s", at.Fd())
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: name, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // by then the descriptor is another's; the directory goes as a whole
	return l, os.Chmod(filepath.Join(dir, "s"), 0o666)
}

func (w *warm) describe(s *sandbox.Spec, l sandbox.Limits, socket string) engine.Container {
	c := engine.Container{
		Words: inner.Setting{
			Command: w.d.command, Socket: path.Join(socketDir, "s"), Root: rootDir, Late: lateDir, Out: s.Out, UID: w.uid, GID: w.uid,
		}.Words(),
		Rights: []string{"SYS_CHROOT", "SETUID", "SETGID"},
		Binds:  map[string]string{insideDir: w.d.inside, rootDir: w.stage.dir, lateDir: w.stage.late, socketDir: socket},
		Tmpfs:  map[string]int64{},
		Label:  w.d.dir,
		Memory: l.Sum, Pids: int64(l.Processes) + slack, CPUs: 2,
	}
	for p, source := range w.stage.binds {
		c.Binds[path.Join(rootDir, p)] = source
	}
	for p, size := range w.stage.tmpfs {
		c.Tmpfs[path.Join(rootDir, p)] = size
	}
	return c
}

// enter puts a job's files on the stage, and a Brief one's programs unless they are
// there from the last; program is the name that it is to be called by.
func (w *warm) enter(s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) (program string, err error) {
	if w.kind != "" {
		if err := w.stage.dress(w.key, s, l, binds); err != nil {
			return "", &sandbox.Failure{Kind: sandbox.Setup, Detail: "programs to show", Err: err}
		}
	}
	program, waits, err := w.stage.enter(s, l, binds)
	if err == nil && len(waits) > 0 {
		if err = w.conn.Place(waits, false); err != nil {
			_ = w.conn.Cut() // who knows how far it came
			err = &sandbox.Failure{Kind: sandbox.Setup, Detail: "lay out the root", Err: err}
		}
	}
	return program, err
}

// job runs one program. left says that it left processes behind; ours that the
// container can't be used again for another reason.
func (w *warm) job(ctx context.Context, s *sandbox.Spec, l sandbox.Limits, program string, overflow func(error)) (e *ending.Ending, left bool, err error) {
	if err := w.begin(s, l); err != nil {
		return nil, true, &sandbox.Failure{Kind: sandbox.Setup, Detail: "outputs", Err: err}
	}
	st, err := process.OpenStreams(s, l, overflow)
	if err != nil {
		return nil, false, &sandbox.Failure{Kind: sandbox.Setup, Detail: "streams", Err: err}
	}
	began := time.Now()
	err = w.conn.Start(w.jobOf(s, l, program), st.Stdin, st.Stdout, st.Stderr)
	st.Given()
	defer st.Close()
	var end *inner.End
	if err == nil {
		end, err = w.conn.Wait()
	}
	if err != nil {
		return nil, true, w.ended(ctx, l, err)
	}
	e = &ending.Ending{Started: end.Error == "", Tmp: w.conn.Tmp}
	e.Stdout, e.Stderr = st.Wait()
	e.Events = cgroup.Events{Killed: end.Events.Killed, Unforked: end.Events.Unforked}
	if s.Out != "" {
		e.Out = w.conn.Out
	}
	if !e.Started {
		e.Stderr = []byte(end.Error)
	}
	ws := syscall.WaitStatus(end.Status)
	if e.Code = ws.ExitStatus(); ws.Signaled() {
		e.Signal = ws.Signal()
	}
	e.Usage = sandbox.Usage{Wall: time.Since(began), User: end.User, System: end.System, MaxRSS: end.MaxRSS}
	return e, end.Others, nil
}

// ended says why process 1 is gone in the middle of a job. Memory that files take stays
// taken when the kernel has ended the program, and then process 1 may be next.
func (w *warm) ended(ctx context.Context, l sandbox.Limits, err error) *sandbox.Failure {
	if ctx.Err() == nil && w.d.engine.OutOfMemory(ctx, w.id) {
		return sandbox.Failf(sandbox.Memory, "its container came to %d MiB, and ended", l.Sum>>20)
	}
	return sandbox.Failf(sandbox.Killed, "its container ended: %v", err)
}

func (w *warm) jobOf(s *sandbox.Spec, l sandbox.Limits, program string) *inner.Job {
	j := &inner.Job{
		Root: rootDir, Path: program, Args: append([]string{program}, s.Args[1:]...), Dir: s.Dir, UID: w.uid, GID: w.uid, Limits: process.Rlimits(l),
	}
	for _, kv := range s.Env {
		if len(kv) < 4 || kv[:4] != "PWD=" {
			j.Env = append(j.Env, kv)
		}
	}
	j.Env = append(j.Env, "PWD="+s.Dir)
	return j
}

// wipe makes the container as it was before its job.
func (w *warm) wipe() error { return errors.Join(w.stage.clear(), w.conn.Sweep()) }

// destroy ends the container and all that is inside, and returns when nothing is
// left of it. It may be called on half a container, and while a job runs.
func (w *warm) destroy() error {
	var errs []error
	if w.conn != nil {
		_ = w.conn.Close()
	}
	if w.id != "" {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		errs = append(errs, w.d.engine.Remove(ctx, w.id))
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
