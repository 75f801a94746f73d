package place

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/account"
	"github.com/crosscc/crosscc/e2e/bench/link"
)

const (
	// startLimit bounds a daemon's start: a helper of ours probes every compiler.
	startLimit = 90 * time.Second
	// StopLimit bounds how long a daemon may take to go once told to.
	StopLimit = 15 * time.Second
	// buildLimit bounds one build; the longest takes a minute on a quiet machine.
	buildLimit = 8 * time.Minute
)

// A Host is one of the two machines that a contender has: its processes are
// counted together and have a network of their own, where that can be.
type Host struct {
	Address string
	Group   *account.Group // its processes
	// Started, if not nil, is told of each program of Run's that has started.
	Started func(*exec.Cmd)

	dir   string      // its files; nobody else's name begins with it
	space *link.Space // nil: the machine's own network
	env   []string    // what every program of it gets
}

// newHost makes a host with a home of its own, so that no configuration of the
// user's reaches it.
func newHost(book *account.Book, name, dir string, space *link.Space, address string) (*Host, error) {
	h := &Host{dir: dir, space: space, Address: address}
	// Daemons that were started as root work as somebody else below it.
	for d, mode := range map[string]os.FileMode{"": 0o755, "home": 0o755, "tmp": 0o777 | os.ModeSticky, "run": 0o700} {
		if err := os.MkdirAll(h.File(d), 0o755); err != nil {
			return nil, err
		}
		if err := os.Chmod(h.File(d), mode); err != nil {
			return nil, err
		}
	}
	h.env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
		"HOME=" + h.File("home"), "TMPDIR=" + h.File("tmp"),
		"XDG_RUNTIME_DIR=" + h.File("run"), "XDG_CACHE_HOME=" + h.File("home/.cache"),
		"XDG_CONFIG_HOME=" + h.File("home/.config"), "XDG_STATE_HOME=" + h.File("home/.state"),
	}
	var err error
	h.Group, err = book.Group(name, dir)
	return h, err
}

// File is the path of a file of the host.
func (h *Host) File(name string) string { return filepath.Join(h.dir, name) }

// close ends what still runs on the host.
func (h *Host) close() error {
	n, err := h.Group.Close()
	if n > 0 {
		err = errors.Join(err, fmt.Errorf("%d processes were left below %s and were killed", n, h.dir))
	}
	return err
}

// command is a program on the host, not started.
func (h *Host) command(ctx context.Context, env []string, name string, args ...string) (*exec.Cmd, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = slices.Concat(h.env, env)
	cmd.Dir = h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to pass on
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = StopLimit
	var what string
	if h.space != nil {
		what, cmd.ExtraFiles = "n", append(cmd.ExtraFiles, h.space.File())
	}
	door, err := h.Group.Door()
	if err != nil {
		return nil, err
	}
	if door != nil {
		what, cmd.ExtraFiles = what+"g", append(cmd.ExtraFiles, door)
	}
	if what != "" {
		cmd.Path = "/proc/self/exe"
		cmd.Args = slices.Concat([]string{EnterName, what, program, name}, args)
	}
	return cmd, nil
}

// release closes what command opened for cmd; the child has it, or never will.
func (h *Host) release(cmd *exec.Cmd) {
	for _, f := range cmd.ExtraFiles {
		if h.space == nil || f != h.space.File() {
			f.Close()
		}
	}
}

// Run is a program that ends by itself; what it says comes with its error.
func (h *Host) Run(ctx context.Context, dir string, env []string, name string, args ...string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, buildLimit, fmt.Errorf("%s was not over after %v", name, buildLimit))
	defer cancel()
	cmd, err := h.command(ctx, env, name, args...)
	if err != nil {
		return 0, err
	}
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	begin := time.Now()
	err = cmd.Start()
	h.release(cmd)
	if err == nil {
		if h.Started != nil {
			h.Started(cmd)
		}
		err = cmd.Wait()
		h.Group.Ended(cmd.ProcessState)
	}
	took = time.Since(begin)
	switch {
	case ctx.Err() != nil:
		return took, context.Cause(ctx)
	case err != nil:
		return took, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, Tail(said.Bytes()))
	}
	return took, nil
}

// Output is a program on the host, counted with it, and what it says on stdout.
// It may leave daemons behind, which keep its stderr.
func (h *Host) Output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd, err := h.command(ctx, env, name, args...)
	if err != nil {
		return "", err
	}
	said, err := os.CreateTemp(h.File("tmp"), "")
	if err != nil {
		return "", err
	}
	defer said.Close()
	heard, err := os.CreateTemp(h.File("tmp"), "")
	if err != nil {
		return "", err
	}
	defer heard.Close()
	cmd.Stdout, cmd.Stderr = heard, said
	err = cmd.Start()
	h.release(cmd)
	if err == nil {
		err = cmd.Wait()
		h.Group.Ended(cmd.ProcessState)
	}
	text, rerr := readBack(heard)
	if err != nil {
		complaint, _ := readBack(said)
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, Tail([]byte(complaint)))
	}
	return text, rerr
}

func readBack(f *os.File) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	text, err := io.ReadAll(f)
	return string(text), err
}

// Ask is a program that is not part of what is measured: its answer's text.
func (h *Host) Ask(ctx context.Context, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = slices.Concat(h.env, env), h.dir
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			out = append(out, exit.Stderr...)
		}
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, Tail(out))
	}
	return string(out), nil
}

// Tail is the end of what a program said.
func Tail(text []byte) []byte { return text[max(0, len(text)-2000):] }

// A Daemon is a program of a host that runs until it is told to end.
type Daemon struct {
	host *Host
	name string
	log  string
	cmd  *exec.Cmd
}

// Start starts a daemon, which only Stop ends: it must be called.
func (h *Host) Start(env []string, name string, args ...string) (*Daemon, error) {
	cmd, err := h.command(context.Background(), env, name, args...)
	if err != nil {
		return nil, err
	}
	d := &Daemon{host: h, name: filepath.Base(name), cmd: cmd}
	d.log = h.File(d.name + ".out")
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	h.release(cmd)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Await polls until ready says so. It fails when the daemon ends before, or is
// not ready in time; then the daemon is stopped.
func (d *Daemon) Await(ctx context.Context, ready func() bool) error {
	err := Poll(ctx, startLimit, func() (bool, error) {
		if ready() {
			return true, nil
		}
		if d.ended() {
			return false, errors.New("it ended")
		}
		return false, nil
	})
	if err != nil {
		text, _ := os.ReadFile(d.log)
		return errors.Join(fmt.Errorf("start %s: %w\n%s", d.name, err, Tail(text)), d.Stop())
	}
	return nil
}

// ended reports whether the daemon's process is over, and leaves it unreaped.
func (d *Daemon) ended() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return true
	}
	rest := text[bytes.LastIndexByte(text, ')')+1:]
	return bytes.HasPrefix(bytes.TrimSpace(rest), []byte("Z"))
}

// Stop ends the daemon and its process group.
func (d *Daemon) Stop() error {
	pid := d.cmd.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGTERM)
	late := time.AfterFunc(StopLimit, func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	_ = d.cmd.Wait() // ended by a signal, as it should be
	d.host.Group.Ended(d.cmd.ProcessState)
	if !late.Stop() {
		return fmt.Errorf("%s did not end within %v and was killed", d.name, StopLimit)
	}
	// distccd leaves its children, without a word to them.
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	return Poll(context.Background(), StopLimit, func() (bool, error) { return syscall.Kill(-pid, 0) != nil, nil })
}

// Poll asks until f says yes or an error, or the time is over.
func Poll(ctx context.Context, limit time.Duration, f func() (bool, error)) error {
	for end := time.Now().Add(limit); ; {
		ok, err := f()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not ready after %v", limit)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// EndProcess ends a process of ours that is not our child.
func EndProcess(ctx context.Context, pid int) error {
	_ = syscall.Kill(pid, syscall.SIGTERM)
	return Poll(ctx, StopLimit, func() (bool, error) { return syscall.Kill(pid, 0) != nil, nil })
}
