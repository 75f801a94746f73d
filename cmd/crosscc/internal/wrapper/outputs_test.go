package wrapper

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/local"
)

// finishing serves f and, should the wrapper fail to write, Exec; the channel
// gets what the wrapper said of each.
func (b *bed) finishing(f local.Finish, files ...*os.File) <-chan string {
	b.t.Helper()
	said := make(chan string, 10)
	l := b.serve(func(c *local.Client) {
		wrote, err := c.Finish(c.Context(), f, files...)
		if err != nil {
			said <- "error: " + err.Error()
			return
		}
		said <- wrote.Err
		if wrote.Err != "" {
			_ = c.Exec(local.Exec{})
		}
	})
	if t, ok := b.t.(*testing.T); ok {
		t.Cleanup(func() { l.Close() })
	}
	return said
}

func TestFinish(t *testing.T) { bothSystems(t, testFinish) }

func testFinish(t *testing.T, b *bed) {
	big, err := os.CreateTemp(t.TempDir(), "")
	b.must(err)
	defer big.Close()
	_, err = big.Write(make([]byte, 3<<20))
	b.must(err)
	b.must(os.Mkdir(filepath.Join(b.dir, "out"), 0o755))
	long := strings.Repeat("n", 255)
	for name, mode := range map[string]os.FileMode{"old.o": 0o640, "old.s": 0o640, "gone.o": 0o600} {
		b.must(os.WriteFile(filepath.Join(b.dir, name), []byte("old"), mode))
	}
	said := b.finishing(local.Finish{
		Outputs: []local.Output{
			{Path: "out/a.o", File: -1, Data: []byte("object")},
			{Path: filepath.Join(b.dir, "big.o"), File: 0},
			{Path: "a.out", Executable: true, File: -1},
			{Path: long, File: -1, Data: []byte("x")},
			{Path: "old.o", File: -1, Data: []byte("new")},
			{Path: "old.s", File: -1, Data: []byte("new"), Keep: true},
			{Path: "other.o", File: -1, Data: []byte("new"), Mode: 0o666},
		},
		Remove: []string{"gone.o", "nothing.o", "/dev/null"},
		Stdout: []byte("to stdout"), Stderr: []byte("warning"), Status: 3 << 8,
	}, big)
	old := syscall.Umask(0o027)
	got := b.run(nil, "gcc")
	syscall.Umask(old)
	b.want(got, 3, "to stdout", "warning")
	if s := <-said; s != "" {
		t.Errorf("the wrapper said %q", s)
	}
	tests := []struct {
		name string
		mode os.FileMode
		size int64
	}{
		{"out/a.o", 0o640, 6}, {"big.o", 0o640, 3 << 20}, {"a.out", 0o750, 0}, {long, 0o640, 1}, {"old.o", 0o640, 3}, {"old.s", 0o640, 3}, {"other.o", 0o666, 3},
	}
	for _, tc := range tests {
		info, err := os.Lstat(filepath.Join(b.dir, tc.name))
		if err != nil || info.Mode() != tc.mode || info.Size() != tc.size {
			t.Errorf("%s: %v %v", tc.name, info, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(b.dir, "gone.o")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("gone.o: %v", err)
	}
	b.noTemps()
}

func (b *bed) noTemps() {
	b.t.Helper()
	left, err := filepath.Glob(filepath.Join(b.dir, ".crosscc-*"))
	b.must(err)
	if len(left) > 0 {
		b.t.Errorf("left behind: %q", left)
	}
}

// Where a plain file can't be put in place nothing is touched, and the real
// compiler says what is wrong.
func TestOddOutputs(t *testing.T) {
	b := newBed(t)
	in := func(name string) string { return filepath.Join(b.dir, name) }
	b.must(os.Mkdir(in("dir"), 0o755))
	b.must(os.WriteFile(in("target"), []byte("old"), 0o644))
	b.must(os.WriteFile(in("one"), []byte("old"), 0o644))
	b.must(os.Link(in("one"), in("two")))
	link(t, "target", in("link"))
	link(t, "nowhere", in("dangling"))
	b.must(syscall.Mkfifo(in("fifo"), 0o644))
	tests := []struct {
		output local.Output
		want   string
	}{
		{local.Output{Path: "/dev/null"}, "/dev/null is not a regular file"},
		{local.Output{Path: "link"}, "link is not a regular file"},
		{local.Output{Path: "dangling"}, "dangling is not a regular file"},
		{local.Output{Path: "fifo"}, "fifo is not a regular file"},
		{local.Output{Path: "dir"}, "dir is not a regular file"},
		{local.Output{Path: "two", Keep: true}, "two has several hard links"},
		{local.Output{Path: "nodir/a.o"}, "no such file or directory"},
		{local.Output{Path: "target/a.o"}, "not a directory"},
		{local.Output{Path: "/proc/self/a.o"}, "/proc/self/"},
		{local.Output{Path: ""}, "no such file"},
		{local.Output{Path: strings.Repeat("n", 256)}, "file name too long"},
		{local.Output{Path: "a.o", File: 1}, "descriptor 1 of 0"},
	}
	for _, tc := range tests {
		if tc.output.File == 0 {
			tc.output.File = -1
		}
		g := &guard{}
		f := local.Finish{Outputs: []local.Output{{Path: in("first.o"), File: -1, Data: []byte("x")}, tc.output}}
		wd, err := os.Getwd()
		b.must(err)
		b.must(os.Chdir(b.dir))
		err = g.write(f, nil)
		b.must(os.Chdir(wd))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.output.Path, err, tc.want)
		}
		b.noTemps()
	}
	if got, _ := os.ReadFile(in("target")); string(got) != "old" {
		t.Errorf("the link's target became %q", got)
	}
	said := b.finishing(local.Finish{Outputs: []local.Output{{Path: "link", File: -1}}, Stdout: []byte("never printed")})
	b.want(b.run(nil, "gcc", "-o", "link"), 9, "real "+b.path("usr/gcc")+" -o link level=1\n", "")
	if s := <-said; s != "link is not a regular file" {
		t.Errorf("the wrapper said %q", s)
	}
}

// As a plain user: read-only directories and read-only files.
func TestUnwritableOutputs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ro.o"), []byte("old"), 0o444); err != nil {
		t.Fatal(err)
	}
	asUser(t, dir, func() {
		err := (&guard{}).write(local.Finish{Outputs: []local.Output{{Path: filepath.Join(dir, "ro.o"), File: -1}}}, nil)
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("read-only file: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	asUser(t, dir, func() {
		err := (&guard{}).write(local.Finish{Outputs: []local.Output{{Path: filepath.Join(dir, "a.o"), File: -1}}}, nil)
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("read-only directory: %v", err)
		}
	})
}

// asUser runs f without root's rights over files, with dir the user's own.
func asUser(t *testing.T, dir string, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if err := os.Chown(p, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(dir, "ro.o"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // on a thread of its own, which ends with it
		defer close(done)
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			t.Error(errno)
		}
		f()
	}()
	<-done
}

func TestStatusBySignal(t *testing.T) {
	b := newBed(t)
	for _, sig := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGABRT} {
		l := b.serve(func(c *local.Client) {
			_, _ = c.Finish(c.Context(), local.Finish{Status: int(sig) | 0x80, Stderr: []byte("boom")})
		})
		got := b.run(nil, "gcc")
		if !got.status.Signaled() || got.status.Signal() != sig || got.status.CoreDump() || got.stderr != "boom" {
			t.Errorf("%v: %+v", sig, got)
		}
		l.Close()
	}
}

// The object comes last, so that no build finds one without its dependencies.
func TestFinishOrder(t *testing.T) {
	bothSystems(t, func(t *testing.T, b *bed) {
		names := []string{"a.o", "a.dwo", "a.d"}
		var f local.Finish
		for _, name := range names {
			b.must(os.WriteFile(filepath.Join(b.dir, name), []byte("old"), 0o644))
			f.Outputs = append(f.Outputs, local.Output{Path: name, File: -1, Data: []byte(name)})
		}
		fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
		b.must(err)
		defer syscall.Close(fd)
		_, err = syscall.InotifyAddWatch(fd, b.dir, syscall.IN_CREATE|syscall.IN_MOVED_TO)
		b.must(err)
		b.finishing(f)
		b.want(b.run(nil, "gcc"), 0, "", "")
		events := make([]byte, 64<<10)
		n, err := syscall.Read(fd, events)
		b.must(err)
		var got []string
		for events = events[:n]; len(events) > 0; {
			size := syscall.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
			name := strings.TrimRight(string(events[syscall.SizeofInotifyEvent:size]), "\x00")
			if slices.Contains(names, name) {
				got = append(got, name)
			}
			events = events[size:]
		}
		slices.Reverse(got)
		if !slices.Equal(got, names) {
			t.Errorf("put in place, the last first: %q, want %q", got, names)
		}
	})
}

// A signal in the midst of writing: no temporary file, no output, and make sees
// the signal.
func TestSignalWhileWriting(t *testing.T) {
	bothSystems(t, func(t *testing.T, b *bed) {
		signalWhileWriting(t, b, syscall.SIGINT)
	})
	t.Run("new, killed", func(t *testing.T) { signalWhileWriting(t, newBed(t), syscall.SIGKILL) })
}

func signalWhileWriting(t *testing.T, b *bed, sig syscall.Signal) {
	endless, err := os.CreateTemp(t.TempDir(), "")
	b.must(err)
	defer endless.Close()
	b.must(endless.Truncate(64 << 30)) // a hole: reading it takes long, the test does not
	said := b.finishing(local.Finish{Outputs: []local.Output{{Path: "small.o", File: -1}, {Path: "a.o", File: 0}}}, endless)
	cmd := b.command(nil, "gcc")
	b.must(cmd.Start())
	for deadline := time.Now().Add(10 * time.Second); b.writing(cmd.Process.Pid) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the wrapper does not write")
		}
	}
	b.must(cmd.Process.Signal(sig))
	_ = cmd.Wait()
	if s := <-said; s != "error: the wrapper is gone" {
		t.Errorf("the agent heard %q", s)
	}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
		t.Errorf("ended with %#x", status)
	}
	if left, _ := os.ReadDir(b.dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// writing is how many outputs are being written, with a temporary name or none.
func (b *bed) writing(pid int) int {
	temps, err := filepath.Glob(filepath.Join(b.dir, ".crosscc-*"))
	b.must(err)
	fds, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd/*"))
	b.must(err)
	n := len(temps)
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, b.dir+"/#") {
			n++
		}
	}
	return n
}

// signals are those that end a wrapper, of which none is ignored by what is started here:
// what nohup has started ignores one, and a wrapper leaves it so.
func signals(t *testing.T) []syscall.Signal {
	heard := make(chan os.Signal, 9)
	signal.Notify(heard, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	return []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
}

// A signal while the agent works and nothing runs for it: the agent hears of it.
func TestSignalWhileAgentWorks(t *testing.T) {
	for _, sig := range signals(t) {
		b := newBed(t)
		asked, gone := make(chan int, 1), make(chan error, 1)
		b.serve(func(c *local.Client) {
			asked <- 1
			<-c.Context().Done()
			gone <- context.Cause(c.Context())
		})
		cmd := b.command([]string{"CROSSCC_FALLBACK=0"}, "gcc")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		b.must(cmd.Start())
		<-asked
		b.must(cmd.Process.Signal(sig))
		_ = cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig || out.String() != "" {
			t.Errorf("%v: ended with %#x, said %q", sig, status, out.String())
		}
		if err := <-gone; err == nil || err.Error() != "the wrapper is gone" {
			t.Errorf("%v: the agent heard %v", sig, err)
		}
	}
}

// A signal while a program runs for the agent: the agent hears of it, the program
// goes with its children.
func TestSignalWhileWaiting(t *testing.T) {
	for _, sig := range signals(t) {
		b := newBed(t)
		r, w, err := os.Pipe()
		b.must(err)
		gone := make(chan error, 1)
		b.serve(func(c *local.Client) {
			script := "echo up; sleep 60 & sleep 60"
			null, _ := os.Open(os.DevNull)
			_, err := c.Run(c.Context(), local.Run{Path: "/bin/sh", Args: []string{"sh", "-c", script}}, nil, w, null)
			gone <- err
		})
		cmd := b.command([]string{"CROSSCC_FALLBACK=0"}, "gcc")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		b.must(cmd.Start())
		_, _ = r.Read(make([]byte, 3))
		b.must(cmd.Process.Signal(sig))
		_ = cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig || out.String() != "" {
			t.Errorf("%v: ended with %#x, said %q", sig, status, out.String())
		}
		if err := <-gone; err == nil {
			t.Errorf("%v: the agent did not hear of it", sig)
		}
		_ = r.SetReadDeadline(time.Now().Add(2 * time.Second))
		if n, err := r.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
			t.Errorf("%v: what ran for the agent lives on", sig)
		}
		r.Close()
	}
}

// A wrapper that is killed outright takes its program along as well.
func TestKilledWrapper(t *testing.T) {
	b := newBed(t)
	r, w, err := os.Pipe()
	b.must(err)
	defer r.Close()
	b.serve(func(c *local.Client) {
		null, _ := os.Open(os.DevNull)
		_, _ = c.Run(c.Context(), local.Run{Path: "/bin/sh", Args: []string{"sh", "-c", "echo up; exec sleep 60"}}, nil, w, null)
	})
	cmd := b.command(nil, "gcc")
	b.must(cmd.Start())
	_, _ = r.Read(make([]byte, 3))
	b.must(cmd.Process.Kill())
	_ = cmd.Wait()
	_ = r.SetReadDeadline(time.Now().Add(2 * time.Second))
	if n, err := r.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
		t.Error("what ran for the agent lives on")
	}
}

// Under nohup a hangup changes nothing, for the wrapper or for the compiler.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	b := newBed(t)
	b.script("usr/gcc", "#!/bin/sh\nkill -HUP $$\necho alive\n")
	asked := make(chan int, 1)
	b.serve(func(c *local.Client) {
		asked <- 1
		time.Sleep(200 * time.Millisecond)
		_ = c.Exec(local.Exec{})
	})
	cmd := b.command(nil)
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "trap '' HUP; exec " + b.crosscc + " gcc"}
	out, err := cmd.StdoutPipe()
	b.must(err)
	b.must(cmd.Start())
	<-asked
	b.must(cmd.Process.Signal(syscall.SIGHUP))
	text, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || string(text) != "alive\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

// A compiler that the wrapper has become gets signals as any other.
func TestSignalAfterExec(t *testing.T) {
	b := newBed(t)
	b.script("usr/gcc", "#!/bin/sh\necho up\nexec sleep 60\n")
	b.serve(func(c *local.Client) { _ = c.Exec(local.Exec{Slot: true}); <-c.Context().Done() })
	cmd := b.command(nil, "gcc")
	out, err := cmd.StdoutPipe()
	b.must(err)
	b.must(cmd.Start())
	_, _ = out.Read(make([]byte, 3))
	b.must(cmd.Process.Signal(syscall.SIGINT))
	err = cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok || !cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("ended with %v", err)
	}
}

// The first process of a container is spared its signals; it ends all the same.
func TestSignalAsFirstProcess(t *testing.T) {
	b := newBed(t)
	asked := make(chan int, 1)
	b.serve(func(c *local.Client) {
		asked <- 1
		<-c.Context().Done()
	})
	cmd := b.command(nil, "gcc")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}}
	b.must(cmd.Start())
	<-asked
	b.must(cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("ended with %v", cmd.ProcessState)
	}
}
