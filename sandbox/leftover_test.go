package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestCancel starts a program that has children, cancels it at different
// moments, and looks for what is left.
func TestCancel(t *testing.T) {
	p := build(t, `#include <unistd.h>
		#include <signal.h>
		int main() { signal(SIGTERM, SIG_IGN); for (int i = 0; i < 3; i++) if (!fork()) { setsid(); break; } for (;;) pause(); }`)
	for name, r := range walled(t) {
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				ctx, cancel := context.WithCancelCause(t.Context())
				cause := errors.New("the caller went away")
				time.AfterFunc(time.Duration(i*i)*time.Millisecond, func() { cancel(cause) })
				if o, err := r(ctx, spec(p)); !errors.Is(err, cause) {
					t.Errorf("%s: got %+v, %v, want the cause of the context", name, o, err)
				}
			})
		}
		wg.Wait()
	}
	if left := processes(t, p); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// processes lists command lines on this machine that hold word, zombies too.
func processes(t *testing.T, word string) (found []string) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		line, _ := os.ReadFile(filepath.Join(d, "cmdline"))
		parent, _ := os.ReadFile(filepath.Join(d, "stat"))
		child := strings.Contains(string(parent), fmt.Sprintf(") Z %d ", os.Getpid()))
		if bytes.Contains(line, []byte(word)) || child {
			found = append(found, fmt.Sprintf("%s %q", d, line))
		}
	}
	return found
}

// sleeper has a child and never ends.
const sleeper = `#include <unistd.h>
	int main() { if (!fork()) setsid(); for (;;) pause(); }`

// await waits until as many processes as wanted have p in their command lines.
func await(t *testing.T, p string, enough func(found []string) bool) []string {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if found := processes(t, p); enough(found) {
			return found
		}
	}
	t.Fatalf("waited in vain; there are %q", processes(t, p))
	return nil
}

// TestHelperKilled: SIGKILL for the helper is the end of what it runs.
func TestHelperKilled(t *testing.T) {
	p := build(t, sleeper)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.Command(self)
	helper.Env = append(os.Environ(), "SANDBOX_TEST_RUN="+p)
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, p, func(found []string) bool { return len(found) >= 3 })
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	await(t, p, func(found []string) bool { return len(found) == 0 })
}

// TestBubblewrapKilled: so it is when the monitor is killed, and the Runner says so.
func TestBubblewrapKilled(t *testing.T) {
	p := build(t, sleeper)
	result := make(chan error, 1)
	r := bwrap(t)
	go func() {
		_, err := r(ctxOf(t), spec(p))
		result <- err
	}()
	for _, line := range await(t, p, func(found []string) bool { return len(found) >= 3 }) {
		var pid int
		if _, err := fmt.Sscanf(line, "/proc/%d ", &pid); err == nil && strings.Contains(line, "bwrap") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	err := <-result
	if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != Killed {
		t.Errorf("got %v", err)
	}
	if left := processes(t, p); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestBackgroundProcessesEnd(t *testing.T) {
	p := build(t, `#include <unistd.h>
		int main() { if (!fork()) { setsid(); for (;;) pause(); } return 0; }`)
	for name, r := range walled(t) {
		for range 5 {
			if _, err := r(ctxOf(t), spec(p)); err != nil {
				t.Fatal(name, err)
			}
			if left := processes(t, p); len(left) > 0 {
				t.Fatalf("%s: left behind: %q", name, left)
			}
		}
	}
}
