// Package dockerd starts a Docker Engine of a test's own: Debian's dockerd
// (package docker.io) with a directory, a socket and a control group that nobody
// else has, without a network. Start with [Start].
//
// The Engine is process 1 of a process and a mount namespace: when it is killed,
// whatever it started and mounted is gone with it.
package dockerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 30 * time.Second
)

// Env may name the address of an Engine that runs already (unix:///…): then
// [Start] hands it out, and starts and ends none. A test gives it to the tests
// that it runs as another user.
const Env = "CROSSCC_TEST_ENGINE"

// ErrNone is what Start returns where no Engine can run. It says why; a test
// logs it before it skips.
var ErrNone = errors.New("no Docker Engine can run here")

// A Daemon is a running Engine.
type Daemon struct {
	dir    string
	group  string // control group, below each controller's root
	cmd    *exec.Cmd
	ended  chan struct{}
	lent   string
	socket string
}

// Start starts an Engine. Errors that are [ErrNone] mean that this machine, or
// this user, can't run one.
func Start(ctx context.Context) (*Daemon, error) {
	if lent := os.Getenv(Env); lent != "" {
		return &Daemon{lent: lent, socket: strings.TrimPrefix(lent, "unix://")}, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: it wants root", ErrNone)
	}
	program, err := find("dockerd")
	if err != nil {
		return nil, fmt.Errorf("%w: %w (apt-get install docker.io)", ErrNone, err)
	}
	// Short, because a unix socket's name may have 108 bytes.
	dir, err := os.MkdirTemp("/tmp", "cc-docker-")
	if err != nil {
		return nil, err
	}
	d := &Daemon{dir: dir, group: filepath.Base(dir), socket: filepath.Join(dir, "s"), ended: make(chan struct{})}
	if err := d.start(ctx, program); err != nil {
		said := d.said()
		return nil, errors.Join(fmt.Errorf("%w: %w\n%s", ErrNone, err, said), d.Stop())
	}
	return d, nil
}

// path is where Debian has its programs: another version of them may come first
// on the user's PATH.
func path() []string { return []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} }

func find(name string) (string, error) {
	for _, dir := range path() {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no %s in %s", name, strings.Join(path(), ", "))
}

func (d *Daemon) start(ctx context.Context, program string) error {
	unshare, err := find("unshare")
	if err != nil {
		return err
	}
	settings := filepath.Join(d.dir, "daemon.json") // instead of the machine's
	if err := os.WriteFile(settings, []byte("{}\n"), 0o644); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.Command(unshare, "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", program,
		"--config-file", settings, "--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "--host", "unix://"+d.socket, "--cgroup-parent", d.group,
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none")
	d.cmd.Env = []string{"PATH=" + strings.Join(path(), ":"), "HOME=" + d.dir, "TMPDIR=/tmp"}
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = d.dir, log, log
	// Should the test be killed, so is the Engine. It is not in the terminal's
	// group: it has to outlive a Ctrl-C until Stop is called.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go d.live(started)
	if err := <-started; err != nil {
		return err
	}
	return d.await(ctx)
}

// live starts the Engine and reaps it, on one thread: the parent-death signal is
// that of the thread, which has to stay.
func (d *Daemon) live(started chan<- error) {
	defer close(d.ended)
	runtime.LockOSThread() // it ends with this goroutine
	err := d.cmd.Start()
	started <- err
	if err == nil {
		_ = d.cmd.Wait()
	}
}

// await returns when the Engine answers.
func (d *Daemon) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var last error
	for {
		if last = d.ping(ctx); last == nil {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("dockerd ended: %v", d.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("dockerd does not answer: %w", last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *Daemon) ping(ctx context.Context) error {
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
	if err != nil {
		return err
	}
	answer, err := c.Do(req)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", answer.Status)
	}
	return nil
}

// Host is the Engine's address, for DOCKER_HOST.
func (d *Daemon) Host() string { return "unix://" + d.socket }

// Lend lets the users of a group speak to the Engine. They may then do what root
// may: it is for a user that the test made up.
func (d *Daemon) Lend(gid int) error {
	return errors.Join(os.Chmod(d.dir, 0o711), os.Chown(d.socket, 0, gid), os.Chmod(d.socket, 0o660))
}

// said is the end of the Engine's log.
func (d *Daemon) said() string {
	b, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return string(b[max(0, len(b)-2000):])
}

// Stop ends the Engine with all that it runs, and removes its files. It may be called
// on a Daemon that did not start.
func (d *Daemon) Stop() error {
	if d.lent != "" {
		return nil
	}
	if d.cmd != nil && d.cmd.Process != nil {
		d.end()
	}
	err := os.RemoveAll(d.dir)
	return errors.Join(err, d.removeGroups())
}

// Crash ends the Engine and all that it runs by SIGKILL, and leaves its files. Again may
// follow.
func (d *Daemon) Crash() error {
	if d.cmd == nil {
		return errors.New("not an Engine of ours")
	}
	err := d.cmd.Process.Kill()
	<-d.ended
	return err
}

// Again starts an Engine that has crashed, with what it had.
func (d *Daemon) Again(ctx context.Context) error {
	program, err := find("dockerd")
	if err != nil {
		return err
	}
	// Numbers of processes, and sockets of those that are gone, as after a machine's end.
	if err := errors.Join(os.RemoveAll(filepath.Join(d.dir, "exec")), os.RemoveAll(filepath.Join(d.dir, "pid"))); err != nil {
		return err
	}
	d.ended = make(chan struct{})
	if err := d.start(ctx, program); err != nil {
		return fmt.Errorf("%w\n%s", err, d.said())
	}
	return nil
}

// end asks dockerd to end, so that it ends its containers in order, and kills the
// namespace when it does not.
func (d *Daemon) end() {
	unshare := d.cmd.Process.Pid
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", unshare, unshare)); err == nil {
		var pid int
		if _, err := fmt.Sscan(string(b), &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	select {
	case <-d.ended:
	case <-time.After(stopLimit):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
}

// removeGroups removes the control groups that the Engine made: for each
// controller, the containers' and then their parent.
func (d *Daemon) removeGroups() error {
	if d.group == "" {
		return nil // it never had one, and the patterns would be everybody's
	}
	var errs []error
	for _, pattern := range []string{"/sys/fs/cgroup/*/" + d.group, "/sys/fs/cgroup/" + d.group} {
		for _, deep := range []string{pattern + "/*", pattern} {
			dirs, err := filepath.Glob(deep)
			errs = append(errs, err)
			for _, dir := range dirs {
				if info, err := os.Stat(dir); err == nil && info.IsDir() {
					errs = append(errs, syscall.Rmdir(dir))
				}
			}
		}
	}
	return errors.Join(errs...)
}
