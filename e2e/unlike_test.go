package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/e2e/userland"
)

// TestUnlike is `make e2e-unlike` for few files: machines of other architectures
// are the clients, with gccs of their own, and this one helps. An arm64 one runs
// wrapper and agent; an armhf one the wrapper, and an agent of this machine serves
// it. Most of its time is the comparison of the toolchains, in emulation.
func TestUnlike(t *testing.T) {
	for arch, c := range map[string]struct {
		agent, files string
		programs     []string
	}{
		"arm64": {"inside", "2", []string{"crosscc", "crossccd"}},
		"armhf": {"outside", "2", []string{"crosscc"}},
	} {
		t.Run(arch, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			foreign := filepath.Join(root, "foreign")
			for _, a := range userland.Arches() {
				if a.Debian == arch {
					if err := a.Build(ctx, "..", filepath.Join(foreign, arch), c.programs...); err != nil {
						t.Fatal(err)
					}
				}
			}
			cmd := exec.CommandContext(ctx, bin("unlike"), "-bin", bin(""), "-foreign", foreign, "-cache", "../.cache/demo",
				"-arches", arch, "-agents", c.agent, "-files", c.files)
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.WaitDelay = time.Minute
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			t.Logf("%s", out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), arch+"   "+c.agent) {
				t.Error("there is no such row")
			}
		})
	}
}
