package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
)

// Streams are a program's three, both ends of each.
type Streams struct {
	Stdin, Stdout, Stderr *os.File // the program's ends

	ours     []*os.File
	out, err *capture
}

// OpenStreams opens the streams for s and begins to read what is said. overflow is
// called with a Failure when that is more than l allows. Who has called starts the
// program, calls Given and Wait, and at the end Close.
func OpenStreams(s *sandbox.Spec, l sandbox.Limits, overflow func(error)) (st *Streams, err error) {
	st = &Streams{}
	defer func() {
		if err != nil {
			st.Close()
		}
	}()
	if len(s.Stdin) > 0 {
		st.Stdin, err = TextFile(string(s.Stdin))
	} else {
		st.Stdin, err = os.Open(os.DevNull)
	}
	if err != nil {
		return st, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return st, err
	}
	st.Stdout, st.ours = outW, append(st.ours, outR)
	errR, errW, err := os.Pipe()
	if err != nil {
		return st, err
	}
	st.Stderr, st.ours = errW, append(st.ours, errR)
	for _, f := range []*os.File{outW, errW} { // a program expects its streams to block
		if err := unix.SetNonblock(int(f.Fd()), false); err != nil {
			return st, err
		}
	}
	st.out = captureFrom(outR, "stdout", l.Stdout, overflow)
	st.err = captureFrom(errR, "stderr", l.Stderr, overflow)
	return st, nil
}

// Given closes the program's ends: it has them, or was not started.
func (st *Streams) Given() {
	CloseAll([]*os.File{st.Stdin, st.Stdout, st.Stderr})
	st.Stdin, st.Stdout, st.Stderr = nil, nil, nil
}

// Wait returns what was said, after the last writer is gone.
func (st *Streams) Wait() (stdout, stderr []byte) { return st.out.wait(), st.err.wait() }

// WaitFor is Wait that has an end, for who can't be sure that all writers are: after
// grace it gives up, and ok is false.
func (st *Streams) WaitFor(grace time.Duration) (stdout, stderr []byte, ok bool) {
	ours := st.ours
	cut := time.AfterFunc(grace, func() { CloseAll(ours) })
	stdout, stderr = st.Wait()
	return stdout, stderr, cut.Stop()
}

// Close closes all ends. It may be called twice.
func (st *Streams) Close() {
	st.Given()
	CloseAll(st.ours)
	st.ours = nil
}

// A capture reads one stream of a program to its end, and keeps the beginning.
type capture struct {
	buf  bytes.Buffer // owned by the reading goroutine until done is closed
	done chan struct{}
}

// captureFrom keeps at most limit bytes of r. When there is more it calls
// overflow once and reads on, so that nobody hangs on a full pipe.
func captureFrom(r *os.File, name string, limit int64, overflow func(error)) *capture {
	c := &capture{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		// An error ends the stream as its end does: the writer is gone.
		n, _ := io.Copy(&c.buf, io.LimitReader(r, limit+1))
		if n > limit {
			c.buf.Truncate(int(limit))
			overflow(sandbox.Failf(sandbox.TooMuch, "more than %d bytes on %s", limit, name))
			_, _ = io.Copy(io.Discard, r)
		}
	}()
	return c
}

// wait returns what was kept, after the last writer is gone.
func (c *capture) wait() []byte {
	<-c.done
	return c.buf.Bytes()
}

// TextFile is a file in memory, at its beginning.
func TextFile(text string) (*os.File, error) {
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
