package bubblewrap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
	"github.com/crosscc/crosscc/sandbox/internal/ending"
	"github.com/crosscc/crosscc/sandbox/internal/process"
	"github.com/crosscc/crosscc/sandbox/internal/view"
)

// A cell is one bubblewrap in flight. Its life:
//
//  1. start: bubblewrap forks a child that lays out the root. The child's last
//     steps before it becomes the program are to read and close --block-fd and
//     then to read the filter from --seccomp to its end.
//  2. hold: the end of "ready" (--block-fd) says that the child stands before
//     the filter: root, namespaces and uid are final, nothing of the program
//     has run. Now the limits are set on it, and its writable directories are
//     opened through /proc/PID/root: these descriptors keep the memory behind
//     them alive, so outputs need no directory on the host and leave none.
//  3. release: the filter is written into "gate". Should this process die
//     before, the child reads an empty filter, which the kernel refuses: it
//     never becomes the program (fail closed). Whatever is there at that moment
//     ends with bubblewrap (see pen).
//  4. wait: the program is process 1 of its namespace, so when it ends, or is
//     killed through its descriptor, all others end with it, before bubblewrap
//     sees it. "status" says whether the program was really started, and its
//     exit code; without that line bubblewrap's own words are on stderr.
type cell struct {
	cmd    *exec.Cmd
	pen    pen
	ready  *os.File      // our end of a socket; ends when the child is held
	gate   *os.File      // takes the filter
	status *json.Decoder // bubblewrap's reports
	files  []*os.File    // closed by close
	began  time.Time

	streams  *process.Streams
	leaf     *cgroup.Leaf // or nil
	child    *os.Process  // process 1 inside; nil until held
	out, tmp *os.File     // writable directories inside
}

// start runs bubblewrap with its descriptors 3, 4 and 5 as status, ready and gate,
// and the texts of s behind them.
func (b *runner) start(s *sandbox.Spec, l sandbox.Limits, leaf *cgroup.Leaf, words []string, overflow func(error)) (c *cell, err error) {
	c = &cell{began: time.Now(), pen: b.pen, leaf: leaf}
	defer func() {
		if err != nil {
			c.close()
			err = &sandbox.Failure{Kind: sandbox.Setup, Detail: "start " + b.program, Err: err}
		}
	}()
	theirs, err := c.descriptors()
	defer func() { process.CloseAll(theirs) }()
	if err != nil {
		return c, err
	}
	c.cmd = exec.Command(b.program, words...)
	c.cmd.Dir, c.cmd.Env = "/", []string{}
	for _, name := range view.Texts(s) {
		f, err := process.TextFile(s.Texts[name])
		if err != nil {
			return c, err
		}
		theirs = append(theirs, f)
	}
	c.cmd.ExtraFiles = theirs
	c.cmd.SysProcAttr = b.pen.attributes(b.credential)
	if c.streams, err = process.OpenStreams(s, l, overflow); err != nil {
		return c, err
	}
	defer c.streams.Given()
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.streams.Stdin, c.streams.Stdout, c.streams.Stderr
	if leaf != nil {
		return c, leaf.Start(c.cmd)
	}
	return c, c.cmd.Start()
}

// descriptors makes the three lines to bubblewrap and returns its ends.
func (c *cell) descriptors() (theirs []*os.File, err error) {
	statusR, statusW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, statusW)
	c.status = json.NewDecoder(io.LimitReader(statusR, 1<<16))
	c.files = append(c.files, statusR)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return theirs, err
	}
	theirs = append(theirs, os.NewFile(uintptr(pair[1]), "ready"))
	// It blocks: this thread has nothing else to do, and is woken soonest so.
	c.ready = os.NewFile(uintptr(pair[0]), "ready")
	c.files = append(c.files, c.ready)
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return theirs, err
	}
	if _, err := c.ready.Write([]byte{1}); err != nil {
		return theirs, err
	}
	gateR, gateW, err := os.Pipe()
	if err != nil {
		return theirs, err
	}
	c.gate = gateW
	c.files = append(c.files, gateW)
	return append(theirs, gateR), nil
}

// patience bounds what bubblewrap does by itself: a few milliseconds of mounts,
// more on a machine that is very busy.
const patience = 30 * time.Second

// hold waits for the child to stand before its gate, and prepares it.
func (c *cell) hold(ctx context.Context, s *sandbox.Spec, l sandbox.Limits) error {
	err := c.awaitReady(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, unix.EAGAIN) {
		return sandbox.Failf(sandbox.Setup, "bubblewrap did not come to an end in %s", patience)
	}
	if err := c.adopt(); err != nil {
		return err
	}
	return process.As(c.pen.handler(c.cmd.SysProcAttr.Credential), func() error {
		if err := process.Limit(c.child.Pid, l); err != nil {
			return &sandbox.Failure{Kind: sandbox.Setup, Detail: "limits", Err: err}
		}
		return c.lookInside(s, l)
	})
}

// awaitReady returns when the last holder of the other end has closed it, or
// ctx is done. A reset is an end as well: bubblewrap's byte was not read.
func (c *cell) awaitReady(ctx context.Context) error {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = unix.Shutdown(int(c.ready.Fd()), unix.SHUT_RDWR)
	})
	_, err := c.ready.Read(make([]byte, 1))
	if !stop() {
		<-woken // not on a descriptor that is closed later
	}
	return err
}

// errNoChild means that bubblewrap gave up; its words are on stderr.
var errNoChild = errors.New("bubblewrap ended before the program began")

// adopt gets a handle on process 1 inside. The number could have been given to
// another process since it was reported; what has our bubblewrap, which is not
// reaped yet, as its parent is the right one.
func (c *cell) adopt() error {
	var report struct {
		Pid int `json:"child-pid"`
	}
	if err := c.status.Decode(&report); err != nil || report.Pid == 0 {
		return errNoChild
	}
	pid, err := c.pen.child(c.cmd.Process.Pid, report.Pid)
	if err != nil {
		return errNoChild
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return errNoChild
	}
	if parent, err := parentOf(pid); err != nil || parent != c.cmd.Process.Pid {
		_ = p.Release()
		return errNoChild
	}
	c.child = p
	return nil
}

// parentOf reads field 4 of proc(5)'s stat; the second is a name in brackets
// that may hold anything.
func parentOf(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	return strconv.Atoi(fields[1])
}

// lookInside opens the directories that the program can write to.
func (c *cell) lookInside(s *sandbox.Spec, l sandbox.Limits) (err error) {
	root := fmt.Sprintf("/proc/%d/root", c.child.Pid)
	if c.tmp, err = process.OpenDir(root, "/tmp"); err == nil && s.Out != "" {
		if c.out, err = process.OpenDir(root, s.Out); err == nil {
			err = process.Begin(s, c.out, l)
		}
	}
	if errors.Is(err, os.ErrNotExist) { // it died meanwhile
		return errNoChild
	}
	if err != nil {
		return &sandbox.Failure{Kind: sandbox.Setup, Detail: "look into the sandbox", Err: err}
	}
	return nil
}

// release lets the held child become the program, under the filter.
func (c *cell) release(filter []byte) error {
	_, err := c.gate.Write(filter)
	c.shut()
	return err
}

// shut closes the gate. A child that has not got its filter dies of it.
func (c *cell) shut() { _ = c.gate.Close() }

// kill ends everything inside; bubblewrap sees it and ends by itself.
func (c *cell) kill() { _ = c.child.Signal(syscall.SIGKILL) }

// wait reaps bubblewrap when everything inside is gone, and collects the end.
func (c *cell) wait() *ending.Ending {
	_ = c.cmd.Wait() // its status is in ProcessState
	ws, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() && c.child != nil {
		c.outlive()
	}
	e := &ending.Ending{Out: c.out, Tmp: c.tmp}
	e.Stdout, e.Stderr = c.streams.Wait()
	e.Usage = process.UsageOf(c.cmd.ProcessState, time.Since(c.began))
	if c.leaf != nil {
		e.Events = c.leaf.Events()
	}
	var report struct {
		Code *int `json:"exit-code"`
	}
	err := c.status.Decode(&report)
	if err == nil && report.Code == nil { // that was child-pid, which nobody had read
		err = c.status.Decode(&report)
	}
	if e.Started = err == nil && report.Code != nil; e.Started {
		e.Code, e.Signal = *report.Code, ending.SignalOf(*report.Code)
	}
	if ws.Signaled() {
		e.Started, e.Signal = true, ws.Signal()
	}
	return e
}

// outlive waits for what is inside when bubblewrap was killed from outside (the
// out-of-memory killer): the kernel then kills the inside too, a moment later.
func (c *cell) outlive() {
	c.kill()
	_ = c.child.WithHandle(func(pidfd uintptr) {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		for until := time.Now().Add(patience); time.Now().Before(until); {
			if n, err := unix.Poll(fds, 1000); n > 0 || err != nil && err != unix.EINTR {
				return
			}
		}
	})
}

// close lets go of everything but what an Outcome carries on.
func (c *cell) close() {
	if c.child != nil {
		_ = c.child.Release()
	}
	if c.streams != nil {
		c.streams.Close()
	}
	process.CloseAll(c.files)
	process.CloseAll([]*os.File{c.out, c.tmp})
}
