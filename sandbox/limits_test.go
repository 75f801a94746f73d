package sandbox_test

import (
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
