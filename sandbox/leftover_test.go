package sandbox_test

import (
	"os"
	"os/exec"

	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// TestCancel starts a program that has children, cancels it at different
// moments, and looks for what is left.
func TestCancel(t *testing.T) {
	p := rig.Build(t, `#include <unistd.h>
		#include <signal.h>
		int main() { signal(SIGTERM, SIG_IGN); for (int i = 0; i < 3; i++) if (!fork()) { setsid(); break; } for (;;) pause(); }`)
	for name, r := range walled(t) {
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				ctx, cancel := context.WithCancelCause(t.Context())
				cause := errors.New("the caller went away")
				time.AfterFunc(time.Duration(i*i)*time.Millisecond, func() { cancel(cause) })
				if o, err := r(ctx, rig.Spec(p)); !errors.Is(err, cause) {
					t.Errorf("%s: got %+v, %v, want the cause of the context", name, o, err)
				}
			})
		}
		wg.Wait()
	}
	if left := rig.Processes(t, p); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestHelperKilled: SIGKILL for the helper is the end of what it runs.
func TestHelperKilled(t *testing.T) {
	p := rig.Build(t, rig.Sleeper)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.Command(self)
	helper.Env = append(os.Environ(), "SANDBOX_TEST_RUN="+p)
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Await(t, p, func(found []string) bool { return len(found) >= 3 })
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	rig.Await(t, p, func(found []string) bool { return len(found) == 0 })
}

func TestBackgroundProcessesEnd(t *testing.T) {
	p := rig.Build(t, `#include <unistd.h>
		int main() { if (!fork()) { setsid(); for (;;) pause(); } return 0; }`)
	for name, r := range walled(t) {
		for range 5 {
			if _, err := r(rig.Context(t), rig.Spec(p)); err != nil {
				t.Fatal(name, err)
			}
			if left := rig.Processes(t, p); len(left) > 0 {
				t.Fatalf("%s: left behind: %q", name, left)
			}
		}
	}
}
