package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound what peers can hold before they have shown who they are. The zero
// value is the design's figures.
type Limits struct {
	// Total is how many unauthenticated connections there may be; 0 is 256.
	Total int
	// PerAddress is how many of them one address may have; 0 is 16.
	PerAddress int
	// PerLoopback is the same for loopback addresses, behind which many users
	// of this machine may sit; 0 is 64.
	PerLoopback int
	// FirstByte is how long a peer may stay silent after it connected; 0 is
	// 10 seconds, negative is for ever.
	FirstByte time.Duration
	// Refused is called with each connection that is turned away and a few
	// words on why, to log and to count it; nil is silence. It must not block.
	Refused func(peer net.Addr, why string)
}

func (l Limits) withDefaults() Limits {
	defaults := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defaults(&l.Total, 256)
	defaults(&l.PerAddress, 16)
	defaults(&l.PerLoopback, 64)
	if l.FirstByte == 0 {
		l.FirstByte = 10 * time.Second
	}
	if l.Refused == nil {
		l.Refused = func(net.Addr, string) {}
	}
	return l
}

// Listen opens a door at addr: host:port (port 0 picks one, no host is every
// address of the machine) or unix:/path. An address that others than this machine
// can reach is refused unless allow names somebody.
//
// Accept returns only connections of allowed peers within limits, as *Conn; others
// are closed and reported. A unix door has mode 0600 and serves the uid that
// opened it and root; who they are is known at once, so no limit applies to them.
// A socket file that nobody listens at any more is replaced.
func Listen(addr string, allow AllowList, limits Limits) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return listenUnix(path, limits.withDefaults())
	}
	at, err := resolve(addr)
	if err != nil {
		return nil, fmt.Errorf("listen at %q: expected HOST:PORT or unix:/PATH: %w", addr, err)
	}
	if !at.IP.IsLoopback() && allow.Empty() {
		return nil, fmt.Errorf("listen at %q: other machines can reach this address and none is allowed: allow some (--allow 192.168.1.0/24) or listen on 127.0.0.1", addr)
	}
	inner, err := net.ListenTCP("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("listen at %q: %w", addr, err)
	}
	return newListener(inner, allow, limits.withDefaults()), nil
}

func resolve(addr string) (*net.TCPAddr, error) {
	// ResolveTCPAddr takes "" for any port of every address.
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, err
	}
	return net.ResolveTCPAddr("tcp", addr)
}

func listenUnix(path string, limits Limits) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("listen at unix:%s: the path must be absolute", path)
	}
	if err := clearStale(path); err != nil {
		return nil, fmt.Errorf("listen at unix:%s: %w", path, err)
	}
	// The socket file takes its mode from the socket at bind, so it is never
	// open to others, not even for the moment that a chmod afterwards needs.
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if ctlErr := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); ctlErr != nil {
			return ctlErr
		}
		return err
	}}
	inner, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen at unix:%s: %w", path, err)
	}
	return newListener(inner, AllowList{}, limits), nil
}

// clearStale removes the socket file of a daemon that is gone. Anything but a
// socket that refuses connections stays and is an error.
func clearStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("there is a file that is no socket: remove it or choose another path")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("another process listens there")
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("there is a socket that may be in use: %w", err)
	}
	return os.Remove(path)
}

func newListener(inner net.Listener, allow AllowList, limits Limits) *listener {
	return &listener{
		Listener: inner,
		allow:    allow,
		limits:   limits,
		gate:     gate{limits: limits, held: make(map[netip.Addr]int)},
	}
}

type listener struct {
	net.Listener
	allow  AllowList
	limits Limits
	gate   gate
}

// Accept waits for the next connection that may come in. Its errors are the
// inner listener's, untouched, since servers look into them to tell a passing
// trouble (no descriptors left) from the end.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, why := l.admit(inner)
		if why == "" {
			return c, nil
		}
		inner.Close()
		l.limits.Refused(inner.RemoteAddr(), why)
	}
}

// admit says in a few words why a connection is not let in.
func (l *listener) admit(inner net.Conn) (c *Conn, why string) {
	if u, ok := inner.(*net.UnixConn); ok {
		return admitLocal(u)
	}
	tcp, ok := inner.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return nil, "its address cannot be read"
	}
	peer := tcp.AddrPort().Addr().Unmap().WithZone("")
	if !l.allow.Allows(peer) {
		return nil, "its address is not allowed"
	}
	if why := l.gate.enter(peer); why != "" {
		return nil, why
	}
	return newConn(inner, l.limits.FirstByte, func() { l.gate.leave(peer) }), ""
}

func admitLocal(u *net.UnixConn) (*Conn, string) {
	uid, _, err := PeerUID(u)
	if err != nil {
		return nil, err.Error()
	}
	if !serves(os.Geteuid(), uid) {
		return nil, fmt.Sprintf("it belongs to uid %d", uid)
	}
	return newConn(u, -1, func() {}), ""
}

// serves reports whether a daemon of uid own takes a connection of uid peer. Root
// could read its memory as well, so root is let in.
func serves(own, peer int) bool { return peer == own || peer == 0 }
