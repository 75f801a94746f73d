// Package inner is what of ours runs inside a warm container: its process 1,
// which waits for jobs, and the shim that becomes each job's program. It also is
// the wire between that process and the helper. Start with [Main]; the helper's
// end is a [Conn].
//
// The wire is a unix socket of whole messages (SOCK_SEQPACKET), bound into the
// container at a place that no job can see. Descriptors travel on it, so streams
// and directories need no copying.
package inner

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/process"
)

// A Job is one program to run. It travels as a file in memory: a command line may
// be longer than a message.
type Job struct {
	Root string // becomes /
	Path string
	Args []string // argv[0] included
	Env  []string
	Dir  string // below Root
	// UID and GID are whom the program runs as.
	UID, GID int
	Limits   []process.Rlimit
}

// A message is anything that travels.
type message struct {
	Kind kind
	End  *End
	// Places are to be copied in, and Keep says that they stay for all jobs.
	Places []string
	Keep   bool
	// Error is the answer to a request that failed: what stays after a sweep, above all.
	Error string
}

type kind string

const (
	hello kind = "hello" // process 1 is there; with the descriptors of the two writable directories
	run   kind = "run"   // with the job and its three streams
	ended kind = "ended"
	place kind = "place" // copy files into the writable directories
	begin kind = "begin" // make a file of the programs' in the directory of outputs, with a descriptor of what is in it
	sweep kind = "sweep" // empty the writable directories
	done  kind = "done"
)

// An End is how a program ended.
type End struct {
	// Error says why the program could not be started; "" when it was.
	Error  string
	Status uint32 // as from wait(2)
	User   time.Duration
	System time.Duration
	MaxRSS int64 // bytes
	// Others: the program left processes behind. They were killed.
	Others bool
	Events Events
}

// maxMessage bounds one message, and maxFiles the descriptors with it.
const (
	maxMessage = 64 << 10
	maxFiles   = 8
)

// A Conn is the helper's end of the wire.
type Conn struct {
	c *net.UnixConn
	// Out and Tmp are the writable directories inside, opened by name only.
	Out, Tmp *os.File
}

// Accept waits until process 1 of a container has called, or the listener's
// deadline is over.
func Accept(l *net.UnixListener) (*Conn, error) {
	u, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	if err := u.SetDeadline(time.Now().Add(quick)); err != nil {
		_ = u.Close()
		return nil, err
	}
	m, files, err := receive(u)
	if err == nil && (m.Kind != hello || len(files) != 2) {
		err = fmt.Errorf("process 1 said %q with %d descriptors", m.Kind, len(files))
	}
	if err != nil {
		closeAll(files)
		_ = u.Close()
		return nil, err
	}
	return &Conn{u, files[0], files[1]}, nil
}

// quick bounds what process 1 does without a program: a few system calls.
const quick = 30 * time.Second

// Alive reports whether process 1 still holds its end. It says nothing by itself
// between jobs, so anything to read is an end.
func (c *Conn) Alive() bool {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		alive = n == 0 && err == nil
	})
	return alive && err == nil
}

// Start has the container run j with these three streams; they may be closed
// afterwards.
func (c *Conn) Start(j *Job, stdin, stdout, stderr *os.File) error {
	var text bytes.Buffer
	if err := gob.NewEncoder(&text).Encode(j); err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("job", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "job")
	defer f.Close()
	if _, err := f.Write(text.Bytes()); err != nil {
		return err
	}
	if err := c.c.SetDeadline(time.Now().Add(quick)); err != nil {
		return err
	}
	return send(c.c, message{Kind: run}, f, stdin, stdout, stderr)
}

// Wait returns when the program and all that it started have ended. The caller
// bounds it: Close ends it too.
func (c *Conn) Wait() (*End, error) {
	if err := c.c.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	m, files, err := receive(c.c)
	closeAll(files)
	if err == nil && (m.Kind != ended || m.End == nil) {
		err = fmt.Errorf("process 1 said %q", m.Kind)
	}
	if err != nil {
		return nil, err
	}
	return m.End, nil
}

// Place has these places copied from what lies in wait into the writable
// directories, parents first, read-only for jobs. They stay until the next sweep, or
// with keep for good.
func (c *Conn) Place(places []string, keep bool) error {
	if len(places) == 0 {
		return nil
	}
	return c.ask(message{Kind: place, Places: places, Keep: keep})
}

// Sweep has the writable directories emptied. An error means that something of the
// job's is still there.
func (c *Conn) Sweep() error { return c.ask(message{Kind: sweep}) }

func (c *Conn) ask(m message, with ...*os.File) error {
	if err := c.c.SetDeadline(time.Now().Add(quick)); err != nil {
		return err
	}
	if err := send(c.c, m, with...); err != nil {
		return err
	}
	m, files, err := receive(c.c)
	closeAll(files)
	switch {
	case err != nil:
		return err
	case m.Kind != done:
		return fmt.Errorf("process 1 said %q", m.Kind)
	case m.Error != "":
		return errors.New(m.Error)
	}
	return nil
}

// Cut ends the container as Close does, and may be called while another waits for
// an answer, which then fails. Out and Tmp stay open.
func (c *Conn) Cut() error { return c.c.Close() }

// Close is the end of the container: its process 1 goes when the wire is cut, and
// the kernel ends with it whatever is inside.
func (c *Conn) Close() error {
	closeAll([]*os.File{c.Out, c.Tmp})
	return c.c.Close()
}

func send(u *net.UnixConn, m message, files ...*os.File) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(m); err != nil {
		return err
	}
	if b.Len() > maxMessage {
		return fmt.Errorf("a message of %d bytes is too long", b.Len())
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err := u.WriteMsgUnix(b.Bytes(), rights, nil)
	return err
}

// receive reads one message. Whoever sends it decides what it says, so it is
// bounded; the descriptors are close-on-exec.
func receive(u *net.UnixConn) (m message, files []*os.File, err error) {
	b, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*maxFiles))
	n, r, flags, _, err := u.ReadMsgUnix(b, rights)
	if err != nil {
		return m, nil, err
	}
	defer func() {
		if err != nil {
			closeAll(files)
			files = nil
		}
	}()
	if files, err = filesOf(rights[:r]); err != nil {
		return m, files, err
	}
	if n == 0 {
		return m, files, io.EOF
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		return m, files, errors.New("a message is too long")
	}
	return m, files, gob.NewDecoder(bytes.NewReader(b[:n])).Decode(&m)
}

func filesOf(rights []byte) (files []*os.File, err error) {
	if len(rights) == 0 {
		return nil, nil
	}
	list, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
