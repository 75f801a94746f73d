package inner

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/process"
)

// pair is a wire: a helper's end and a raw one.
func pair(t *testing.T) (*Conn, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return &Conn{c: ends[0]}, ends[1]
}

// Any bytes are a job's words: they arrive as they are.
func TestJobArrives(t *testing.T) {
	c, u := pair(t)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	long := strings.Repeat("x", 1<<20)
	j := &Job{Root: "/r", Path: "/p", Args: []string{"a\xff", "", long}, Env: []string{"K=\x01\xfe"}, Dir: "/d", UID: 1, Limits: []process.Rlimit{{Resource: 1, Soft: 2, Hard: 3}}}
	if err := c.Start(j, null, null, null); err != nil {
		t.Fatal(err)
	}
	m, files, err := receive(u)
	if err != nil || m.Kind != run || len(files) != 4 {
		t.Fatalf("got %+v, %d files, %v", m, len(files), err)
	}
	defer closeAll(files)
	got, err := readJob(files[0])
	if err != nil || !reflect.DeepEqual(got, j) {
		t.Errorf("got %.200v, %v", got, err)
	}
}

func TestWireRefuses(t *testing.T) {
	for name, say := range map[string]func(*testing.T, *net.UnixConn){
		"nothing":   func(_ *testing.T, u *net.UnixConn) { _ = u.Close() },
		"no gob":    func(_ *testing.T, u *net.UnixConn) { _, _ = u.Write([]byte("hello")) },
		"other":     func(t *testing.T, u *net.UnixConn) { must(t, send(u, message{Kind: hello})) },
		"no end":    func(t *testing.T, u *net.UnixConn) { must(t, send(u, message{Kind: ended})) },
		"too long":  func(_ *testing.T, u *net.UnixConn) { _, _ = u.Write(make([]byte, maxMessage+1)) },
		"too many":  func(t *testing.T, u *net.UnixConn) { must(t, send(u, message{Kind: done}, many(t, maxFiles+8)...)) },
		"half shut": func(_ *testing.T, u *net.UnixConn) { _ = u.CloseWrite() },
	} {
		c, u := pair(t)
		say(t, u)
		if e, err := c.Wait(); err == nil {
			t.Errorf("%s: taken for %+v", name, e)
		}
		if c.Alive() && name == "nothing" {
			t.Error("a wire that is cut is alive")
		}
	}
	c, u := pair(t)
	if !c.Alive() {
		t.Error("a silent wire is dead")
	}
	if err := c.Place([]string{strings.Repeat("x", maxMessage)}, false); err == nil {
		t.Error("a message that is too long was sent")
	}
	must(t, send(u, message{Kind: done, Error: "it stays"}))
	if err := c.Sweep(); err == nil || err.Error() != "it stays" {
		t.Errorf("got %v", err)
	}
	_ = u.Close()
	if _, err := c.Wait(); err == nil {
		t.Error("a wire that is cut says something")
	}
}

func many(t *testing.T, n int) (files []*os.File) {
	t.Helper()
	for range n {
		f, err := os.Open(os.DevNull)
		must(t, err)
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	return files
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSettingSurvives(t *testing.T) {
	s := Setting{Command: []string{"/i/ld.so", "--library-path", "/i", "/i/p"}, Socket: "/s", Root: "/r", Late: "/l", UID: 3, GID: 4}
	words := s.Words()[len(s.Command):]
	got, err := parseSetting(words[2:])
	if words[0] != word || words[1] != initWord || err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, %v of %q", got, err, words)
	}
	for _, bad := range [][]string{nil, {"/s", "/r", "/l", "", "x", "4", "/p"}, {"/s", "/r", "/l", "", "3", "", "/p"}} {
		if _, err := parseSetting(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestMainIsNotForOthers(t *testing.T) {
	for _, args := range [][]string{nil, {"serve"}, {word}, {"x", word}} {
		if handled, _ := Main(args); handled {
			t.Errorf("%q was taken", args)
		}
	}
	if handled, exit := Main([]string{word, "x"}); !handled || exit != 1 {
		t.Errorf("an unknown word: %v, %d", handled, exit)
	}
}

// TestEvents reads made-up trees of both versions of the kernel's interface.
func TestEvents(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"v2":   {"memory.events": "low 0\noom 3\noom_kill 2\n", "pids.events": "max 5\n"},
		"v1":   {"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "pids/pids.events": "max 5\n"},
		"none": {},
		"odd":  {"memory.events": "oom_kill\noom_kill x\n"},
	} {
		dir := t.TempDir()
		for file, text := range files {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755))
			must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
		}
		want := Events{2, 5}
		if name == "none" || name == "odd" {
			want = Events{}
		}
		if got := readEvents(dir); got != want {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// TestEmpty: nothing of a job's stays in a writable directory, not even another name of
// a file that is not its own; what all jobs have does.
func TestEmpty(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is process 1 of a container")
	}
	root, err := os.MkdirTemp("", "inner-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	must(t, os.Chmod(root, 0o755))
	s := &server{Setting: Setting{Root: root, Out: "/out", UID: 4711, GID: 4711}}
	for _, dir := range s.writable() {
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.Chmod(dir, 0o777|os.ModeSticky))
		must(t, os.WriteFile(filepath.Join(dir, "kept"), nil, 0o644))
	}
	must(t, s.keep())
	for _, dir := range s.writable() {
		must(t, s.as(func() error {
			deep := filepath.Join(dir, "own", "deep")
			must(t, os.MkdirAll(deep, 0o700))
			must(t, os.WriteFile(filepath.Join(deep, "f"), nil, 0o600))
			must(t, os.Chmod(deep, 0))
			return os.Symlink("kept", filepath.Join(dir, "link"))
		}))
		must(t, os.Link(filepath.Join(dir, "kept"), filepath.Join(dir, "another name")))
		must(t, os.Link(filepath.Join(dir, "kept"), filepath.Join(dir, "own", "another name")))
		must(t, s.empty(dir))
		left, err := filepath.Glob(dir + "/*")
		must(t, err)
		if len(left) != 1 || left[0] != filepath.Join(dir, "kept") {
			t.Errorf("%q stay", left)
		}
	}
}
