// Package drivertest is this machine and its compilers, for tests of what asks them.
package drivertest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// Install is what the tests with real compilers need.
const Install = "apt-get install gcc-11 g++-11 gcc-12 g++-12 gcc-11-aarch64-linux-gnu gcc-12-aarch64-linux-gnu g++-12-aarch64-linux-gnu gcc-riscv64-linux-gnu clang-14"

// Need fails the test when a compiler is missing, and says what to install.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: %s", program, Install)
	}
	return path
}

// A Host is this machine.
type Host struct {
	drivers.System
	Runs atomic.Int64 // programs run so far
	env  []string
}

// New is this machine with more in its environment.
func New(t testing.TB, env ...string) *Host {
	t.Helper()
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	h := &Host{env: append(os.Environ(), env...)}
	h.System = drivers.System{Root: root, Run: h.run, Getenv: h.getenv}
	return h
}

func (h *Host) getenv(key string) string {
	for i := len(h.env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(h.env[i], key+"="); ok {
			return v
		}
	}
	return ""
}

func (h *Host) run(ctx context.Context, p drivers.Program) (drivers.Output, error) {
	h.Runs.Add(1)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env = append(h.env[:len(h.env):len(h.env)], p.Env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if len(p.Stdin) > 0 {
		stdin, err := os.CreateTemp("", "stdin-") // a file, as the agent gives
		if err != nil {
			return drivers.Output{}, err
		}
		defer stdin.Close()
		defer os.Remove(stdin.Name())
		if _, err := stdin.WriteAt(p.Stdin, 0); err != nil {
			return drivers.Output{}, err
		}
		cmd.Stdin = stdin
	}
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		err = nil
	}
	return drivers.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Status: cmd.ProcessState.ExitCode()}, err
}

// In is the host with programs that begin in dir.
func (h *Host) In(dir string) drivers.System {
	sys := h.System
	sys.Dir = dir
	sys.Run = func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		p.Args = append([]string{"-c", `cd "$0" && exec "$@"`, dir, p.Path}, p.Args...)
		p.Path = "/bin/sh"
		return h.run(ctx, p)
	}
	return sys
}

// Settled is a cache for which all files are old enough to be trusted.
func Settled(dir string) *drivers.Cache {
	return &drivers.Cache{Dir: dir, Now: func() time.Time { return time.Now().Add(time.Hour) }}
}

// Write makes a file with its directories.
func Write(t testing.TB, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// InstallGCC makes what clang takes for a gcc for target.
func InstallGCC(t testing.TB, prefix, target, version string) {
	t.Helper()
	Write(t, filepath.Join(prefix, "lib/gcc", target, version, "crtbegin.o"), "", 0o644)
	Write(t, filepath.Join(prefix, "include/c++", version, "ww.h"), "", 0o644)
}
