// Package census counts the processes that come from some ancestors, and the programs
// that they run, by the kernel's own word of each. It needs root.
package census

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Census counts the processes that come from some ancestors while it is taken.
type Census struct {
	mu    sync.Mutex // guards the fields below
	known map[int]bool
	roots map[int]bool // the ancestors themselves
	count Count

	fd   int
	done chan struct{}
}

// The kernel's process connector, linux/connector.h and linux/cn_proc.h.
const (
	cnIdxProc  = 1
	cnListen   = 1
	procFork   = 1
	procExec   = 2
	headerSize = unix.NLMSG_HDRLEN + 20 // nlmsghdr and cn_msg
	eventSize  = 16                     // before what belongs to the kind of event
)

// Take begins to count the descendants of the processes. It needs root.
func Take(ancestors ...int) (*Census, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil, fmt.Errorf("listen to the kernel's process events: %w", err)
	}
	c := &Census{known: make(map[int]bool), roots: make(map[int]bool), count: Count{Programs: make(map[string]int)}, fd: fd, done: make(chan struct{})}
	for _, pid := range ancestors {
		c.Add(pid)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	// Reading ends when there is nothing for a while and the census is over.
	tv := unix.Timeval{Usec: 100_000}
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: cnIdxProc, Pid: 0})
	}
	if err == nil {
		err = c.listen()
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen to the kernel's process events: %w", err)
	}
	go c.read()
	return c, nil
}

// Add makes a process one of the ancestors.
func (c *Census) Add(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[pid], c.roots[pid] = true, true
}

func (c *Census) listen() error {
	const size = headerSize + 4
	b := make([]byte, size)
	e := binary.NativeEndian
	e.PutUint32(b[0:], size)
	e.PutUint16(b[4:], unix.NLMSG_DONE)
	e.PutUint32(b[16:], cnIdxProc)
	e.PutUint32(b[20:], 1) // CN_VAL_PROC
	e.PutUint16(b[32:], 4) // length of what follows
	e.PutUint32(b[36:], cnListen)
	return unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// read takes events until the socket has none and the census is over.
func (c *Census) read() {
	defer unix.Close(c.fd)
	b := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(c.fd, b, 0)
		switch err {
		case nil:
			c.event(b[:n])
		case unix.ENOBUFS:
			c.mu.Lock()
			c.count.Missed++
			c.mu.Unlock()
		case unix.EINTR:
		default:
			select {
			case <-c.done:
				return
			default:
			}
			if err != unix.EAGAIN {
				return
			}
		}
	}
}

// event counts one message of the kernel.
func (c *Census) event(b []byte) {
	if len(b) < headerSize+eventSize+8 {
		return
	}
	e, body := binary.NativeEndian, b[headerSize+eventSize:]
	word := func(i int) int { return int(int32(e.Uint32(body[4*i:]))) }
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Uint32(b[headerSize:]) {
	case procFork: // parent pid, parent tgid, child pid, child tgid
		if len(body) < 16 || word(2) != word(3) {
			return // a thread
		}
		if c.known[word(1)] {
			c.known[word(3)] = true
			c.count.Born++
		}
	case procExec: // pid, tgid
		if c.known[word(1)] && !c.roots[word(1)] {
			name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(word(1)), "comm"))
			c.count.Programs[strings.TrimSpace(string(name))]++
		}
	}
}

// A Count is what a census has found.
type Count struct {
	Born     int            // processes that any of the known ones made
	Programs map[string]int // executed, by name; the ancestors' own are not there
	Missed   int            // events that the kernel could not keep for us
}

// End ends the census; it is called once.
func (c *Census) End() Count {
	close(c.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	return Count{Born: c.count.Born, Programs: maps.Clone(c.count.Programs), Missed: c.count.Missed}
}
