package sandbox_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// TestLimitsInside: each bound that a process has itself is there when the program
// begins, soft and hard, whatever ends it first in the other tests.
func TestLimitsInside(t *testing.T) {
	const want = "address space 1073741824 1073741824\nprocessor time 7 8\nfile size 1048576 1048576\nprocesses 24 24\n" +
		"core 0 0\nopen files 1024 1024\nlocked memory 65536 65536\nmessage queues 0 0\n"
	p := rig.Build(t, `#include <stdio.h>
		#include <sys/resource.h>
		static void say(const char *what, int r) { struct rlimit l; getrlimit(r, &l); printf("%s %lu %lu\n", what, (long)l.rlim_cur, (long)l.rlim_max); }
		int main() { say("address space", RLIMIT_AS); say("processor time", RLIMIT_CPU); say("file size", RLIMIT_FSIZE); say("processes", RLIMIT_NPROC);
		say("core", RLIMIT_CORE); say("open files", RLIMIT_NOFILE); say("locked memory", RLIMIT_MEMLOCK); say("message queues", RLIMIT_MSGQUEUE); return 0; }`)
	for name, r := range runners(t) {
		s := rig.Spec(p)
		s.Limits = sandbox.Limits{Memory: 1 << 30, CPU: 7 * time.Second, FileSize: 1 << 20, Processes: 24}
		o, err := r(rig.Context(t), s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(o.Stdout); got != want {
			t.Errorf("%s: the limits are\n%s\nwant\n%s", name, strings.TrimSpace(got), want)
		}
		o.Close()
	}
}

// TestScratchInside: the places that a job may write to are as large as its limits say,
// and no larger.
func TestScratchInside(t *testing.T) {
	p := rig.Build(t, `#include <stdio.h>
		#include <sys/statvfs.h>
		int main() { struct statvfs a, b; if (statvfs("/tmp", &a) || statvfs("/.crosscc", &b)) return 1;
		printf("%lu %lu", a.f_blocks * a.f_frsize, b.f_blocks * b.f_frsize); return 0; }`)
	for name, r := range walled(t) {
		s := rig.Spec(p)
		s.Limits = sandbox.Limits{Temp: 3 << 20, OutputSum: 5 << 20}
		o, err := r(rig.Context(t), s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := fmt.Sprint(3<<20, 5<<20); string(o.Stdout) != want {
			t.Errorf("%s: they have %s bytes, want %s", name, o.Stdout, want)
		}
		o.Close()
	}
}

// TestProgramReplaced: the no of a compiler of which a part was replaced while it ran is
// the machine's fault. (Without walls it is the helper that looks: it knows all files.)
func TestProgramReplaced(t *testing.T) {
	waits := `#include <unistd.h>
		#include <sys/stat.h>
		int main(int c, char **v) { struct stat s; while (!stat(v[1], &s) && s.st_size == %d) usleep(1000); return 1; }`
	for name, r := range walled(t) {
		part := rig.Build(t, `int main() { return 0; }`)
		info, err := os.Stat(part)
		if err != nil {
			t.Fatal(err)
		}
		p := rig.Build(t, fmt.Sprintf(waits, info.Size()))
		s := rig.Spec(p, part)
		s.Programs = append(s.Programs, part)
		ended := make(chan error)
		go func() {
			o, err := r(rig.Context(t), s)
			if err == nil {
				err = fmt.Errorf("an exit with %d", o.ExitCode)
				o.Close()
			}
			ended <- err
		}()
		rig.Await(t, p, func(found []string) bool { return len(found) >= 1 })
		f, err := os.OpenFile(part, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString("upgraded")
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		err = <-ended
		if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Setup {
			t.Errorf("%s: got %v, want a failure %q", name, err, sandbox.Setup)
		}
	}
}
