package trust

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Conn is a connection that a listener of this package let in. It counts
// against the listener's limits until it is closed or Authenticated is called.
type Conn struct {
	net.Conn
	silence  *time.Timer // closes the connection; nil when there is no limit
	heard    atomic.Bool // a byte came
	late     atomic.Bool // silence closed the connection
	firstIn  time.Duration
	leave    func()
	leaveOne sync.Once
}

func newConn(inner net.Conn, firstByte time.Duration, leave func()) *Conn {
	c := &Conn{Conn: inner, firstIn: firstByte, leave: leave}
	if firstByte > 0 {
		// A timer, not a read deadline: servers set deadlines of their own
		// while they shake hands, and would lengthen ours.
		c.silence = time.AfterFunc(firstByte, c.expire)
	}
	return c
}

func (c *Conn) expire() {
	if !c.heard.Load() {
		c.late.Store(true)
		c.Authenticated()
		c.Conn.Close()
	}
}

// Authenticated says that the peer has shown who it is, so that it no longer
// counts against the limits for strangers. Doors with TLS call it after the
// handshake. A door in the clear never does: there the limits are all there is.
func (c *Conn) Authenticated() { c.leaveOne.Do(c.leave) }

// NetConn is the connection underneath, for its socket options.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Read reads from the peer. A peer that was silent for too long is an error that
// is os.ErrDeadlineExceeded.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.silence != nil && !c.heard.Swap(true) {
		c.silence.Stop()
	}
	if err != nil && c.late.Load() {
		return n, fmt.Errorf("peer %s sent nothing within %s: %w", c.RemoteAddr(), c.firstIn, os.ErrDeadlineExceeded)
	}
	return n, err
}

// Close ends the connection and its place in the limits.
func (c *Conn) Close() error {
	if c.silence != nil {
		c.silence.Stop()
	}
	c.Authenticated()
	return c.Conn.Close()
}

// A gate counts the strangers inside.
type gate struct {
	limits Limits

	mu    sync.Mutex // guards the fields below
	total int
	held  map[netip.Addr]int // no entry is 0
}

// enter counts one more stranger from peer in, or says why not.
func (g *gate) enter(peer netip.Addr) (why string) {
	bound := g.limits.PerAddress
	if peer.IsLoopback() {
		bound = g.limits.PerLoopback
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.limits.Total {
		return fmt.Sprintf("%d connections are open", g.total)
	}
	if g.held[peer] >= bound {
		return fmt.Sprintf("its address has %d connections open", bound)
	}
	g.total++
	g.held[peer]++
	return ""
}

func (g *gate) leave(peer netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.held[peer]--; g.held[peer] == 0 {
		delete(g.held, peer)
	}
}
