package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestDemo runs the demo as `make demo` does: Lua for three targets, every
// compile remote, every object what a local compiler makes, debug info and all.
func TestDemo(t *testing.T) {
	out := runDemo(t)
	if n := strings.Count(out, "2 (link 2)"); n != 3 {
		t.Errorf("%d rows with two links as the only local jobs, want 3", n)
	}
}

// TestProjects builds what `make e2e-projects` does, for few targets.
func TestProjects(t *testing.T) {
	runDemo(t, "-projects", "zlib", "-targets", "arm-", "-compilers", "gcc")
	runDemo(t, "-projects", "zlib,fmt", "-targets", "aarch64", "-compilers", "clang")
}

// runDemo fails when one file differs or one compile was not remote.
func runDemo(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin("demo"), append([]string{"-bin", bin(""), "-cache", "../.cache/demo"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	t.Logf("%s", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
