package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
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

	stdout, stderr *capture
	leaf           *cgroup.Leaf // or nil
	child          *os.Process  // process 1 inside; nil until held
	out, tmp       *os.File     // writable directories inside
}

// start runs bubblewrap with its descriptors 3, 4 and 5 as status, ready and gate,
// and the texts of s behind them.
func (b *bubblewrap) start(s *Spec, l Limits, leaf *cgroup.Leaf, words []string, overflow func(error)) (c *cell, err error) {
	c = &cell{began: time.Now(), pen: b.pen, leaf: leaf}
	defer func() {
		if err != nil {
			c.close()
			err = &Failure{Kind: Setup, Detail: "start " + b.program, Err: err}
		}
	}()
	theirs, err := c.descriptors()
	defer func() { closeAll(theirs) }()
	if err != nil {
		return c, err
	}
	c.cmd = exec.Command(b.program, words...)
	c.cmd.Dir, c.cmd.Env = "/", []string{}
	for _, name := range textNames(s) {
		f, err := textFile(s.Texts[name])
		if err != nil {
			return c, err
		}
		theirs = append(theirs, f)
	}
	c.cmd.ExtraFiles = theirs
	c.cmd.SysProcAttr = b.pen.attributes(b.credential)
	if err := feed(c.cmd, s.Stdin); err != nil {
		return c, err
	}
	if c.cmd.Stdin != nil {
		defer c.cmd.Stdin.(*os.File).Close()
	}
	return c, c.begin(l, overflow)
}

// begin starts c.cmd with its two streams captured.
func (c *cell) begin(l Limits, overflow func(error)) error {
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer outW.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		outR.Close()
		return err
	}
	defer errW.Close()
	c.files = append(c.files, outR, errR)
	c.cmd.Stdout, c.cmd.Stderr = outW, errW
	start := c.cmd.Start
	if c.leaf != nil {
		start = func() error { return c.leaf.Start(c.cmd) }
	}
	if err := start(); err != nil {
		return err
	}
	c.stdout = captureFrom(outR, "stdout", l.Stdout, overflow)
	c.stderr = captureFrom(errR, "stderr", l.Stderr, overflow)
	return nil
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

// feed gives cmd its input as a file in memory; none is /dev/null.
func feed(cmd *exec.Cmd, stdin []byte) error {
	if len(stdin) == 0 {
		return nil
	}
	f, err := textFile(string(stdin))
	if err == nil {
		cmd.Stdin = f
	}
	return err
}

// textFile is a file in memory, at its beginning.
func textFile(text string) (*os.File, error) {
	fd, err := unix.MemfdCreate("text", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory for a file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "text")
	if _, err = io.WriteString(f, text); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("fill a file in memory: %w", err)
	}
	return f, nil
}

// patience bounds what bubblewrap does by itself: a few milliseconds of mounts,
// more on a machine that is very busy.
const patience = 30 * time.Second

// hold waits for the child to stand before its gate, and prepares it.
func (c *cell) hold(ctx context.Context, s *Spec, l Limits) error {
	err := c.awaitReady(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, unix.EAGAIN) {
		return failf(Setup, "bubblewrap did not come to an end in %s", patience)
	}
	if err := c.adopt(); err != nil {
		return err
	}
	return as(c.pen.handler(c.cmd.SysProcAttr.Credential), func() error {
		if err := l.apply(c.child.Pid); err != nil {
			return &Failure{Kind: Setup, Detail: "limits", Err: err}
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
func (c *cell) lookInside(s *Spec, l Limits) (err error) {
	root := fmt.Sprintf("/proc/%d/root", c.child.Pid)
	if c.tmp, err = openDir(root, "/tmp"); err == nil && s.Out != "" {
		if c.out, err = openDir(root, s.Out); err == nil {
			err = s.begin(c.out, l, -1)
		}
	}
	if errors.Is(err, os.ErrNotExist) { // it died meanwhile
		return errNoChild
	}
	if err != nil {
		return &Failure{Kind: Setup, Detail: "look into the sandbox", Err: err}
	}
	return nil
}

// openDir opens a directory only to name it, for openat2 and fstatfs, and calls
// it by its name below root.
func openDir(root, name string) (*os.File, error) {
	p := filepath.Join(root, name)
	fd, err := unix.Open(p, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: p, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
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
func (c *cell) wait() *ending {
	_ = c.cmd.Wait() // its status is in ProcessState
	ws, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() && c.child != nil {
		c.outlive()
	}
	e := &ending{stdout: c.stdout.wait(), stderr: c.stderr.wait(), out: c.out, tmp: c.tmp}
	e.usage = usageOf(c.cmd.ProcessState, time.Since(c.began))
	if c.leaf != nil {
		e.events = c.leaf.Events()
	}
	var report struct {
		Code *int `json:"exit-code"`
	}
	err := c.status.Decode(&report)
	if err == nil && report.Code == nil { // that was child-pid, which nobody had read
		err = c.status.Decode(&report)
	}
	if e.started = err == nil && report.Code != nil; e.started {
		e.code, e.signal = *report.Code, signalOf(*report.Code)
	}
	if ws.Signaled() {
		e.started, e.signal = true, ws.Signal()
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
	closeAll(c.files)
	closeAll([]*os.File{c.out, c.tmp})
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
