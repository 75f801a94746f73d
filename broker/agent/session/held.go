package session

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// heldLook is how often is looked for the end of a compiler whose connection lasts.
	heldLook = 500 * time.Millisecond
	// heldRest is how long what a compiler has started may outlive it: a driver that was
	// killed leaves its compiler proper for a moment.
	heldRest = 3 * time.Second
)

// A Hold is the wrapper's process, which may become a compiler that holds a slot.
type Hold struct {
	s  *Session
	fd int // of the process; -1 when it can't be watched
}

// Hold is had before the wrapper becomes the compiler. The caller closes it.
func (s *Session) Hold() *Hold {
	fd, err := unix.PidfdOpen(s.pid, 0)
	if err != nil { // none that is seen from here, or the kernel is an old one
		fd = -1
	}
	return &Hold{s, fd}
}

// Close ends watching.
func (h *Hold) Close() {
	if h.fd >= 0 {
		_ = unix.Close(h.fd)
	}
}

// Wait waits until the compiler has ended with all that it has started: they hold the
// connection. What stays for good (a script that stands in for a compiler may start a
// cache's server) holds the slot for three seconds after the compiler, and not as long as it
// lives.
func (h *Hold) Wait() {
	tick := time.NewTicker(heldLook)
	defer tick.Stop()
	for rest := heldRest; rest > 0; {
		select {
		case <-h.s.Context().Done():
			return
		case <-tick.C:
		}
		if h.ended() {
			rest -= heldLook
		}
	}
}

// ended reports whether the process has; it need not have been waited for.
func (h *Hold) ended() bool {
	if h.fd < 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}
