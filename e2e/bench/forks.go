package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A census counts the processes that come from some ancestors while it is taken.
type census struct {
	mu       sync.Mutex // guards the fields below
	known    map[int]bool
	roots    map[int]bool // the ancestors themselves
	born     int
	programs map[string]int // executed, by name
	missed   int            // events that the kernel could not keep for us

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

// takeCensus begins to count the descendants of the processes. It needs root.
func takeCensus(ancestors ...int) (*census, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil, fmt.Errorf("listen to the kernel's process events: %w", err)
	}
	c := &census{known: make(map[int]bool), roots: make(map[int]bool), programs: make(map[string]int), fd: fd, done: make(chan struct{})}
	for _, pid := range ancestors {
		c.add(pid)
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

// add makes a process one of the ancestors.
func (c *census) add(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[pid], c.roots[pid] = true, true
}

func (c *census) listen() error {
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
func (c *census) read() {
	defer unix.Close(c.fd)
	b := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(c.fd, b, 0)
		switch err {
		case nil:
			c.event(b[:n])
		case unix.ENOBUFS:
			c.mu.Lock()
			c.missed++
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
func (c *census) event(b []byte) {
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
			c.born++
		}
	case procExec: // pid, tgid
		if c.known[word(1)] && !c.roots[word(1)] {
			name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(word(1)), "comm"))
			c.programs[strings.TrimSpace(string(name))]++
		}
	}
}

// end ends the census.
func (c *census) end() {
	close(c.done)
}
