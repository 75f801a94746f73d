package local

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// child is the program that a Session runs for the agent, one at a time.
type child struct {
	mu      sync.Mutex // guards the fields below, and the pid against reuse
	pid     int        // 0 when none runs
	stopped bool       // by kill: none starts any more
}

var errBusy = errors.New("protocol error: run while another program runs")

// start begins the program of r and calls ended, in another goroutine, with how
// it ended.
func (c *child) start(r Run, files []*os.File, environ []string, ended func(Ran)) error {
	stdio, err := openStdio(r, files)
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		// The parent death signal belongs to the thread that forks, so the
		// same one waits, and lives for as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		pid, err := c.fork(r, stdio, environ)
		closeFiles(stdio)
		started <- err
		switch {
		case err == errBusy:
		case err != nil:
			ended(Ran{Err: err.Error()})
		default:
			ended(Ran{Status: int(c.wait(pid))})
		}
	}()
	if err := <-started; err == errBusy {
		return err
	}
	return nil
}

func (c *child) fork(r Run, stdio []*os.File, environ []string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pid != 0 || c.stopped {
		return 0, errBusy
	}
	attr := &syscall.ProcAttr{
		Env:   Setenv(environ, r.Env...),
		Files: []uintptr{stdio[0].Fd(), stdio[1].Fd(), stdio[2].Fd()},
		// A group of its own, so that kill reaches cc1 below the driver too.
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	pid, _, err := syscall.StartProcess(r.Path, r.Args, attr)
	if err != nil {
		return 0, &os.PathError{Op: "run", Path: r.Path, Err: err}
	}
	c.pid = pid
	return pid, nil
}

const (
	pPid   = 1         // P_PID
	exited = 4         // WEXITED
	noReap = 0x1000000 // WNOWAIT
)

// wait waits for the end first and reaps under the lock, so that kill never
// meets a pid that has gone to somebody else.
func (c *child) wait(pid int) syscall.WaitStatus {
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPid, uintptr(pid), 0, exited|noReap, 0, 0)
		if errno != syscall.EINTR {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid = 0
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &status, 0, nil) // it has ended: no wait
	return status
}

// kill ends the program with all of its group, and keeps others from starting.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.pid != 0 {
		_ = syscall.Kill(-c.pid, syscall.SIGKILL)
	}
}

// openStdio gives stdin, stdout and stderr of r, in files of our own.
func openStdio(r Run, files []*os.File) ([]*os.File, error) {
	if len(files) > 3 || r.Stdin && len(files) == 0 {
		return nil, errors.New("protocol error: run with a wrong number of descriptors")
	}
	if !r.Stdin {
		files = append([]*os.File{nil}, files...)
	}
	stdio := make([]*os.File, 3)
	for i := range stdio {
		f, err := openOne(files, i)
		if err != nil {
			closeFiles(stdio[:i])
			return nil, err
		}
		stdio[i] = f
	}
	return stdio, nil
}

func openOne(files []*os.File, i int) (*os.File, error) {
	if i >= len(files) || files[i] == nil {
		return os.OpenFile(os.DevNull, os.O_RDWR, 0)
	}
	fd, err := fcntl(int(files[i].Fd()), syscall.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	// Not blocking is a property of the pipe that both processes share; a
	// compiler would take EAGAIN for a full disk.
	if err := syscall.SetNonblock(fd, false); err != nil {
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "run"), nil
}

func isTerminal(fd int) bool {
	var t syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TCGETS, uintptr(unsafe.Pointer(&t)))
	return errno == 0
}

// columns is the width of a terminal; 0 for what is none or doesn't say.
func columns(fd int) int {
	var size struct{ rows, columns, x, y uint16 } // struct winsize
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0
	}
	return int(size.columns)
}
