package direct_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

func TestLeavesNoFile(t *testing.T) {
	dir := rig.OpenTemp(t)
	p := rig.Build(t, `#include <sys/stat.h>
		#include <unistd.h>
		int main(int c, char **v) { mkdir(v[1], 0755); chdir(v[1]); mkdir("d", 0755); chmod(".", 0); return 0; }`)
	if _, err := direct.New(direct.Options{Dir: dir})(rig.Context(t), rig.Spec(p, "/.crosscc/sub")); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// escapes leaves its process group, and has its streams still.
const escapes = `#include <unistd.h>
	int main() { int p[2]; char b; pipe(p); if (!fork()) { setsid(); write(p[1], "x", 1); for (;;) pause(); } read(p[0], &b, 1); return 3; }`

// TestEscapes: with groups what leaves its process group is found; without them it
// is the machine's fault, and no wait for ever.
func TestEscapes(t *testing.T) {
	p := rig.Build(t, escapes)
	_, err := direct.New(direct.Options{})(rig.Context(t), rig.Spec(p))
	if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Setup {
		t.Errorf("got %v", err)
	}
	for _, line := range rig.Processes(t, p) { // as nobody else does
		var pid int
		if _, err := fmt.Sscanf(line, "/proc/%d ", &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	rig.Await(t, p, func(found []string) bool { return len(found) == 0 })
	r := grouped(t)
	for range 3 {
		if o, err := r(rig.Context(t), rig.Spec(p)); err != nil || o.ExitCode != 3 {
			t.Errorf("got %+v, %v", o, err)
		}
		if left := rig.Processes(t, p); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
}

// TestBoundsTheWhole: what no limit of a process sees is told for what it is.
func TestBoundsTheWhole(t *testing.T) {
	r := grouped(t)
	s := rig.Spec(rig.Build(t, `#include <string.h>
		#include <stdlib.h>
		#include <unistd.h>
		#include <sys/wait.h>
		int main() { for (int i = 0; i < 4; i++) if (!fork()) { memset(malloc(40 << 20), 1, 40 << 20); pause(); }
		int st; wait(&st); return 1; }`))
	s.Limits.Sum = 96 << 20
	o, err := r(rig.Context(t), s)
	if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Memory {
		t.Errorf("got %+v, %v", o, err)
	}
	t.Log(err)
}

func grouped(t *testing.T) sandbox.Runner {
	t.Helper()
	g := groups.Open()
	r := direct.New(direct.Options{Groups: g})
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	if g.Err() != nil {
		if os.Geteuid() == 0 {
			t.Fatal(g)
		}
		t.Skip(g)
	}
	return r
}
