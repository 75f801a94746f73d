// Package link makes networks for a benchmark out of network namespaces: each
// is apart from the machine's own and from the others, so that what goes over
// it can be counted, and none outlives the process that made it. A Space has
// loopback; a Link joins two of them with a rate and a delay.
package link

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Space is a network namespace.
type Space struct{ file *os.File }

// NewSpace makes a namespace in which nothing but loopback is, and that is up.
// It needs root.
func NewSpace() (*Space, error) {
	s := &Space{}
	err := apart(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		var err error
		if s.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return up("lo", "", 0)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// File is what setns takes; it stays the Space's.
func (s *Space) File() *os.File { return s.file }

// Close lets go of the namespace, which ends with its last process.
func (s *Space) Close() error { return s.file.Close() }

// Do runs f inside the namespace. Sockets that f makes belong to it for good;
// goroutines that f starts do not run in it.
func (s *Space) Do(f func() error) error {
	return apart(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

// apart runs f on a thread that ends with it, whatever f made of the thread.
func apart(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread goes with the goroutine
		done <- f()
	}()
	return <-done
}

// up gives an interface of the thread's namespace its address, unless that is
// empty, and switches it on.
func up(name, address string, prefix int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if address != "" {
		if err := setAddress(fd, name, unix.SIOCSIFADDR, address); err != nil {
			return fmt.Errorf("give %s the address %s: %w", name, address, err)
		}
		mask := uint32(0xffffffff) << (32 - prefix)
		dotted := fmt.Sprintf("%d.%d.%d.%d", mask>>24, mask>>16&255, mask>>8&255, mask&255)
		if err := setAddress(fd, name, unix.SIOCSIFNETMASK, dotted); err != nil {
			return fmt.Errorf("give %s the mask %s: %w", name, dotted, err)
		}
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("switch on %s: %w", name, err)
	}
	return nil
}

func setAddress(fd int, name string, what uint, dotted string) error {
	var ip [4]byte
	for i, word := range strings.Split(dotted, ".") {
		n, err := strconv.ParseUint(word, 10, 8)
		if err != nil || i > 3 {
			return fmt.Errorf("%q is no IPv4 address", dotted)
		}
		ip[i] = byte(n)
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := req.SetInet4Addr(ip[:]); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, what, req)
}

// Loopback is how many bytes went over the namespace's loopback, headers and
// both directions together.
func (s *Space) Loopback() (n int64, err error) {
	err = s.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		n, err = parseDev(string(text), "lo")
		return err
	})
	return n, err
}

// parseDev takes the received bytes of an interface from /proc/net/dev.
func parseDev(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		dev, rest, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(dev) != name {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < 16 {
			return 0, fmt.Errorf("/proc/net/dev has the line %q", line)
		}
		return strconv.ParseInt(fields[0], 10, 64)
	}
	return 0, fmt.Errorf("/proc/net/dev has no interface %s", name)
}
