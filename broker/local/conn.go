package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// MaxFrame bounds the body of one frame in bytes.
	MaxFrame = 64 << 20
	// MaxFiles bounds the descriptors that go with one frame (the kernel's
	// SCM_MAX_FD).
	MaxFiles = 253

	headSize = 5 // body length, big-endian, then the kind

	// oobSize is room for MaxFiles descriptors.
	oobSize   = syscall.SizeofCmsghdr + 4*MaxFiles + 8
	chunkSize = 1 << 20 // how far ahead of its bytes a body is allocated
)

// A Conn carries messages with descriptors over a unix stream socket, in both
// directions. One goroutine may receive while others send.
type Conn struct {
	file *os.File // non-blocking, so that the runtime's poller waits for it
	raw  syscall.RawConn
	shut atomic.Bool // by Close; the poller's own error for that has no name

	mu     sync.Mutex // held while a frame is written
	broken bool       // one was left half written: what followed would be taken for its rest

	silence time.Duration // bounds each wait for the peer's next bytes; 0: no bound
	head    [headSize]byte
	oob     [oobSize]byte
}

// NewConn makes a Conn of a connected stream socket and owns it from then on.
func NewConn(fd int) (*Conn, error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), "agent socket")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Conn{file: file, raw: raw}, nil
}

// Close ends the connection; a Receive that waits returns os.ErrClosed.
func (c *Conn) Close() error {
	c.shut.Store(true)
	return c.file.Close()
}

// SetReadDeadline bounds Receive; past it Receive returns os.ErrDeadlineExceeded
// and the connection is good for nothing but Close. The zero time is no bound.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// Send writes one frame. The files stay the caller's.
func (c *Conn) Send(m Message, files ...*os.File) error { return c.sendFiles(0, m, files) }

func (c *Conn) sendFiles(limit time.Duration, m Message, files []*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	err := c.send(limit, m, fds...)
	runtime.KeepAlive(files)
	return err
}

// send writes one frame, for so long at most; 0 is no bound. Past it the error is
// os.ErrDeadlineExceeded, and the connection is good for nothing but Close.
func (c *Conn) send(limit time.Duration, m Message, fds ...int) error {
	frame := m.append(make([]byte, headSize, 512))
	if len(frame)-headSize > MaxFrame {
		return fmt.Errorf("send %T: %d bytes, at most %d", m, len(frame)-headSize, MaxFrame)
	}
	if len(fds) > MaxFiles {
		return fmt.Errorf("send %T: %d descriptors, at most %d", m, len(fds), MaxFiles)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-headSize))
	frame[4] = byte(m.kind())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return fmt.Errorf("send %T: the frame before it was not sent", m)
	}
	if limit > 0 {
		// It goes with the frame: one that has passed would keep every Alive from being sent.
		_ = c.file.SetWriteDeadline(time.Now().Add(limit))
		defer func() { _ = c.file.SetWriteDeadline(time.Time{}) }()
	}
	if left, err := c.write(frame, oob); err != nil {
		c.broken = left < len(frame)
		return fmt.Errorf("send %T: %w", m, err)
	}
	return nil
}

// write sends all of b; the descriptors of oob go with its first byte. left is how much of
// it was not sent.
func (c *Conn) write(b, oob []byte) (left int, err error) {
	var failed error
	err = c.raw.Write(func(fd uintptr) bool {
		for len(b) > 0 {
			n, err := syscall.SendmsgN(int(fd), b, oob, nil, syscall.MSG_NOSIGNAL)
			switch err {
			case nil:
				b, oob = b[n:], nil
			case syscall.EINTR:
			case syscall.EAGAIN:
				return false
			default:
				failed = os.NewSyscallError("sendmsg", err)
				return true
			}
		}
		return true
	})
	return len(b), errors.Join(err, failed)
}

// alive sends an Alive if that needs no waiting: a peer that is stopped gets
// no more of them than its buffer holds, and nobody waits for it.
func (c *Conn) alive() {
	if !c.mu.TryLock() {
		return // a frame is being written, which says as much
	}
	defer c.mu.Unlock()
	if c.broken {
		return
	}
	frame := []byte{0, 0, 0, 0, byte(kindAlive)}
	_ = c.raw.Write(func(fd uintptr) bool {
		// Five bytes go whole or not at all; an error shows on the next frame.
		_, _ = syscall.SendmsgN(int(fd), frame, nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		return true
	})
}

// Receive reads one frame; the files that came with it are the caller's. It
// returns io.EOF when the peer closed between two frames.
func (c *Conn) Receive() (Message, []*os.File, error) {
	files, err := c.readHead()
	if err != nil {
		closeFiles(files)
		return nil, nil, err
	}
	m, err := c.readBody(kind(c.head[4]), binary.BigEndian.Uint32(c.head[:]))
	if err != nil {
		closeFiles(files)
		return nil, nil, err
	}
	return m, files, nil
}

// readHead reads the first bytes of a frame, never more: the kernel hands out
// descriptors with the byte that they were sent with.
func (c *Conn) readHead() ([]*os.File, error) {
	var files []*os.File
	for got := 0; got < headSize; {
		var oobn, flags int
		n, err := c.wait(func(fd int) (n int, err error) {
			n, oobn, flags, _, err = syscall.Recvmsg(fd, c.head[got:], c.oob[:], syscall.MSG_CMSG_CLOEXEC)
			return n, err
		})
		if err != nil {
			return files, err
		}
		came, err := parseRights(c.oob[:oobn])
		files = append(files, came...)
		if err != nil {
			return files, err
		}
		if flags&syscall.MSG_CTRUNC != 0 || len(files) > MaxFiles {
			return files, errors.New("protocol error: descriptors lost or too many")
		}
		if n == 0 {
			return files, endOf(got)
		}
		got += n
	}
	return files, nil
}

// wait does one read, when there is something to read. A peer that sends nothing
// for the silence is granted a grace: a process that was stopped finds that its
// clock has run ahead of the bytes that wait for it.
func (c *Conn) wait(read func(fd int) (int, error)) (n int, err error) {
	for late := false; ; late = true {
		switch {
		case late:
			_ = c.SetReadDeadline(time.Now().Add(grace))
		case c.silence > 0:
			_ = c.SetReadDeadline(time.Now().Add(c.silence))
		}
		var failed error
		err := c.raw.Read(func(fd uintptr) bool {
			for {
				if n, failed = read(int(fd)); failed != syscall.EINTR {
					return failed != syscall.EAGAIN
				}
			}
		})
		switch {
		case err == nil:
			return max(n, 0), os.NewSyscallError("read", failed)
		case c.shut.Load():
			return 0, os.ErrClosed
		case late || c.silence == 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		}
	}
}

func parseRights(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	controls, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("parse control message", err)
	}
	var files []*os.File
	for _, control := range controls {
		fds, err := syscall.ParseUnixRights(&control)
		if err != nil {
			continue // no rights: nothing that we would have to close
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// readBody allocates by what has come, not by what was announced.
func (c *Conn) readBody(k kind, size uint32) (Message, error) {
	if size > MaxFrame {
		return nil, fmt.Errorf("protocol error: frame of %d bytes, at most %d", size, MaxFrame)
	}
	body := make([]byte, min(int(size), chunkSize))
	for got := 0; got < int(size); {
		if got == len(body) {
			body = append(body, make([]byte, min(int(size)-got, chunkSize))...)
		}
		n, err := c.wait(func(fd int) (int, error) { return syscall.Read(fd, body[got:]) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		got += n
	}
	return decode(k, body)
}

func endOf(got int) error {
	if got == 0 {
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// slotFloor is the lowest number that a kept connection gets in a compiler. Low
// numbers may be those that MAKEFLAGS calls a jobserver although make closed
// them for this command; a compiler must not take our socket for one.
const slotFloor = 100

// Keep arranges that the connection stays open in the program that this process
// becomes by exec, and in its children. The Conn itself stays usable.
func (c *Conn) Keep() error {
	var failed error
	err := c.raw.Control(func(fd uintptr) {
		if _, failed = fcntl(int(fd), syscall.F_DUPFD, slotFloor); failed != nil {
			// A limit on descriptors below the floor: any number will do.
			_, failed = fcntl(int(fd), syscall.F_SETFD, 0)
		}
	})
	return errors.Join(err, os.NewSyscallError("fcntl", failed))
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
