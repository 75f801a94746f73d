package wrapper

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
)

// The tests run the real program, built once, against agents in this process
// over real sockets. A crossccd beside it is this test binary (agent_test.go).
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "crossccd":
		os.Exit(fakeAgent())
	case oldSystem:
		os.Exit(runOnOldSystem())
	}
	os.Exit(withProgram(m))
}

func withProgram(m *testing.M) int {
	dir, err := os.MkdirTemp("", "crosscc-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// As make build does.
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-X github.com/crosscc/crosscc/broker/local.linkedBuild=test",
		"-o", filepath.Join(dir, "crosscc"), "github.com/crosscc/crosscc/cmd/crosscc")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build crosscc: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("TEST_CROSSCC", filepath.Join(dir, "crosscc")); err != nil {
		return 1
	}
	return m.Run()
}

// A bed is a place of its own: crosscc, a compiler "cc1" on PATH, an agent's socket.
type bed struct {
	t       testing.TB
	dir     string // working directory
	crosscc string
	under   string // a program that runs crosscc, "" for none
	dirs    rendezvous.Dirs
	environ []string
}

// compiler is a stand-in: it tells how it was called.
const compiler = "#!/bin/sh\necho \"real $0 $* level=$_CROSSCC_LEVEL\"\nexit 9\n"

func newBed(t testing.TB) *bed {
	t.Helper()
	base := t.TempDir()
	b := &bed{t: t, dir: filepath.Join(base, "work"), crosscc: filepath.Join(base, "bin/crosscc")}
	for _, dir := range []string{"work", "bin", "usr"} {
		b.must(os.Mkdir(filepath.Join(base, dir), 0o755))
	}
	b.must(os.Link(os.Getenv("TEST_CROSSCC"), b.crosscc))
	b.script("usr/gcc", compiler)
	b.environ = []string{"CROSSCC_DIR=" + filepath.Join(base, "state"), "PATH=" + filepath.Join(base, "usr") + ":/usr/bin:/bin"}
	var err error
	b.dirs, err = rendezvous.DirsOf(b.environ)
	b.must(err)
	return b
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// path is a name below the bed's own root.
func (b *bed) path(name string) string { return filepath.Join(filepath.Dir(b.dir), name) }

func (b *bed) script(name, text string) {
	b.t.Helper()
	b.must(os.WriteFile(b.path(name), []byte(text), 0o755))
}

// serve answers every wrapper with handle until the test ends.
func (b *bed) serve(handle func(c *local.Client)) *rendezvous.Listener {
	b.t.Helper()
	l, err := rendezvous.Listen(b.dirs.Socket)
	b.must(err)
	b.t.Cleanup(func() { l.Close() })
	go accept(l, handle)
	return l
}

func accept(l *rendezvous.Listener, handle func(c *local.Client)) {
	for {
		conn, _, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			c, err := local.NewClient(context.Background(), conn)
			if err != nil {
				return
			}
			defer c.Close()
			handle(c)
		}()
	}
}

// result is how one wrapper ended.
type result struct {
	stdout, stderr string
	status         syscall.WaitStatus
}

func (b *bed) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(b.crosscc, args...)
	if b.under != "" {
		cmd = exec.Command(b.under, append([]string{b.crosscc}, args...)...)
	}
	cmd.Dir, cmd.Env = b.dir, local.Setenv(b.environ, env...)
	return cmd
}

func (b *bed) run(env []string, args ...string) result {
	b.t.Helper()
	return b.finish(b.command(env, args...))
}

func (b *bed) finish(cmd *exec.Cmd) result {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	b.must(cmd.Start())
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
	return result{stdout.String(), stderr.String(), cmd.ProcessState.Sys().(syscall.WaitStatus)}
}

func (b *bed) want(got result, status int, stdout, stderr string) {
	b.t.Helper()
	if got.status.ExitStatus() != status || got.stdout != stdout || got.stderr != stderr {
		b.t.Errorf("status %d, stdout %q, stderr %q\nwant   %d, stdout %q, stderr %q",
			got.status.ExitStatus(), got.stdout, got.stderr, status, stdout, stderr)
	}
}

func TestUsage(t *testing.T) {
	b := newBed(t)
	b.want(b.run(nil), 101, "", usage)
	b.want(b.run(nil, "--help"), 0, usage, "")
	b.want(b.run(nil, "-h"), 0, usage, "")
	if got := b.run(nil, "--version"); got.status != 0 || !strings.HasPrefix(got.stdout, "crosscc ") || got.stderr != "" {
		t.Errorf("--version: %+v", got)
	}
	b.want(b.run(nil, "-c", "x.c"), 101, "", "crosscc: error: the first word must be a compiler: \"-c\"\ncrosscc: hint: crosscc --help\n")
}

func TestRequest(t *testing.T) {
	b := newBed(t)
	got := make(chan local.Request, 1)
	b.serve(func(c *local.Client) {
		var dir, want syscall.Stat_t
		if syscall.Fstat(int(c.Dir.Fd()), &dir) != nil || syscall.Stat(b.dir, &want) != nil || dir.Ino != want.Ino {
			t.Error("the directory's descriptor is another's")
		}
		got <- c.Request
		_ = c.Answer(nil) // no answer for a compile
	})
	r := b.run([]string{"LC_ALL=C", "SECRET=1"}, "gcc", "-c", "a b.c\xff")
	if !strings.Contains(r.stderr, "no agent: the agent gave an answer that is none; compiling here") {
		t.Errorf("stderr %q", r.stderr)
	}
	q := <-got
	if q.Verb != "compile" || q.Program != b.path("usr/gcc") || strings.Join(q.Args, "|") != "gcc|-c|a b.c\xff" || q.Dir != b.dir || q.Terminal || q.Nested {
		t.Errorf("request %+v", q)
	}
	if env := strings.Join(q.Env, " "); !strings.Contains(env, "LC_ALL=C") || strings.Contains(env, "SECRET") {
		t.Errorf("environment %q", env)
	}
}

func TestExec(t *testing.T) {
	b := newBed(t)
	b.script("usr/other", compiler)
	b.script("noline", "echo shell $*\n")
	tests := []struct {
		name string
		exec local.Exec
		env  []string
		want string
	}{
		{"as called", local.Exec{}, nil, "real " + b.path("usr/gcc") + " -v x level=1\n"},
		{"another program", local.Exec{Path: b.path("usr/other")}, nil, "real " + b.path("usr/other") + " -v x level=1\n"},
		{"other words", local.Exec{Args: []string{"gcc", "--version"}}, nil, "real " + b.path("usr/gcc") + " --version level=1\n"},
		{"with a slot", local.Exec{Slot: true}, nil, "real " + b.path("usr/gcc") + " -v x level=1\n"},
		{"nested", local.Exec{}, []string{"_CROSSCC_LEVEL=3"}, "real " + b.path("usr/gcc") + " -v x level=4\n"},
	}
	answer := make(chan local.Exec, 1)
	b.serve(func(c *local.Client) {
		if nested := c.Request.Nested; nested != strings.Contains(strings.Join(c.Request.Env, " "), "NESTED") {
			t.Errorf("nested %v", nested)
		}
		_ = c.Exec(<-answer)
		<-c.Context().Done()
	})
	for _, tc := range tests {
		answer <- tc.exec
		if strings.Join(tc.env, "") != "" {
			tc.env = append(tc.env, "CROSSCC_NESTED=for the test")
		}
		got := b.run(tc.env, "gcc", "-v", "x")
		if got.status.ExitStatus() != 9 || got.stdout != tc.want || got.stderr != "" {
			t.Errorf("%s: %+v\nwant %q", tc.name, got, tc.want)
		}
	}
	answer <- local.Exec{Path: b.path("noline")}
	b.want(b.run(nil, "gcc", "-v"), 0, "shell -v\n", "")
	answer <- local.Exec{Path: "/nonexistent"}
	b.want(b.run(nil, "gcc"), 110, "", "crosscc: error: /nonexistent: no such file or directory\n")
	answer <- local.Exec{Reason: "prints"}
	if got := b.run([]string{"CROSSCC_LOG_LEVEL=debug"}, "gcc"); got.stderr != "crosscc: gcc: local: prints\n" {
		t.Errorf("debug: %+v", got)
	}
}

// The slot lasts as long as the compiler or any child of it, and ends with the
// wrapper where none was given. The compiler keeps the build's descriptors.
func TestSlot(t *testing.T) {
	b := newBed(t)
	b.script("usr/gcc", "#!/bin/sh\necho jobs >&3\nsleep 1.5 >/dev/null 2>&1 3>&- &\n")
	for _, slot := range []bool{true, false} {
		held := make(chan time.Duration, 1)
		l := b.serve(func(c *local.Client) {
			begin := time.Now()
			_ = c.Exec(local.Exec{Slot: slot})
			<-c.Context().Done()
			held <- time.Since(begin)
		})
		r, w, err := os.Pipe()
		b.must(err)
		cmd := b.command(nil, "gcc")
		cmd.ExtraFiles = []*os.File{w}
		b.want(b.finish(cmd), 0, "", "")
		w.Close()
		buf := make([]byte, 10)
		if n, _ := r.Read(buf); string(buf[:n]) != "jobs\n" {
			t.Errorf("the compiler lost descriptor 3: %q", buf[:n])
		}
		if d := <-held; d > time.Second != slot {
			t.Errorf("slot %v held for %v", slot, d)
		}
		l.Close()
	}
}

func TestFailures(t *testing.T) {
	b := newBed(t)
	b.serve(func(c *local.Client) {
		_ = c.Fail(local.Fail{Message: "no helper\nserves", Hint: "crossctl doctor", Status: len(c.Request.Args) - 1})
	})
	want := "crosscc: error: no helper serves\ncrosscc: hint: crossctl doctor\n"
	b.want(b.run(nil, "gcc", "x", "y"), 2, "", want)
	b.want(b.run(nil, "gcc"), 1, "", want)
	// Below ccache our words must not be taken for the compiler's.
	r, w, err := os.Pipe()
	b.must(err)
	cmd := b.command([]string{"UNCACHED_ERR_FD=3"}, "gcc", "x", "y")
	cmd.ExtraFiles = []*os.File{w}
	b.want(b.finish(cmd), 2, "", "")
	w.Close()
	buf := make([]byte, 200)
	if n, _ := r.Read(buf); string(buf[:n]) != want {
		t.Errorf("UNCACHED_ERR_FD got %q", buf[:n])
	}
}

func TestWithoutAgent(t *testing.T) {
	b := newBed(t)
	why := "no agent: crossccd is neither beside " + b.crosscc + " nor on PATH"
	real := "real " + b.path("usr/gcc") + " -c level=1\n"
	b.want(b.run(nil, "gcc", "-c"), 9, real, "crosscc: "+why+"; compiling here\n")
	b.want(b.run([]string{"CROSSCC_LOG_LEVEL=error"}, "gcc", "-c"), 9, real, "")
	b.want(b.run([]string{"CROSSCC_DISABLE=1"}, "gcc", "-c"), 9, real, "")
	b.want(b.run([]string{"CROSSCC_LOG=log"}, "gcc", "-c"), 9, real, "")
	if log, err := os.ReadFile(filepath.Join(b.dir, "log")); string(log) != "crosscc: "+why+"; compiling here\n" {
		t.Errorf("log %q, %v", log, err)
	}
	got := b.run([]string{"CROSSCC_FALLBACK=0"}, "gcc", "-c")
	if got.status.ExitStatus() != 103 || !strings.HasPrefix(got.stderr, "crosscc: error: "+why+"\ncrosscc: hint: ") || got.stdout != "" {
		t.Errorf("without fallback: %+v", got)
	}
	b.want(b.run(nil, "nosuch-gcc"), 110, "", "crosscc: error: nosuch-gcc: not found on PATH\n")
	b.want(b.run(nil, "./gcc"), 110, "", "crosscc: error: ./gcc: no such program\n")
	got = b.run([]string{"CROSSCC_DIR", "HOME"}, "gcc", "-c")
	b.want(got, 9, real, "crosscc: no agent: no place for the agent's socket: neither CROSSCC_DIR nor HOME is set; compiling here\n")
}

func TestLoopEnds(t *testing.T) {
	b := newBed(t)
	b.script("usr/gcc", "#!/bin/sh\nexec "+b.crosscc+" gcc \"$@\"\n")
	got := b.run([]string{"CROSSCC_LOG_LEVEL=error"}, "gcc")
	if got.status.ExitStatus() != 111 || !strings.HasPrefix(got.stderr, "crosscc: error: gcc: crosscc calls itself") {
		t.Errorf("%+v", got)
	}
}

// In a chroot without /proc, in a user namespace of its own, with the agent
// outside: only the socket's directory is shared.
func TestChroot(t *testing.T) {
	b := newBed(t)
	root := b.path("")
	b.serve(func(c *local.Client) {
		var st, want syscall.Stat_t
		if syscall.Fstat(int(c.Root.Fd()), &st) != nil || syscall.Stat(root, &want) != nil || st.Ino != want.Ino {
			t.Error("the root's descriptor is not the chroot's")
		}
		_, err := c.Finish(c.Context(), local.Finish{Outputs: []local.Output{{Path: "a.o", File: -1, Data: []byte("object")}},
			Stdout: []byte(c.Request.Program + " in " + c.Request.Dir)})
		if err != nil {
			t.Error(err)
		}
	})
	cmd := exec.Command("/bin/crosscc", "gcc", "-c", "a.c")
	cmd.Dir, cmd.Env = "/work", []string{"PATH=/usr", "CROSSCC_DIR=/state"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	b.want(b.finish(cmd), 0, "/usr/gcc in /work", "")
	if got, err := os.ReadFile(filepath.Join(b.dir, "a.o")); string(got) != "object" {
		t.Errorf("a.o: %q, %v", got, err)
	}
}

// The wrapper starts with each compile: nothing but the standard library and
// broker/local, and of the library nothing that is slow to start.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", "github.com/crosscc/crosscc/cmd/crosscc").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const own = "github.com/crosscc/crosscc/"
	allowed := map[string]bool{own + "cmd/crosscc": true, own + "cmd/crosscc/internal/wrapper": true,
		own + "broker/local": true, own + "broker/local/rendezvous": true, own + "broker/local/lookup": true}
	for line := range strings.Lines(string(out)) {
		path, standard, _ := strings.Cut(strings.TrimSpace(line), " ")
		if standard != "true" && !allowed[path] || path == "net" || path == "encoding/json" {
			t.Errorf("crosscc links %s", path)
		}
	}
}

// BenchmarkRoundTrip is one whole wrapper: start, one exchange, output, end.
func BenchmarkRoundTrip(b *testing.B) {
	bed := newBed(b)
	bed.serve(func(c *local.Client) {
		_, _ = c.Finish(c.Context(), local.Finish{Outputs: []local.Output{{Path: "a.o", File: -1, Data: make([]byte, 10<<10)}}})
	})
	for b.Loop() {
		cmd := bed.command(nil, "gcc", "-c", "a.c")
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}
