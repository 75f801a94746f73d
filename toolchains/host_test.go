package toolchains

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

// install is what the tests with real compilers need.
const install = "apt-get install gcc-11 g++-11 gcc-12 g++-12 gcc-11-aarch64-linux-gnu gcc-12-aarch64-linux-gnu g++-12-aarch64-linux-gnu gcc-riscv64-linux-gnu clang-14"

// need fails the test when a compiler is missing, and says what to install.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: %s", program, install)
	}
	return path
}

// host is this machine.
type host struct {
	drivers.System
	runs    atomic.Int64 // programs run so far
	env     []string
	digests digests
}

func newHost(t *testing.T, env ...string) *host {
	t.Helper()
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	h := &host{env: append(os.Environ(), env...)}
	h.System = drivers.System{Root: root, Run: h.run, Getenv: h.getenv}
	return h
}

func (h *host) getenv(key string) string {
	for i := len(h.env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(h.env[i], key+"="); ok {
			return v
		}
	}
	return ""
}

func (h *host) run(ctx context.Context, p drivers.Program) (drivers.Output, error) {
	h.runs.Add(1)
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

// probe asks a compiler on PATH.
func (h *host) probe(t *testing.T, program, target string) Toolchain {
	t.Helper()
	tc, err := newProber(h.System, &h.digests).probe(t.Context(), need(t, program), target)
	if err != nil {
		t.Fatal(err)
	}
	return tc
}

// settledCache is a cache for which all files are old enough to be trusted.
func settledCache(dir string) *Cache {
	return &Cache{Dir: dir, now: func() time.Time { return time.Now().Add(time.Hour) }}
}

// write makes a file with its directories.
func write(t *testing.T, name, text string, mode os.FileMode) {
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
