package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
)

func TestOutcome(t *testing.T) {
	p := rig.Build(t, `#include <stdio.h>
		#include <stdlib.h>
		int main(int c, char **v) { char b[99]; int n = fread(b, 1, 99, stdin);
		printf("%s|%s|%.*s|%s", v[1], getenv("K"), n, b, getenv("HOME") ? "home" : "none"); fputs("err", stderr);
		fclose(fopen(v[2], "w")); return atoi(v[3]); }`)
	for name, r := range runners(t) {
		for _, code := range []int{0, 1, 3, 127} {
			s := rig.Spec(p, "a b", "/.crosscc/empty", fmt.Sprint(code))
			s.Env, s.Stdin, s.Outputs = []string{"K=v=w"}, []byte("in"), []string{"empty"}
			if code != 0 {
				s.Outputs = []string{"absent", "empty", "none/absent"}
			}
			o, err := r(rig.Context(t), s)
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

// failures are programs that must end as a sandbox.Failure of the given kind.
var failures = []struct {
	name, source string
	kind         sandbox.Kind
	limits       sandbox.Limits
	only         string // "walls", "" for all
}{
	{"endless loop", `int main() { for (;;) ; }`, sandbox.WallTime, sandbox.Limits{Wall: 300 * time.Millisecond}, ""},
	{"endless loop, CPU", `int main() { for (;;) ; }`, sandbox.CPU, sandbox.Limits{CPU: time.Second}, ""},
	{"sleeps", `#include <unistd.h>
		int main() { sleep(1000); }`, sandbox.WallTime, sandbox.Limits{Wall: 300 * time.Millisecond}, ""},
	{"fork bomb", `#include <unistd.h>
		int main() { for (;;) fork(); }`, sandbox.WallTime, sandbox.Limits{Wall: 500 * time.Millisecond, Processes: 16}, "walls"},
	{"memory hog", `#include <stdlib.h>
		#include <string.h>
		int main() { for (;;) { char *p = malloc(1 << 20); if (!p) return 1; memset(p, 1, 1 << 20); } }`, sandbox.Memory, sandbox.Limits{Memory: 512 << 20}, ""},
	{"memory hog that crashes", `#include <stdlib.h>
		#include <string.h>
		int main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }`, sandbox.Memory, sandbox.Limits{Memory: 512 << 20}, ""},
	{"crash", `int main() { *(volatile int *)0 = 1; }`, sandbox.Killed, sandbox.Limits{}, ""},
	{"driver of a killed compiler", `#include <stdio.h>
		int main() { fprintf(stderr, "gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n"); return 1; }`, sandbox.Killed, sandbox.Limits{}, ""},
	{"full output directory", `#include <stdio.h>
		int main() { char b[4096]; FILE *f = fopen("/.crosscc/a", "w"); while (fwrite(b, 4096, 1, f)) ; fflush(f); return 1; }`,
		sandbox.Disk, sandbox.Limits{OutputSum: 1 << 20}, "walls"},
	{"full /tmp", `#include <stdio.h>
		int main() { char b[4096]; FILE *f = fopen("/tmp/a", "w"); while (fwrite(b, 4096, 1, f)) ; fflush(f); return 1; }`,
		sandbox.Disk, sandbox.Limits{Temp: 1 << 20}, "walls"},
	{"file too large", `#include <stdio.h>
		int main(int c, char **v) { char b[4096]; FILE *f = fopen(v[1], "w"); while (fwrite(b, 4096, 1, f)) ; perror("a"); return 1; }`,
		sandbox.Disk, sandbox.Limits{FileSize: 1 << 20}, ""},
	{"floods stdout", `#include <unistd.h>
		int main() { char b[4096]; for (;;) write(1, b, 4096); }`, sandbox.TooMuch, sandbox.Limits{Stdout: 1 << 16}, ""},
	{"floods stderr", `#include <unistd.h>
		int main() { char b[4096]; for (;;) write(2, b, 4096); }`, sandbox.TooMuch, sandbox.Limits{Stderr: 1 << 16}, ""},
	{"other architecture's call", `int main() { asm volatile("int $0x80" :: "a"(20)); return 0; }`, sandbox.Killed, sandbox.Limits{}, "walls"},
}

func TestFailures(t *testing.T) {
	for name, r := range runners(t) {
		for _, tc := range failures {
			if tc.only != "" && name == "direct" {
				continue
			}
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				s := rig.Spec(rig.Build(t, tc.source), "/.crosscc/x")
				s.Limits = tc.limits
				o, err := r(rig.Context(t), s)
				if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != tc.kind {
					t.Errorf("got %+v, %v, want a failure %q", o, err, tc.kind)
				}
				if left := rig.Processes(t, s.Path); len(left) > 0 {
					t.Errorf("left behind: %q", left)
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
	{"link by name to a file beside it", `char b[999]; sprintf(b, "%s.real", v[1]); creat(b, 0644); symlink("x.o.real", v[1]);`},
	{"directory", `mkdir(v[1], 0755);`},
	{"FIFO", `mkfifo(v[1], 0644);`},
	{"nothing", `;`},
	{"sparse giant", `int f = creat(v[1], 0644); ftruncate(f, 3 << 20);`},
}

func TestBadOutputs(t *testing.T) {
	for name, r := range runners(t) {
		for _, tc := range badOutputs {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				s := rig.Spec(rig.Build(t, `#include <unistd.h>
					#include <stdio.h>
					#include <fcntl.h>
					#include <sys/stat.h>
					int main(int c, char **v) { `+tc.statement+` return c > 2; }`), "/.crosscc/x.o")
				s.Outputs = []string{"x.o"}
				s.Limits = sandbox.Limits{OutputSum: 2 << 20}
				o, err := r(rig.Context(t), s)
				if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.BadOutput {
					t.Errorf("got %+v, %v, want a bad output", o, err)
				}
				t.Log(err)
				s.Args = append(s.Args, "fail")
				o, err = r(rig.Context(t), s)
				if f, ok := errors.AsType[*sandbox.Failure](err); tc.name != "nothing" && (!ok || f.Kind != sandbox.BadOutput) {
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
	p := rig.Build(t, `#include <unistd.h>
		int main() { return symlink("/tmp", "/.crosscc/d") || symlink("..", "/.crosscc/up"); }`)
	for _, name := range []string{"d/x", "up/x"} {
		s := rig.Spec(p)
		s.Outputs = []string{name}
		for by, r := range walled(t) {
			if o, err := r(rig.Context(t), s); err == nil {
				t.Errorf("%s: %s was taken: %+v", by, name, o)
			}
		}
	}
}

// ipcKey is that of a piece of shared memory which everybody outside may have.
const ipcKey = 0x63726f73

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
	{"see the host's shared memory", fmt.Sprintf(`shmget(%d, 0, 0) >= 0`, ipcKey)},
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
	p := rig.Build(t, `#define _GNU_SOURCE
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
		#include <sys/shm.h>
		#include <sys/syscall.h>
		#include <sys/sysmacros.h>
		int main() { char b[100]; `+b.String()+` return 0; }`)
	id, err := unix.SysvShmGet(ipcKey, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	s := rig.Spec(p)
	s.Tree = rig.OpenTemp(t)
	rig.Write(t, filepath.Join(s.Tree, "w/x/src/a.c"), "int a;\n")
	for name, r := range walled(t) {
		o, err := r(rig.Context(t), s)
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Stdout) > 0 {
			t.Errorf("%s: possible inside:\n%s", name, o.Stdout)
		}
	}
}

func TestSetupIsNoOutcome(t *testing.T) {
	p := rig.Build(t, `int main() { return 0; }`)
	for name, change := range map[string]func(*sandbox.Spec){
		"program not shown":     func(s *sandbox.Spec) { s.Path = "/none" },
		"program not there":     func(s *sandbox.Spec) { s.Programs = []string{"/none"} },
		"program no executable": func(s *sandbox.Spec) { s.Path = "/dev/null" },
		"tree not there":        func(s *sandbox.Spec) { s.Tree = "/none" },
		"directory is a file":   func(s *sandbox.Spec) { s.Dir = p },
	} {
		s := rig.Spec(p)
		change(s)
		for by, r := range walled(t) {
			o, err := r(rig.Context(t), s)
			if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Setup {
				t.Errorf("%s: %s: got %+v, %v", by, name, o, err)
			}
			t.Log(err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, change := range map[string]func(*sandbox.Spec){
		"relative program":   func(s *sandbox.Spec) { s.Path = "gcc" },
		"no words":           func(s *sandbox.Spec) { s.Args = nil },
		"relative directory": func(s *sandbox.Spec) { s.Dir = "w" },
		"relative root":      func(s *sandbox.Spec) { s.Root = "img" },
		"root not clean":     func(s *sandbox.Spec) { s.Root = "/img/../.." },
		"the whole host":     func(s *sandbox.Spec) { s.Whole, s.Programs = true, nil },
		"whole and programs": func(s *sandbox.Spec) { s.Root, s.Whole = "/img", true },
		"out is root":        func(s *sandbox.Spec) { s.Out = "/" },
		"out not clean":      func(s *sandbox.Spec) { s.Out = "/a/../b" },
		"output climbs":      func(s *sandbox.Spec) { s.Outputs = []string{"../x"} },
		"output absolute":    func(s *sandbox.Spec) { s.Outputs = []string{"/x"} },
		"output without out": func(s *sandbox.Spec) { s.Out, s.Outputs = "", []string{"x"} },
		"text at a relative": func(s *sandbox.Spec) { s.Texts = map[string]string{"a": ""} },
		"text not clean":     func(s *sandbox.Spec) { s.Texts = map[string]string{"/a/../b": ""} },
		"NUL":                func(s *sandbox.Spec) { s.Args = []string{"a\x00b"} },
		"environment":        func(s *sandbox.Spec) { s.Env = []string{"A"} },
	} {
		s := rig.Spec("/bin/true")
		change(s)
		if err := s.Check(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
