package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/e2e/dockerd"
)

func TestMain(m *testing.M) {
	if handled, exit := ProbeMain(os.Args[1:]); handled {
		os.Exit(exit)
	}
	if p := os.Getenv("SANDBOX_TEST_RUN"); p != "" { // TestHelperKilled's helper
		o := Options{}
		if os.Getenv("SANDBOX_TEST_GROUPS") != "" {
			o.Groups = OpenGroups()
		}
		r, err := NewBubblewrap(o)
		if host := os.Getenv("SANDBOX_TEST_DOCKER"); host != "" {
			r, _, err = NewDocker(context.Background(), Options{DockerHost: host})
		}
		if err == nil {
			_, err = r(context.Background(), spec(p))
		}
		fmt.Println(err)
		os.Exit(1)
	}
	if os.Getenv("SANDBOX_TEST_PROVE") != "" { // TestInContainers'
		proveHere()
	}
	if p := os.Getenv("SANDBOX_TEST_MANY"); p != "" { // TestKilledAtAnyMoment's
		runMany(p)
	}
	code := m.Run()
	if err := engineForTests.stop(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// openTemp is a directory that every uid can pass, unlike t.TempDir.
func openTemp(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// need finds a program that these tests can't do without.
func need(t testing.TB, program, install string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: apt-get install %s", err, install)
	}
	return p
}

// build makes a program of C source. Static ones need nothing else to run.
func build(t testing.TB, source string, flags ...string) string {
	t.Helper()
	dir := openTemp(t)
	write(t, filepath.Join(dir, "p.c"), source)
	if len(flags) == 0 {
		flags = []string{"-static"}
	}
	p := filepath.Join(dir, "p")
	run(t, dir, need(t, "gcc-12", "gcc-12"), append([]string{"-O1", "-w", "-o", p, "p.c"}, flags...)...)
	return p
}

func run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

func write(t testing.TB, p, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func bwrap(t testing.TB) Runner {
	t.Helper()
	r, err := NewBubblewrap(Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// spec runs a program of build with the words args.
func spec(program string, args ...string) *Spec {
	return &Spec{Path: program, Args: append([]string{program}, args...), Dir: "/", Programs: []string{program}, Out: "/.crosscc"}
}

func runners(t *testing.T) map[string]Runner {
	all := walled(t)
	all["direct"] = NewDirect(Options{Dir: openTemp(t)})
	return all
}

func TestOutcome(t *testing.T) {
	p := build(t, `#include <stdio.h>
		#include <stdlib.h>
		int main(int c, char **v) { char b[99]; int n = fread(b, 1, 99, stdin);
		printf("%s|%s|%.*s|%s", v[1], getenv("K"), n, b, getenv("HOME") ? "home" : "none"); fputs("err", stderr);
		fclose(fopen(v[2], "w")); return atoi(v[3]); }`)
	for name, r := range runners(t) {
		for _, code := range []int{0, 1, 3, 127} {
			s := spec(p, "a b", "/.crosscc/empty", fmt.Sprint(code))
			s.Env, s.Stdin, s.Outputs = []string{"K=v=w"}, []byte("in"), []string{"empty"}
			if code != 0 {
				s.Outputs = []string{"absent", "empty", "none/absent"}
			}
			o, err := r(ctxOf(t), s)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if o.ExitCode != code || string(o.Stdout) != "a b|v=w|in|none" || string(o.Stderr) != "err" {
				t.Errorf("%s: got %d %q %q", name, o.ExitCode, o.Stdout, o.Stderr)
			}
			if len(o.Outputs) != 1 || o.Outputs[0].Name != "empty" {
				t.Errorf("%s: exit %d with outputs %v", name, code, o.Outputs)
			}
			o.Close()
		}
	}
}

// failures are programs that must end as a Failure of the given kind.
var failures = []struct {
	name, source string
	kind         Kind
	limits       Limits
	only         string // "walls", "" for all
}{
	{"endless loop", `int main() { for (;;) ; }`, WallTime, Limits{Wall: 300 * time.Millisecond}, ""},
	{"endless loop, CPU", `int main() { for (;;) ; }`, CPU, Limits{CPU: time.Second}, ""},
	{"sleeps", `#include <unistd.h>
		int main() { sleep(1000); }`, WallTime, Limits{Wall: 300 * time.Millisecond}, ""},
	{"fork bomb", `#include <unistd.h>
		int main() { for (;;) fork(); }`, WallTime, Limits{Wall: 500 * time.Millisecond, Processes: 16}, "walls"},
	{"memory hog", `#include <stdlib.h>
		#include <string.h>
		int main() { for (;;) { char *p = malloc(1 << 20); if (!p) return 1; memset(p, 1, 1 << 20); } }`, Memory, Limits{Memory: 512 << 20}, ""},
	{"memory hog that crashes", `#include <stdlib.h>
		#include <string.h>
		int main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }`, Memory, Limits{Memory: 512 << 20}, ""},
	{"crash", `int main() { *(volatile int *)0 = 1; }`, Killed, Limits{}, ""},
	{"driver of a killed compiler", `#include <stdio.h>
		int main() { fprintf(stderr, "gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n"); return 1; }`, Killed, Limits{}, ""},
	{"full output directory", `#include <stdio.h>
		int main() { char b[4096]; FILE *f = fopen("/.crosscc/a", "w"); while (fwrite(b, 4096, 1, f)) ; fflush(f); return 1; }`,
		Disk, Limits{OutputSum: 1 << 20}, "walls"},
	{"full /tmp", `#include <stdio.h>
		int main() { char b[4096]; FILE *f = fopen("/tmp/a", "w"); while (fwrite(b, 4096, 1, f)) ; fflush(f); return 1; }`,
		Disk, Limits{Temp: 1 << 20}, "walls"},
	{"file too large", `#include <stdio.h>
		int main(int c, char **v) { char b[4096]; FILE *f = fopen(v[1], "w"); while (fwrite(b, 4096, 1, f)) ; perror("a"); return 1; }`,
		Disk, Limits{FileSize: 1 << 20}, ""},
	{"floods stdout", `#include <unistd.h>
		int main() { char b[4096]; for (;;) write(1, b, 4096); }`, TooMuch, Limits{Stdout: 1 << 16}, ""},
	{"floods stderr", `#include <unistd.h>
		int main() { char b[4096]; for (;;) write(2, b, 4096); }`, TooMuch, Limits{Stderr: 1 << 16}, ""},
	{"other architecture's call", `int main() { asm volatile("int $0x80" :: "a"(20)); return 0; }`, Killed, Limits{}, "walls"},
}

func TestFailures(t *testing.T) {
	for name, r := range runners(t) {
		for _, tc := range failures {
			if tc.only != "" && name == "direct" {
				continue
			}
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				s := spec(build(t, tc.source), "/.crosscc/x")
				s.Limits = tc.limits
				began := time.Now()
				o, err := r(ctxOf(t), s)
				if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != tc.kind {
					t.Errorf("got %+v, %v, want a failure %q", o, err, tc.kind)
				}
				if left := processes(t, s.Path); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
				if d := time.Since(began); d > 20*time.Second {
					t.Errorf("took %s", d)
				}
				t.Log(err)
			})
		}
	}
}

// badOutputs put something at argv[1] that is no output.
var badOutputs = []struct{ name, statement string }{
	{"symbolic link", `symlink("/etc/passwd", v[1]);`},
	{"link to a file beside it", `char b[999]; sprintf(b, "%s.real", v[1]); creat(b, 0644); symlink(b, v[1]);`},
	{"directory", `mkdir(v[1], 0755);`},
	{"FIFO", `mkfifo(v[1], 0644);`},
	{"nothing", `;`},
	{"sparse giant", `int f = creat(v[1], 0644); ftruncate(f, 3 << 20);`},
}

func TestBadOutputs(t *testing.T) {
	for name, r := range runners(t) {
		for _, tc := range badOutputs {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				s := spec(build(t, `#include <unistd.h>
					#include <stdio.h>
					#include <fcntl.h>
					#include <sys/stat.h>
					int main(int c, char **v) { `+tc.statement+` return c > 2; }`), "/.crosscc/x.o")
				s.Outputs = []string{"x.o"}
				s.Limits = Limits{OutputSum: 2 << 20}
				o, err := r(ctxOf(t), s)
				if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != BadOutput {
					t.Errorf("got %+v, %v, want a bad output", o, err)
				}
				t.Log(err)
				s.Args = append(s.Args, "fail")
				o, err = r(ctxOf(t), s)
				if f, ok := errors.AsType[*Failure](err); tc.name != "nothing" && (!ok || f.Kind != BadOutput) {
					t.Errorf("exit 1: got %+v, %v, want a bad output", o, err)
				}
				if tc.name == "nothing" && (err != nil || o.ExitCode != 1 || len(o.Outputs) != 0) {
					t.Errorf("exit 1: got %+v, %v, want no output", o, err)
				}
			})
		}
	}
}

func TestLinkedDirectory(t *testing.T) {
	p := build(t, `#include <unistd.h>
		int main() { return symlink("/tmp", "/.crosscc/d") || symlink("..", "/.crosscc/up"); }`)
	for _, name := range []string{"d/x", "up/x"} {
		s := spec(p)
		s.Outputs = []string{name}
		for by, r := range walled(t) {
			if o, err := r(ctxOf(t), s); err == nil {
				t.Errorf("%s: %s was taken: %+v", by, name, o)
			}
		}
	}
}

// walls are attempts, as C conditions, that must fail inside.
var walls = []struct{ name, possible string }{
	{"read /etc/passwd", `open("/etc/passwd", O_RDONLY) >= 0`},
	{"read the tree's neighbour", `open("/w/../etc/hostname", O_RDONLY) >= 0`},
	{"write to the tree", `open("/w/x/src/a.c", O_WRONLY) >= 0 || open("/w/x/src/new", O_CREAT | O_WRONLY, 0644) >= 0`},
	{"write to /", `open("/new", O_CREAT | O_WRONLY, 0644) >= 0`},
	{"write to /dev", `open("/dev/new", O_CREAT | O_WRONLY, 0644) >= 0`},
	{"make a device", `mknod("/tmp/d", S_IFBLK | 0666, makedev(254, 0)) == 0`},
	{"connect", `socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(40, SOCK_STREAM, 0) >= 0`},
	{"unshare", `unshare(CLONE_NEWUSER) == 0 || unshare(CLONE_NEWNS) == 0`},
	{"trace", `ptrace(PTRACE_TRACEME, 0, 0, 0) == 0`},
	{"mount", `mount("none", "/tmp", "tmpfs", 0, 0) == 0 || umount("/tmp") == 0`},
	{"see a parent but process 1", `getppid() > 1`},
	{"signal process 1", `getpid() != 1 && kill(1, 0) == 0`},
	{"keyring", `syscall(SYS_add_key, "user", "a", "b", 1, -3) >= 0`},
	{"bpf", `syscall(SYS_bpf, 0, 0, 0) >= 0 || errno != EPERM`},
	{"io_uring", `syscall(SYS_io_uring_setup, 1, 0) >= 0 || errno != EPERM`},
	{"clone3", `syscall(SYS_clone3, 0, 0) >= 0 || errno != ENOSYS`},
	{"raise a limit", `setrlimit(RLIMIT_NPROC, &(struct rlimit){1000, 1000}) == 0`},
	{"host's name", `gethostname(b, 99) || strcmp(b, "crosscc")`},
	{"descriptors", `fcntl(3, F_GETFD) >= 0 || fcntl(4, F_GETFD) >= 0 || fcntl(5, F_GETFD) >= 0 || fcntl(6, F_GETFD) >= 0 || fcntl(7, F_GETFD) >= 0`},
	{"nothing: /dev/null and /tmp work", `open("/dev/null", O_RDWR) < 0 || open("/tmp/x", O_CREAT | O_RDWR, 0600) < 0 || open("/w/x/src/a.c", O_RDONLY) < 0`},
}

func TestWalls(t *testing.T) {
	var b strings.Builder
	for _, w := range walls {
		fmt.Fprintf(&b, "errno = 0; if (%s) puts(%q);\n", w.possible, w.name)
	}
	p := build(t, `#define _GNU_SOURCE
		#include <stdio.h>
		#include <string.h>
		#include <errno.h>
		#include <fcntl.h>
		#include <sched.h>
		#include <signal.h>
		#include <unistd.h>
		#include <sys/socket.h>
		#include <sys/stat.h>
		#include <sys/mount.h>
		#include <sys/ptrace.h>
		#include <sys/resource.h>
		#include <sys/syscall.h>
		#include <sys/sysmacros.h>
		int main() { char b[100]; `+b.String()+` return 0; }`)
	s := spec(p)
	s.Tree = openTemp(t)
	write(t, filepath.Join(s.Tree, "w/x/src/a.c"), "int a;\n")
	for name, r := range walled(t) {
		o, err := r(ctxOf(t), s)
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Stdout) > 0 {
			t.Errorf("%s: possible inside:\n%s", name, o.Stdout)
		}
	}
}

func TestDirectLeavesNoFile(t *testing.T) {
	dir := openTemp(t)
	p := build(t, `#include <sys/stat.h>
		#include <unistd.h>
		int main(int c, char **v) { mkdir(v[1], 0755); chdir(v[1]); mkdir("d", 0755); chmod(".", 0); return 0; }`)
	if _, err := NewDirect(Options{Dir: dir})(ctxOf(t), spec(p, "/.crosscc/sub")); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSetupIsNoOutcome(t *testing.T) {
	p := build(t, `int main() { return 0; }`)
	for name, change := range map[string]func(*Spec){
		"program not shown":     func(s *Spec) { s.Path = "/none" },
		"program not there":     func(s *Spec) { s.Programs = []string{"/none"} },
		"program no executable": func(s *Spec) { s.Path = "/dev/null" },
		"tree not there":        func(s *Spec) { s.Tree = "/none" },
		"directory is a file":   func(s *Spec) { s.Dir = p },
	} {
		s := spec(p)
		change(s)
		for by, r := range walled(t) {
			o, err := r(ctxOf(t), s)
			if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != Setup {
				t.Errorf("%s: %s: got %+v, %v", by, name, o, err)
			}
			t.Log(err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"relative program":   func(s *Spec) { s.Path = "gcc" },
		"no words":           func(s *Spec) { s.Args = nil },
		"relative directory": func(s *Spec) { s.Dir = "w" },
		"relative root":      func(s *Spec) { s.Root = "img" },
		"root not clean":     func(s *Spec) { s.Root = "/img/../.." },
		"the whole host":     func(s *Spec) { s.Whole, s.Programs = true, nil },
		"whole and programs": func(s *Spec) { s.Root, s.Whole = "/img", true },
		"out is root":        func(s *Spec) { s.Out = "/" },
		"out not clean":      func(s *Spec) { s.Out = "/a/../b" },
		"output climbs":      func(s *Spec) { s.Outputs = []string{"../x"} },
		"output absolute":    func(s *Spec) { s.Outputs = []string{"/x"} },
		"output without out": func(s *Spec) { s.Out, s.Outputs = "", []string{"x"} },
		"text at a relative": func(s *Spec) { s.Texts = map[string]string{"a": ""} },
		"text not clean":     func(s *Spec) { s.Texts = map[string]string{"/a/../b": ""} },
		"NUL":                func(s *Spec) { s.Args = []string{"a\x00b"} },
		"environment":        func(s *Spec) { s.Env = []string{"A"} },
	} {
		s := spec("/bin/true")
		change(s)
		if err := s.check(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestProve(t *testing.T) {
	if err := Prove(ctxOf(t), bwrap(t)); err != nil {
		t.Error(err)
	}
	err := Prove(ctxOf(t), NewDirect(Options{}))
	if err == nil || !strings.Contains(err.Error(), "read /etc/passwd") || !strings.Contains(err.Error(), "connect over TCP") {
		t.Errorf("the direct runner was proven closed: %v", err)
	}
	t.Log(err)
}

// TestAsUser runs the whole of this file again as an ordinary user, when these
// tests are root's.
func TestAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("these tests run as an ordinary user already")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := openTemp(t)
	run(t, "/", "cp", self, filepath.Join(dir, "sandbox.test"))
	asUser := func(env []string, args ...string) {
		// The whole file again: a minute on two processors, several when others use them.
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "sandbox.test"), append(args, "-test.v")...)
		cmd.Dir, cmd.Env = "/", append(env, "PATH="+os.Getenv("PATH"), "TMPDIR="+os.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4711}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("as uid 4711: %v\n%s", err, out)
		}
		t.Logf("%s", out[max(0, len(out)-200):])
	}
	asUser(nil)
	if d, err := engineForTests.start(); err == nil { // a user of the group docker
		if err := d.Lend(4711); err != nil {
			t.Fatal(err)
		}
		asUser([]string{dockerd.Env + "=" + d.Host()}, "-test.run=TestProveDocker|TestOutcome|TestWarm$|TestCompilers")
	}
}

func content(t *testing.T, f File) []byte {
	t.Helper()
	b, err := io.ReadAll(f.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRootIsNobody: what only root may read is not read inside, though it was
// shown, when a helper of root's has started the sandbox (X21).
func TestRootIsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("these tests are not root's")
	}
	p := build(t, `#include <fcntl.h>
		int main() { return 10 * (open("/w/open", O_RDONLY) >= 0) + (open("/w/closed", O_RDONLY) >= 0); }`)
	s := spec(p)
	s.Tree = layTree(t, "w/open", "w/closed")
	if err := os.Chmod(filepath.Join(s.Tree, "w/closed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err := bwrap(t)(ctxOf(t), s); err != nil || o.ExitCode != 10 {
		t.Errorf("%+v, %v", o, err)
	}
}
