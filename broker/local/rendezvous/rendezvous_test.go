package rendezvous

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be a crossccd when it is called by that name:
// it notes its start, its descriptors and its arguments, and serves until it
// is killed.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "crossccd" {
		os.Exit(fakeAgent())
	}
	os.Exit(m.Run())
}

func fakeAgent() int {
	dir := os.Getenv("CROSSCC_DIR")
	log, err := os.OpenFile(filepath.Join(dir, "starts"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	defer log.Close()
	cwd, _ := os.Getwd()
	_, _ = log.WriteString(strings.Join([]string{strconv.Itoa(os.Getpid()), strings.Join(os.Args[1:], " "), cwd, os.Getenv("MAKEFLAGS")}, "|") + "\n")
	slack, _ := os.ReadFile("/proc/self/timerslack_ns")
	if err := os.WriteFile(filepath.Join(dir, "slack"), slack, 0o600); err != nil {
		return 1
	}
	if _, err := os.Stat(filepath.Join(dir, "broken")); err == nil {
		return 7
	}
	l, err := Listen(os.Args[3])
	if err != nil {
		return 2
	}
	defer l.Close()
	for {
		conn, _, err := l.Accept()
		if err != nil {
			return 0
		}
		defer conn.Close()
	}
}

// bed is a place for an agent, with a crossccd beside a crosscc.
func bed(t *testing.T) (d Dirs, environ []string, executable string) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "crossccd")); err != nil {
		t.Fatal(err)
	}
	environ = []string{"CROSSCC_DIR=" + filepath.Join(dir, "state"), "MAKEFLAGS=-j --jobserver-auth=3,4", "PATH=/nonexistent"}
	d, err = DirsOf(environ)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, line := range starts(t, d) {
			if pid, err := strconv.Atoi(strings.Split(line, "|")[0]); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return d, environ, filepath.Join(dir, "crosscc")
}

func starts(t *testing.T, d Dirs) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.State, "starts"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func TestConnectStartsOneAgent(t *testing.T) {
	d, environ, executable := bed(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			conn, err := Connect(d, environ, executable)
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
		})
	}
	all.Wait()
	list := starts(t, d)
	if len(list) != 1 {
		t.Fatalf("%d agents started: %q", len(list), list)
	}
	_, rest, _ := strings.Cut(list[0], "|")
	if want := "agent --socket " + d.Socket + "|/|"; rest != want {
		t.Errorf("started with %q, want %q", rest, want)
	}
	if info, err := os.Lstat(d.Socket); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
}

// What a build leaves open must not live on in the agent: here a pipe whose
// reader would wait for ever.
func TestAgentGetsNoDescriptor(t *testing.T) {
	d, environ, executable := bed(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	kept, err := syscall.Dup(int(w.Fd())) // not close-on-exec, like a jobserver's
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	conn, err := Connect(d, environ, executable)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cmd := exec.Command("/bin/sh", "-c", "echo still >/proc/self/fd/"+strconv.Itoa(kept))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the descriptor is lost for later programs: %v %s", err, out)
	}
	syscall.Close(kept)
	_ = r.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 100)
	n, _ := r.Read(buf)
	if m, err := r.Read(buf[n:]); err == nil || os.IsTimeout(err) {
		t.Errorf("the pipe is still open somewhere: %d %v", m, err)
	}
}

func TestConnectSaysWhyTheAgentDoesNotStart(t *testing.T) {
	d, environ, executable := bed(t)
	if err := os.MkdirAll(d.State, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.State, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := "crossccd ended at once with status 7; see " + d.Log()
	if _, err := Connect(d, environ, executable); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want …%q", err, want)
	}
	// The next compile of the build must not pay for that again.
	before := len(starts(t, d))
	if _, err := Connect(d, environ, executable); err == nil || !strings.Contains(err.Error(), want+" (tried less than a minute ago)") {
		t.Errorf("second time: %v", err)
	}
	if after := len(starts(t, d)); after != before || before != maxStarts {
		t.Errorf("started %d and %d times, want %d once", before, after, maxStarts)
	}
	old := time.Now().Add(-2 * markLife)
	if err := os.Chtimes(markOf(d.Socket), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(d.State, "broken")); err != nil {
		t.Fatal(err)
	}
	conn, err := Connect(d, environ, executable)
	if err != nil {
		t.Fatalf("after the mark's time: %v", err)
	}
	conn.Close()
	if err := d.markedFailed(); err != nil {
		t.Errorf("an agent that serves left the mark: %v", err)
	}
}

// A log that has grown large is put aside by the next agent, and the one before that goes.
func TestLogIsBounded(t *testing.T) {
	s := &starter{dirs: Dirs{State: t.TempDir()}}
	for _, tt := range []struct {
		size  int64
		aside bool
	}{{maxLog, false}, {maxLog + 1, true}, {maxLog + 2, true}} {
		f, err := s.openLog()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(tt.size); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if f, err = s.openLog(); err != nil {
			t.Fatal(err)
		}
		st, err := f.Stat()
		f.Close()
		old, errOld := os.Stat(s.dirs.Log() + ".old")
		if err != nil || tt.aside != (st.Size() == 0) || tt.aside != (errOld == nil && old.Size() == tt.size) {
			t.Errorf("of %d bytes: a log of %d, %v, and %v", tt.size, st.Size(), err, errOld)
		}
	}
	if left, err := os.ReadDir(s.dirs.State); err != nil || len(left) != 2 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestConnectWithoutCrossccd(t *testing.T) {
	d, environ, _ := bed(t)
	_, err := Connect(d, environ, "/nonexistent/crosscc")
	if err == nil || err.Error() != "crossccd is neither beside /nonexistent/crosscc nor on PATH" {
		t.Errorf("got %v", err)
	}
	path := filepath.Dir(filepath.Dir(d.State)) // has no crossccd
	if name, err := agentProgram([]string{"PATH=.:" + path}, ""); err == nil {
		t.Errorf("found %s", name)
	}
	if name, err := agentProgram([]string{"PATH=.:" + filepath.Dir(d.State)}, ""); err != nil || name != filepath.Dir(d.State)+"/crossccd" {
		t.Errorf("on PATH: %q, %v", name, err)
	}
}

func TestListenServesAlone(t *testing.T) {
	d, _, _ := bed(t)
	first, err := Listen(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(d.Socket); !errors.Is(err, ErrServed) {
		t.Errorf("second: %v, want %v", err, ErrServed)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Accept(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	second, err := Listen(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_ = first.Close() // must not take the second's socket
	if conn, err := Dial(d.Socket); err != nil {
		t.Errorf("after a second close of the first: %v", err)
	} else {
		conn.Close()
	}
}

func TestDial(t *testing.T) {
	d, _, _ := bed(t)
	if _, err := Dial(d.Socket); !errors.Is(err, ErrNoAgent) {
		t.Errorf("no directory: %v", err)
	}
	l, err := Listen(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan Peer, 1)
	go func() {
		if conn, peer, err := l.Accept(); err == nil {
			accepted <- peer
			conn.Close()
		}
	}()
	conn, err := Dial(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got, want := <-accepted, (Peer{UID: os.Geteuid(), PID: os.Getpid()}); got != want {
		t.Errorf("peer %v, want %v", got, want)
	}
	l.file.Close() // as if killed: the name stays
	if _, err := Dial(d.Socket); !errors.Is(err, ErrNoAgent) {
		t.Errorf("stale socket: %v", err)
	}
	l.held.Close()
	again, err := Listen(d.Socket)
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	again.Close()
}

func TestDialRefusesOpenDirectories(t *testing.T) {
	d, _, _ := bed(t)
	l, err := Listen(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := filepath.Dir(d.Socket)
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(d.Socket); err == nil || !strings.Contains(err.Error(), "is open to other users (mode 0750, want 0700)") {
		t.Errorf("mode 0750: %v", err)
	}
	if _, err := Listen(d.Socket); err == nil {
		t.Error("listens in a directory of mode 0750")
	}
	_ = os.Chmod(dir, 0o700)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(filepath.Join(link, "agent.sock")); err == nil || !strings.Contains(err.Error(), "is not a directory") {
		t.Errorf("a link for a directory: %v", err)
	}
	if err := checkDir("/"); os.Geteuid() != 0 && err == nil {
		t.Error("root's directory passes")
	}
}

func TestPeersOfOtherUsers(t *testing.T) {
	if err := checkAgent(Peer{UID: 1000, PID: 5}, 1001); err == nil || err.Error() != "the agent (process 5) belongs to uid 1000, not to uid 1001" {
		t.Errorf("another user's agent: %v", err)
	}
	if checkAgent(Peer{UID: 0}, 1000) == nil || checkAgent(Peer{UID: 1000}, 1000) != nil || checkAgent(Peer{UID: 1000}, 0) == nil {
		t.Error("an agent serves only wrappers of its own uid")
	}
	if !mayAsk(Peer{UID: 7}, 7) || !mayAsk(Peer{UID: 0}, 7) || mayAsk(Peer{UID: 8}, 7) {
		t.Error("wrappers: own uid and root, no other")
	}
}

func TestLongSocketPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("d", 200), "agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestDirsOf(t *testing.T) {
	runtime := t.TempDir()
	if err := os.Chmod(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		environ       []string
		socket, state string
	}{
		{[]string{"HOME=/h"}, "/h/.local/state/crosscc/run/agent.sock", "/h/.local/state/crosscc"},
		{[]string{"HOME=/h", "XDG_STATE_HOME=/s"}, "/s/crosscc/run/agent.sock", "/s/crosscc"},
		{[]string{"HOME=/h", "XDG_RUNTIME_DIR=" + runtime}, runtime + "/crosscc/agent.sock", "/h/.local/state/crosscc"},
		{[]string{"HOME=/h", "XDG_RUNTIME_DIR=" + open}, "/h/.local/state/crosscc/run/agent.sock", "/h/.local/state/crosscc"},
		{[]string{"HOME=/h", "XDG_RUNTIME_DIR=/nonexistent"}, "/h/.local/state/crosscc/run/agent.sock", "/h/.local/state/crosscc"},
		{[]string{"HOME=/h", "XDG_RUNTIME_DIR=" + runtime, "CROSSCC_DIR=/d"}, "/d/run/agent.sock", "/d"},
		{[]string{"CROSSCC_SOCKET=/r/x", "CROSSCC_DIR=/d"}, "/r/x", "/d"},
		{[]string{"CROSSCC_SOCKET=/r/x", "HOME=/h"}, "/r/x", "/h/.local/state/crosscc"},
		{nil, "", ""},
		{[]string{"HOME=h"}, "", ""},
		{[]string{"CROSSCC_DIR=d"}, "", ""},
	}
	for _, tc := range tests {
		d, err := DirsOf(tc.environ)
		if d.Socket != tc.socket && err == nil || d.State != tc.state || (err != nil) != (tc.socket == "") {
			t.Errorf("DirsOf(%q) = %+v, %v; want %q, %q", tc.environ, d, err, tc.socket, tc.state)
		}
	}
}
