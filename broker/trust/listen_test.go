package trust

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// door is a listener with everything that it let in and turned away.
type door struct {
	net.Listener
	in      chan *Conn
	mu      sync.Mutex // guards refused
	refused []string
}

func open(t *testing.T, addr string, allow AllowList, l Limits) *door {
	t.Helper()
	d := &door{in: make(chan *Conn, 1000)}
	l.Refused = func(_ net.Addr, why string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.refused = append(d.refused, why)
	}
	inner, err := Listen(addr, allow, l)
	if err != nil {
		t.Fatal(err)
	}
	d.Listener = inner
	t.Cleanup(func() { inner.Close() })
	go func() {
		for {
			c, err := inner.Accept()
			if err != nil {
				return
			}
			d.in <- c.(*Conn)
		}
	}()
	return d
}

func (d *door) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial(d.Addr().Network(), d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// accepted is the next connection that was let in.
func (d *door) accepted(t *testing.T) *Conn {
	t.Helper()
	select {
	case c := <-d.in:
		t.Cleanup(func() { c.Close() })
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("no connection was let in")
		return nil
	}
}

// closed fails unless the door closes c.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("connection is open: read %d bytes, %v", n, err)
	}
}

func (d *door) saw(t *testing.T, why string) {
	t.Helper()
	for range 1000 {
		d.mu.Lock()
		all := strings.Join(d.refused, "\n")
		d.mu.Unlock()
		if strings.Contains(all, why) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nothing was refused because %s: %q", why, d.refused)
}

func mustAllow(t *testing.T, words ...string) AllowList {
	t.Helper()
	l, err := ParseAllow(words)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestListenNeedsAllow(t *testing.T) {
	tests := []struct {
		addr  string
		allow []string
		says  string // "" when it listens
	}{
		{"127.0.0.1:0", nil, ""},
		{"localhost:0", nil, ""},
		{"127.1.2.3:0", nil, ""},
		{":0", nil, "none is allowed: allow some (--allow 192.168.1.0/24)"},
		{"0.0.0.0:0", nil, "none is allowed"},
		{"[::]:0", nil, "none is allowed"},
		{"0.0.0.0:0", []string{"10.0.0.0/8"}, ""},
		{":0", []string{"10.0.0.0/8"}, ""},
		{"127.0.0.1", nil, "expected HOST:PORT"},
		{"127.0.0.1:99999", nil, "expected HOST:PORT"},
		{"off", nil, "expected HOST:PORT"},
		{"", nil, "expected HOST:PORT"},
		{"unix:relative", nil, "must be absolute"},
		{"unix:", nil, "must be absolute"},
		{"unix:/nonexistent-crosscc/s", nil, "no such file"},
		{"192.0.2.1:0", []string{"10.0.0.0/8"}, "cannot assign"},
	}
	for _, tt := range tests {
		l, err := Listen(tt.addr, mustAllow(t, tt.allow...), Limits{})
		if err == nil {
			l.Close()
		}
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Listen(%q, %q): %v, want %q", tt.addr, tt.allow, err, tt.says)
		}
	}
}

func TestLimitPerAddress(t *testing.T) {
	d := open(t, "127.0.0.1:0", AllowList{}, Limits{PerLoopback: 3})
	var in []*Conn
	for range 3 {
		d.dial(t)
		in = append(in, d.accepted(t))
	}
	closed(t, d.dial(t))
	d.saw(t, "its address has 3 connections open")

	in[0].Authenticated() // makes room once, however often it is said
	in[0].Authenticated()
	in[0].Close()
	d.dial(t)
	d.accepted(t)
	closed(t, d.dial(t))

	in[1].Close()
	d.dial(t)
	d.accepted(t)
}

func TestLimitTotal(t *testing.T) {
	d := open(t, "127.0.0.1:0", AllowList{}, Limits{Total: 2})
	d.dial(t)
	d.dial(t)
	d.accepted(t)
	d.accepted(t)
	closed(t, d.dial(t))
	d.saw(t, "2 connections are open")
}

// TestDefaultLimits checks the design's figures, with a gate alone.
func TestDefaultLimits(t *testing.T) {
	enterAll := func(g *gate, peer string, n int) (in int) {
		for range n {
			if g.enter(netip.MustParseAddr(peer)) == "" {
				in++
			}
		}
		return in
	}
	fresh := func() *gate {
		return &gate{limits: Limits{}.withDefaults(), held: make(map[netip.Addr]int)}
	}
	if in := enterAll(fresh(), "10.0.0.1", 300); in != 16 {
		t.Errorf("one address holds %d connections, want 16", in)
	}
	if in := enterAll(fresh(), "127.0.0.1", 300); in != 64 {
		t.Errorf("loopback holds %d connections, want 64", in)
	}
	g := fresh()
	total := 0
	for i := range 40 {
		total += enterAll(g, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String(), 16)
	}
	if total != 256 {
		t.Errorf("%d connections in all, want 256", total)
	}
	for peer, n := range g.held {
		for range n {
			g.leave(peer)
		}
	}
	if g.total != 0 || len(g.held) != 0 {
		t.Errorf("all left and %d connections, %d addresses are still counted", g.total, len(g.held))
	}
}

func TestSilentPeer(t *testing.T) {
	d := open(t, "127.0.0.1:0", AllowList{}, Limits{FirstByte: 50 * time.Millisecond, PerLoopback: 1})
	silent := d.dial(t)
	c := d.accepted(t)
	c.SetDeadline(time.Now().Add(time.Hour)) // as servers do; must not lengthen the wait
	_, err := c.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "sent nothing within 50ms") {
		t.Fatalf("read from a silent peer: %v", err)
	}
	closed(t, silent)

	d.dial(t) // the place is free again, though the server closed nothing
	d.accepted(t)
}

func TestTalkingPeerStays(t *testing.T) {
	d := open(t, "127.0.0.1:0", AllowList{}, Limits{FirstByte: 50 * time.Millisecond})
	peer := d.dial(t)
	c := d.accepted(t)
	for _, pause := range []time.Duration{0, 150 * time.Millisecond} {
		time.Sleep(pause)
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatalf("read after %s: %v", pause, err)
		}
	}
}

func TestAddressNotAllowed(t *testing.T) {
	// Every address of this machine that is not loopback is not in the list.
	d := open(t, "0.0.0.0:0", mustAllow(t, "203.0.113.0/24"), Limits{})
	_, port, err := net.SplitHostPort(d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d.accepted(t)

	inner := d.Listener.(*listener)
	stranger := addressed{&net.TCPAddr{IP: net.IPv4(198, 51, 100, 1)}}
	if _, why := inner.admit(stranger); why != "its address is not allowed" {
		t.Errorf("a stranger is let in: %q", why)
	}
	friend := addressed{&net.TCPAddr{IP: net.ParseIP("::ffff:203.0.113.9")}}
	if _, why := inner.admit(friend); why != "" {
		t.Errorf("a friend is not let in: %s", why)
	}
}

// addressed is a connection of which only the peer's address matters.
type addressed struct{ peer net.Addr }

func (a addressed) RemoteAddr() net.Addr             { return a.peer }
func (addressed) LocalAddr() net.Addr                { return nil }
func (addressed) Read([]byte) (int, error)           { return 0, io.EOF }
func (addressed) Write([]byte) (int, error)          { return 0, io.EOF }
func (addressed) Close() error                       { return nil }
func (addressed) SetDeadline(time.Time) error        { return nil }
func (addressed) SetReadDeadline(t time.Time) error  { return nil }
func (addressed) SetWriteDeadline(t time.Time) error { return nil }

func TestUnixDoor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	d := open(t, "unix:"+path, AllowList{}, Limits{Total: 1, FirstByte: time.Millisecond})
	st, err := os.Lstat(path)
	if err != nil || st.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("socket has mode %v, %v, want 0600", st.Mode(), err)
	}
	for range 3 { // no limit counts peers whose uid is known
		d.dial(t)
		c := d.accepted(t)
		uid, pid, err := PeerUID(c.NetConn().(*net.UnixConn))
		if err != nil || uid != os.Getuid() || pid != os.Getpid() {
			t.Fatalf("peer is uid %d pid %d, %v", uid, pid, err)
		}
	}
	if _, err := Listen("unix:"+path, AllowList{}, Limits{}); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("second listener: %v", err)
	}
	d.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("socket is there after close: %v", err)
	}
}

func TestUnixDoorReplacesDeadSocketOnly(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	again, err := Listen("unix:"+dead, AllowList{}, Limits{})
	if err != nil {
		t.Fatalf("a dead socket is in the way: %v", err)
	}
	again.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:"+file, AllowList{}, Limits{}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file is in the way: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file is now %q", b)
	}
}

func TestServes(t *testing.T) {
	tests := []struct {
		own, peer int
		want      bool
	}{
		{1000, 1000, true},
		{1000, 0, true},
		{1000, 1001, false},
		{1000, 65534, false},
		{1000, -1, false},
		{0, 0, true},
		{0, 1000, false},
	}
	for _, tt := range tests {
		if got := serves(tt.own, tt.peer); got != tt.want {
			t.Errorf("serves(%d, %d) = %v", tt.own, tt.peer, got)
		}
	}
}

// TestPeerUIDOfChild asks who another process is: this test binary, run again.
func TestPeerUIDOfChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHelperDial$")
	cmd.Env = []string{"CROSSCC_TEST_DIAL=" + path}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	l.SetDeadline(time.Now().Add(10 * time.Second))
	c, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	uid, pid, err := PeerUID(c)
	if err != nil || uid != os.Getuid() || pid != cmd.Process.Pid {
		t.Errorf("peer is uid %d pid %d, %v; want %d %d", uid, pid, err, os.Getuid(), cmd.Process.Pid)
	}
}

// TestHelperDial is the other process of TestPeerUIDOfChild, and nothing else.
func TestHelperDial(t *testing.T) {
	path := os.Getenv("CROSSCC_TEST_DIAL")
	if path == "" {
		return
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.Copy(io.Discard, os.Stdin)
}

func TestPeerUIDOfClosed(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[1])
	f := os.NewFile(uintptr(fds[0]), "socket")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if uid, _, err := PeerUID(c.(*net.UnixConn)); err == nil || uid != -1 {
		t.Errorf("closed connection has uid %d, %v", uid, err)
	}
}
