package bubblewrap

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"
	"github.com/crosscc/crosscc/sandbox/prove"

	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
)

// TestBubblewrapKilled: so it is when the monitor is killed, and the sandbox.Runner says so.
func TestBubblewrapKilled(t *testing.T) {
	p := rig.Build(t, rig.Sleeper)
	result := make(chan error, 1)
	r := bwrap(t)
	go func() {
		_, err := r(rig.Context(t), rig.Spec(p))
		result <- err
	}()
	for _, line := range rig.Await(t, p, func(found []string) bool { return len(found) >= 3 }) {
		var pid int
		if _, err := fmt.Sscanf(line, "/proc/%d ", &pid); err == nil && strings.Contains(line, "bwrap") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	err := <-result
	if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Killed {
		t.Errorf("got %v", err)
	}
	if left := rig.Processes(t, p); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestRootIsNobody: what only root may read is not read inside, though it was
// shown, when a helper of root's has started the sandbox (X21).
func TestRootIsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("these tests are not root's")
	}
	p := rig.Build(t, `#include <fcntl.h>
		int main() { return 10 * (open("/w/open", O_RDONLY) >= 0) + (open("/w/closed", O_RDONLY) >= 0); }`)
	s := rig.Spec(p)
	s.Tree = rig.LayTree(t, "w/open", "w/closed")
	if err := os.Chmod(filepath.Join(s.Tree, "w/closed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err := bwrap(t)(rig.Context(t), s); err != nil || o.ExitCode != 10 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestMain(m *testing.M) {
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	if os.Getenv("SANDBOX_TEST_PROVE") != "" { // TestInContainers'
		proveHere()
	}
	if p := os.Getenv("SANDBOX_TEST_MANY"); p != "" { // TestKilledAtAnyMoment's
		runMany(p)
	}
	os.Exit(m.Run())
}

func TestAsUser(t *testing.T) { rig.AsUser(t, nil) }

func bwrap(t testing.TB) sandbox.Runner {
	t.Helper()
	r, err := New(Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
