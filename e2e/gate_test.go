package e2e

import (
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

var gateCommands = map[string]func(*testscript.TestScript, bool, []string){
	"gate":      makeGate,
	"gate-held": awaitHeld,
}

// A gate is a way to a helper that holds what is sent there after so many bytes. Whoever
// ends a connection at one side ends it at the other, held or not.
type gate struct {
	l net.Listener

	mu     sync.Mutex // guards what follows
	to     string
	limit  int64 // bytes that pass; 0: all
	passed int64
	conns  []net.Conn
}

// makeGate is `gate NAME ADDRESS [MIB]`.
func makeGate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: gate NAME ADDRESS [MIB]")
	}
	mib := int64(0)
	if len(args) == 3 {
		var err error
		mib, err = strconv.ParseInt(args[2], 10, 32)
		ts.Check(err)
	}
	s := scriptOf(ts)
	g := s.gates[args[0]]
	if g == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		g = &gate{l: l}
		s.gates[args[0]] = g
		ts.Defer(func() { l.Close(); g.lead("", 0) })
		ts.Setenv(args[0], l.Addr().String())
		go g.serve()
	}
	g.lead(args[1], mib<<20)
}

// awaitHeld is `gate-held NAME`: the gate holds something before long.
func awaitHeld(ts *testscript.TestScript, _ bool, args []string) {
	g := scriptOf(ts).gates[args[0]]
	for end := time.Now().Add(awaitLimit); !g.held(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("after %v nothing is held", awaitLimit)
		}
	}
}

// lead ends the gate's connections; new ones go to an address.
func (g *gate) lead(to string, limit int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		c.Close()
	}
	g.to, g.limit, g.passed, g.conns = to, limit, 0, nil
}

func (g *gate) held() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit > 0 && g.passed > g.limit
}

func (g *gate) serve() {
	for {
		c, err := g.l.Accept()
		if err != nil {
			return // closed at the script's end
		}
		g.mu.Lock()
		h, err := net.Dial("tcp", g.to)
		if err != nil {
			c.Close()
			g.mu.Unlock()
			continue
		}
		g.conns = append(g.conns, c, h)
		g.mu.Unlock()
		hangUp := sync.OnceFunc(func() { c.Close(); h.Close() })
		go func() { defer hangUp(); _, _ = io.Copy(c, h) }()
		go func() { defer hangUp(); _, _ = io.Copy(h, passing{g, c}) }()
	}
}

// passing is what comes from a client, as far as the gate lets it pass.
type passing struct {
	g    *gate
	from net.Conn
}

func (p passing) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.g.mu.Lock()
	p.g.passed += int64(n)
	p.g.mu.Unlock()
	for p.g.held() {
		if hungUp(p.from) {
			return 0, io.ErrUnexpectedEOF
		}
		time.Sleep(10 * time.Millisecond)
	}
	return n, err
}

// hungUp reports whether the other side of a connection has ended it, whatever is still
// to be read.
func hungUp(c net.Conn) bool {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	gone := true // where ours is closed
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		_, _ = unix.Poll(fds, 0)
		gone = fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone
}
