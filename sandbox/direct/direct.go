// Package direct is the Runner without walls, for --sandbox=none. Start with [New].
package direct

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
	"github.com/crosscc/crosscc/sandbox/internal/ending"
	"github.com/crosscc/crosscc/sandbox/internal/process"
	"github.com/crosscc/crosscc/sandbox/internal/view"
)

// Options tell the runner how to work on this host.
type Options struct {
	// Dir is where a job's files are kept while it runs. It is made when absent. ""
	// means a directory of its own in os.TempDir.
	Dir string
	// UID and GID are what programs run as when the helper itself is root; 0
	// means nobody (65534). Otherwise they are not used.
	UID, GID int
	// Groups bound what one run takes as a whole, and find what leaves its process
	// group; nil means that nothing does. Who opened them closes them, behind the last
	// run.
	Groups *groups.Set
}

// New makes a Runner without walls: the program sees
// the host's files, network and processes. It keeps the rest of the contract as
// far as that can be done without namespaces: limits, outputs, judging the end,
// and killing the whole process group (one that leaves it only with Options.Groups).
//
// Names inside are turned into names on the host: where a word holds Spec.Out,
// one of Spec.Texts, or an entry of Spec.Tree, as the beginning of an absolute path, the host's
// directory stands in its place, so debug information may hold host names. Out
// and the temporary directory are plain directories: the sum of what is written
// is bounded only for what is taken.
func New(o Options) sandbox.Runner {
	o.Groups.Try()
	d := &runner{o.Dir, process.Nobody(o.UID, o.GID), o.Groups}
	return d.run
}

type runner struct {
	dir string
	who *syscall.Credential // nil: stay who we are

	groups *groups.Set
}

func (d *runner) run(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Foreign() {
		return nil, sandbox.Failf(sandbox.Setup, "programs of an image run in a sandbox only")
	}
	l := s.Limits.OrDefaults()
	job, err := d.newJob()
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: "job directory", Err: err}
	}
	defer job.remove()
	ctx, cancel := context.WithTimeoutCause(ctx, l.Wall, sandbox.Failf(sandbox.WallTime, "not done after %s", l.Wall))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	cmd, err := d.command(s, job)
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: s.Path, Err: err}
	}
	leaf, err := d.groups.Leaf(l)
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: "limits", Err: err}
	}
	e, err := runTraced(ctx, cmd, s, l, leaf, stop)
	if leaf != nil {
		err = errors.Join(err, leaf.Kill(), leaf.Close())
	}
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Setup, Detail: s.Path, Err: err}
	}
	e.Out, e.Tmp = job.out, job.tmp
	return e.Outcome(ctx, s, l, func() error { _, err := os.Stat(s.Path); return err })
}

// A jobDir is one run's place on disk.
type jobDir struct {
	dir      string
	out, tmp *os.File
}

func (d *runner) newJob() (j *jobDir, err error) {
	if d.dir != "" {
		if err := os.MkdirAll(d.dir, 0o711); err != nil {
			return nil, err
		}
	}
	j = &jobDir{}
	defer func() {
		if err != nil {
			j.remove()
		}
	}()
	if j.dir, err = os.MkdirTemp(d.dir, "crosscc-job-"); err != nil {
		return j, err
	}
	if err = os.Chmod(j.dir, 0o711); err != nil {
		return j, err
	}
	if j.out, err = d.writable(filepath.Join(j.dir, "out")); err != nil {
		return j, err
	}
	j.tmp, err = d.writable(filepath.Join(j.dir, "tmp"))
	return j, err
}

// writable makes a directory for the uid that the program gets.
func (d *runner) writable(p string) (*os.File, error) {
	if err := os.Mkdir(p, 0o700); err != nil {
		return nil, err
	}
	if c := d.who; c != nil {
		if err := os.Lchown(p, int(c.Uid), int(c.Gid)); err != nil {
			return nil, err
		}
	}
	return process.OpenDir("/", p)
}

// remove takes the directory away; outputs that are open stay readable.
func (j *jobDir) remove() {
	process.CloseAll([]*os.File{j.out, j.tmp})
	if j.dir == "" {
		return
	}
	// A program may have taken its own rights to a directory away.
	_ = filepath.WalkDir(j.dir, func(p string, e os.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(p, 0o700) //nolint:gosec // a directory of ours, not a link: WalkDir has looked
		}
		return nil
	})
	_ = os.RemoveAll(j.dir)
}

func (d *runner) command(s *sandbox.Spec, job *jobDir) (*exec.Cmd, error) {
	names, err := hostNames(s, filepath.Join(job.dir, "out"))
	if err != nil {
		return nil, err
	}
	for i, name := range view.Texts(s) {
		names[name] = filepath.Join(job.dir, "text"+strconv.Itoa(i))
		if err := os.WriteFile(names[name], []byte(s.Texts[name]), 0o444); err != nil { //nolint:gosec // another uid may be the one to read it
			return nil, err
		}
	}
	if err := process.Begin(s, job.out, s.Limits.OrDefaults()); err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: s.Path, Args: []string{s.Args[0]}, Dir: names.of(s.Dir)}
	for _, w := range s.Args[1:] {
		cmd.Args = append(cmd.Args, names.of(w))
	}
	cmd.Env = append([]string{"TMPDIR=" + filepath.Join(job.dir, "tmp")}, s.Env...)
	cmd.Env = append(cmd.Env, "PWD="+cmd.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: d.who, Ptrace: true}
	return cmd, nil
}

// names are places inside and the host's places for them.
type names map[string]string

func hostNames(s *sandbox.Spec, out string) (names, error) {
	n := names{}
	if s.Tree != "" {
		entries, err := os.ReadDir(s.Tree)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			n["/"+e.Name()] = filepath.Join(s.Tree, e.Name())
		}
	}
	if s.Out != "" {
		n[s.Out] = out
	}
	return n, nil
}

// of replaces the first absolute path in a word (-o/x/y, -I/x, K=/x/y) when it
// lies in a known place.
func (n names) of(word string) string {
	i := strings.IndexByte(word, '/')
	if i < 0 {
		return word
	}
	best := ""
	for inside, outside := range n {
		rest, ok := strings.CutPrefix(word[i:], inside)
		_, err := os.Lstat(filepath.Dir(outside + rest))
		if ok && err == nil && (rest == "" || rest[0] == '/') && len(inside) > len(best) {
			best = inside
		}
	}
	return word[:i] + n[best] + word[i+len(best):]
}

// runTraced starts cmd stopped at its first instruction (PTRACE_TRACEME), puts
// the limits on it, and lets it go: it never runs without them. Tracing belongs
// to a thread, so the thread is kept.
func runTraced(ctx context.Context, cmd *exec.Cmd, s *sandbox.Spec, l sandbox.Limits, leaf *cgroup.Leaf, overflow func(error)) (*ending.Ending, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	st, err := process.OpenStreams(s, l, overflow)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = st.Stdin, st.Stdout, st.Stderr
	start := cmd.Start
	if leaf != nil {
		start = func() error { return leaf.Start(cmd) }
	}
	err = start()
	st.Given()
	if err != nil {
		return nil, err
	}
	kill := func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	halt := context.AfterFunc(ctx, kill)
	if err := process.As(cmd.SysProcAttr.Credential, func() error { return letGo(cmd.Process.Pid, l) }); err != nil {
		kill()
		_ = cmd.Wait()
		return nil, err
	}
	// The leader is not reaped before its group is killed: until then the number
	// can't become another group's.
	err = waitEnd(cmd.Process.Pid)
	halt()
	kill()
	_ = cmd.Wait()
	e := &ending.Ending{Started: true, Code: cmd.ProcessState.ExitCode()}
	if leaf != nil { // or one that left its process group keeps the streams open
		e.Events = leaf.Events()
		err = errors.Join(err, leaf.Kill())
	}
	var ok bool
	if e.Stdout, e.Stderr, ok = st.WaitFor(grace); !ok {
		err = errors.Join(err, errors.New("a process of it lives on, and has its streams"))
	}
	e.Usage = process.UsageOf(cmd.ProcessState, time.Since(began))
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = ws.Signal()
	}
	return e, err
}

// grace is how long the kernel may take to end what was killed.
const grace = 5 * time.Second

// letGo waits for the stop at exec, sets the limits and detaches.
func letGo(pid int, l sandbox.Limits) error {
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || !ws.Stopped() {
		return fmt.Errorf("wait for the program's start: status %#x: %v", ws, err)
	}
	if err := process.Limit(pid, l); err != nil {
		return err
	}
	return unix.PtraceDetach(pid)
}

// waitEnd waits until pid has ended, and leaves it to be reaped.
func waitEnd(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}
