package prove_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
	"github.com/crosscc/crosscc/sandbox/prove"
)

func TestMain(m *testing.M) {
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

func TestClosed(t *testing.T) {
	walled, err := bubblewrap.New(bubblewrap.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if err := prove.Closed(rig.Context(t), walled); err != nil {
		t.Error(err)
	}
	err = prove.Closed(rig.Context(t), direct.New(direct.Options{}))
	if err == nil || !strings.Contains(err.Error(), "read /etc/passwd") || !strings.Contains(err.Error(), "connect over TCP") {
		t.Errorf("the runner without walls was proven closed: %v", err)
	}
	t.Log(err)
}

// TestEachAttemptIsOne: what the probe tries is possible where nothing stands in its
// way, all of it: for root, with an environment and a descriptor of the helper's. The
// mounts are a copy, so that none of it is seen outside.
func TestEachAttemptIsOne(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("these tests are not root's")
	}
	bare := func(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
		cmd := exec.CommandContext(ctx, s.Path, s.Args[1:]...)
		cmd.Dir = s.Dir
		cmd.ExtraFiles = []*os.File{os.Stdin}
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		out, err := cmd.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return &sandbox.Outcome{ExitCode: exit.ExitCode(), Stdout: out}, nil
		}
		return nil, err
	}
	err := prove.Closed(rig.Context(t), bare)
	if err == nil {
		t.Fatal("proven closed")
	}
	_, list, _ := strings.Cut(err.Error(), "the probe could ")
	possible := strings.Split(list, "; ")
	// Beside a program below /tmp is the sandbox's own scratch.
	if want := len(prove.Attempts()) - 1; len(possible) != want {
		t.Errorf("%d attempts are possible, want %d: %s", len(possible), want, err)
	}
}
