package rendezvous

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/broker/local"
)

const (
	// startWait bounds the wait for an agent that is starting.
	startWait = 10 * time.Second
	// maxStarts bounds how often one wrapper starts an agent: one that is
	// being replaced may hold its lock for a moment, and the new one gives up.
	maxStarts = 3
)

// Connect dials the agent and starts it when there is none. However many
// wrappers do so at once, one starts it; the others wait for the same socket.
// executable is the path of the running program, links resolved ("" has it
// asked for when needed): crossccd is looked for beside it, then on PATH. Every
// wait is bounded, 10 s in all.
func Connect(d Dirs, environ []string, executable string) (*local.Conn, error) {
	conn, err := d.heed()
	if !errors.Is(err, ErrNoAgent) {
		return conn, err
	}
	program, err := agentProgram(environ, executable)
	if err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(d.Socket)); err != nil {
		return nil, err
	}
	s := &starter{dirs: d, program: program, environ: environ, deadline: time.Now().Add(startWait)}
	return s.start()
}

// agentProgram finds crossccd. Relative entries of PATH are passed over: what
// a source tree holds is not for us to start.
func agentProgram(environ []string, executable string) (string, error) {
	if executable == "" {
		executable, _ = os.Executable() // fails without /proc
	}
	dirs := append([]string{filepath.Dir(executable)}, filepath.SplitList(local.Getenv(environ, "PATH"))...)
	for _, dir := range dirs {
		name := filepath.Join(dir, "crossccd")
		if filepath.IsAbs(name) && Executable(name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("crossccd is neither beside %s nor on PATH", executable)
}

// Executable tells whether name is a regular file that this user may run.
func Executable(name string) bool {
	var st syscall.Stat_t
	return syscall.Stat(name, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFREG && syscall.Access(name, 1) == nil
}

type starter struct {
	dirs     Dirs
	program  string
	environ  []string
	deadline time.Time
	wait     pause
}

func (s *starter) start() (*local.Conn, error) {
	held, conn, err := s.turn()
	if held == nil {
		return conn, err
	}
	defer held.Close()
	// Whoever held the lock before has started it, or has met its end.
	conn, err = s.dirs.heed()
	if !errors.Is(err, ErrNoAgent) {
		return conn, err
	}
	for range maxStarts {
		if conn, err = s.once(); err == nil || time.Now().After(s.deadline) {
			break
		}
		s.wait.sleep()
	}
	if err != nil {
		s.dirs.MarkFailed(err)
	}
	return conn, err
}

// turn waits for the starters' lock, or for an agent that another one started.
func (s *starter) turn() (held *os.File, conn *local.Conn, err error) {
	for {
		held, ok, err := lock(s.dirs.Socket + ".start")
		if ok || err != nil {
			return held, nil, err
		}
		if time.Now().After(s.deadline) {
			return nil, nil, errors.New("another process has been starting the agent for " + startWait.String())
		}
		s.wait.sleep()
		if conn, err := s.dirs.heed(); !errors.Is(err, ErrNoAgent) {
			return nil, conn, err
		}
	}
}

// once starts the agent and waits until it answers, ends, or time is up.
func (s *starter) once() (*local.Conn, error) {
	ended, err := s.spawn()
	if err != nil {
		return nil, err
	}
	for time.Now().Before(s.deadline) {
		conn, err := Dial(s.dirs.Socket)
		if !errors.Is(err, ErrNoAgent) {
			return conn, err
		}
		select {
		case status := <-ended:
			return nil, fmt.Errorf("%s ended at once with %s; see %s", s.program, describe(status), s.dirs.Log())
		default:
			s.wait.sleep()
		}
	}
	return nil, fmt.Errorf("%s does not answer after %v; see %s", s.program, startWait, s.dirs.Log())
}

// spawn starts the agent in a session of its own with /dev/null and its log for
// all its descriptors: a jobserver's pipe or a terminal that it held open would
// keep make or ssh waiting for as long as it lives.
func (s *starter) spawn() (ended <-chan syscall.WaitStatus, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	out := null
	if log, err := s.openLog(); err == nil { // a full disk or a read-only home: no log
		defer log.Close()
		out = log
	}
	restore := local.HideInherited()
	defer restore()
	var pid int
	slackly(func() {
		pid, _, err = syscall.StartProcess(s.program, []string{s.program, "agent", "--socket", s.dirs.Socket}, &syscall.ProcAttr{
			Dir:   "/",
			Env:   agentEnviron(s.environ, s.dirs),
			Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
			Sys:   &syscall.SysProcAttr{Setsid: true},
		})
	})
	if err != nil {
		return nil, &os.PathError{Op: "start", Path: s.program, Err: err}
	}
	status := make(chan syscall.WaitStatus, 1)
	go func() { status <- waitFor(pid) }()
	return status, nil
}

// maxLog is the size from which on an agent begins a new log. The one before it stays, and
// no other.
const maxLog = 16 << 20

func (s *starter) openLog() (*os.File, error) {
	if err := os.MkdirAll(s.dirs.State, 0o700); err != nil {
		return nil, err
	}
	if st, err := os.Lstat(s.dirs.Log()); err == nil && st.Size() > maxLog {
		_ = os.Rename(s.dirs.Log(), s.dirs.Log()+".old") // else it grows on
	}
	return os.OpenFile(s.dirs.Log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
}

// agentEnviron is the agent's own environment: who it is and where its state
// lies. TMPDIR is left out, for a build's goes away with the build.
func agentEnviron(environ []string, d Dirs) []string {
	list := []string{"CROSSCC_SOCKET=" + d.Socket, "CROSSCC_DIR=" + d.State}
	for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK"} {
		if v := local.Getenv(environ, name); v != "" {
			list = append(list, name+"="+v)
		}
	}
	return list
}

// waitFor reaps pid.
func waitFor(pid int) syscall.WaitStatus {
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			return status
		}
	}
}

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return "signal " + s.Signal().String()
	}
	return fmt.Sprintf("status %d", s.ExitStatus())
}
