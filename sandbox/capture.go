package sandbox

import (
	"bytes"
	"io"
	"os"
	"strings"
)

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
			overflow(failf(TooMuch, "more than %d bytes on %s", limit, name))
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

// firstLine shortens what a program said to what fits into one message.
func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if line == "" {
		return "no message"
	}
	return line[:min(len(line), 500)]
}
