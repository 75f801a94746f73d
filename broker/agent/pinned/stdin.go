package pinned

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxStdin bounds a source from standard input: they are tests of configure scripts.
	maxStdin = 16 << 20
	// stdinPause is how long one look waits for input, so that the end of a session is seen.
	stdinPause = 200 * time.Millisecond
)

// stdin is the source that the command reads from standard input, to its end, which is read
// once. It comes when it comes, as it would to the compiler: the wait ends with the wrapper.
func (p *Command) stdin() ([]byte, error) {
	if p.input != nil {
		return p.input, nil
	}
	if p.s.Stdin == nil {
		return nil, p.cannot("standard input is closed, or named in a response file")
	}
	text, err := readAll(p.s.Context(), p.s.Stdin, maxStdin)
	switch {
	case p.s.Gone() != nil:
		return nil, p.s.Gone()
	case err != nil:
		return nil, p.cannot("standard input can't be read: %v", err)
	case len(text) > maxStdin:
		return nil, p.cannot("standard input has more than %d MiB", maxStdin>>20)
	}
	p.input = append([]byte{}, text...) // not nil
	return p.input, nil
}

// readAll reads a file that may be a pipe or a terminal, and at most one byte over a limit. The
// file's mode is others' as well, so that it is waited for before each read and left as it is.
func readAll(ctx context.Context, f *os.File, limit int) (text []byte, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for end := false; !end && err == nil && len(text) <= limit; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		n := 0
		errControl := raw.Control(func(fd uintptr) { n, end, err = readSome(int(fd), buf[:min(len(buf), limit+1-len(text))]) })
		text, err = append(text, buf[:n]...), errors.Join(err, errControl)
	}
	return text, err
}

// readSome reads what is there, or waits for it a little.
func readSome(fd int, buf []byte) (n int, end bool, err error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	ready, err := unix.Poll(fds, int(stdinPause.Milliseconds()))
	if err == nil && ready > 0 {
		n, err = unix.Read(fd, buf)
		end = n == 0 && err == nil
	}
	if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return max(n, 0), end, err
}
