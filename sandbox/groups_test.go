package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/prove"
)

// together are programs each of whose processes is within its limits.
var together = []struct {
	name, source string
	kind         sandbox.Kind
	limits       sandbox.Limits
}{
	{"memory of many processes", `#include <stdlib.h>
		#include <string.h>
		#include <sys/wait.h>
		#include <unistd.h>
		int main() { int s, bad = 0; for (int i = 0; i < 8; i++) if (!fork()) { volatile char *p = malloc(24 << 20); for (int k = 0; k < 24 << 20; k += 4096) p[k] = 1; sleep(2); return 0; }
		while (wait(&s) > 0) bad |= s; return bad != 0; }`, sandbox.Memory, sandbox.Limits{Memory: 64 << 20, Sum: 96 << 20}},
	{"a process that is killed alone", `#include <stdlib.h>
		#include <string.h>
		int main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }`, sandbox.Memory, sandbox.Limits{Sum: 64 << 20}},
	{"files in memory", `#include <stdio.h>
		#include <string.h>
		int main() { char b[4096]; memset(b, 1, 4096); FILE *f = fopen("/.crosscc/a", "w"), *g = fopen("/tmp/a", "w");
		for (int i = 0; i < 20000; i++) if (!fwrite(b, 4096, 1, f) || !fwrite(b, 4096, 1, g)) return 1; return 0; }`, sandbox.Memory, sandbox.Limits{Sum: 64 << 20}},
	{"threads", `#include <pthread.h>
		#include <unistd.h>
		void *f(void *p) { pause(); return p; }
		int main() { pthread_t t; for (int i = 0; i < 100; i++) if (pthread_create(&t, 0, f, 0)) return 1; return 0; }`, sandbox.Processes, sandbox.Limits{Processes: 12}},
}

// TestGroups: what no limit of a process sees is told for what it is, and the
// groups are gone with the run.
func TestGroups(t *testing.T) {
	r := grouped(t)
	for _, tc := range together {
		s := rig.Spec(rig.Build(t, tc.source, "-static", "-pthread"))
		s.Limits = tc.limits
		o, err := r(rig.Context(t), s)
		if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != tc.kind {
			t.Errorf("%s: got %+v, %v, want a failure %q", tc.name, o, err, tc.kind)
		}
		t.Log(err)
		if left := leaves(t, os.Getpid()); len(left) > 0 {
			t.Errorf("%s: left behind: %q", tc.name, left)
		}
	}
	o, err := r(rig.Context(t), rig.Spec(rig.Build(t, `int main() { return 3; }`)))
	if err != nil || o.ExitCode != 3 {
		t.Errorf("the next: %+v, %v", o, err)
	}
	if err := prove.Closed(rig.Context(t), r); err != nil {
		t.Error(err)
	}
}

// leaves are the groups of a process's runs; other tests have some as well.
func leaves(t *testing.T, pid int) (found []string) {
	t.Helper()
	jobs := fmt.Sprintf("/crosscc-jobs-%d-", pid)
	for _, dir := range []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		_ = filepath.WalkDir(dir, func(p string, e os.DirEntry, _ error) error {
			if e != nil && e.IsDir() && strings.Contains(p, jobs) && strings.HasPrefix(e.Name(), "job-") {
				found = append(found, p)
			}
			return nil
		})
	}
	return found
}

// TestGroupsOfAKilledHelper: its runs end with it, and the next helper removes
// their groups.
func TestGroupsOfAKilledHelper(t *testing.T) {
	grouped(t) // or skip
	p := rig.Build(t, rig.Sleeper)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.Command(self)
	helper.Env = append(os.Environ(), "SANDBOX_TEST_RUN="+p, "SANDBOX_TEST_GROUPS=1")
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Await(t, p, func(found []string) bool { return len(found) >= 3 })
	if left := leaves(t, helper.Process.Pid); len(left) == 0 {
		t.Error("it has no groups")
	}
	_ = helper.Process.Signal(syscall.SIGKILL)
	_ = helper.Wait()
	rig.Await(t, p, func(found []string) bool { return len(found) == 0 })
	grouped(t)
	if left := leaves(t, helper.Process.Pid); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestNoGroups: a helper without them works, and says why it has none.
func TestNoGroups(t *testing.T) {
	g := &groups.Set{}
	g.Disable(errors.New("not delegated"))
	r, err := bubblewrap.New(bubblewrap.Options{Groups: g})
	if err != nil || g.String() != "no cgroup limits: not delegated" {
		t.Fatalf("%v, %s", err, g)
	}
	if o, err := r(rig.Context(t), rig.Spec(rig.Build(t, `int main() { return 3; }`))); err != nil || o.ExitCode != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	if err := errors.Join(g.Close(), (*groups.Set)(nil).Close()); err != nil {
		t.Error(err)
	}
}
