package docker

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crosscc/crosscc/e2e/dockerd"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/docker/internal/engine"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// command runs Docker's own command.
func command(t *testing.T, host string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(rig.Context(t), "/usr/bin/docker", args...)
	cmd.Env = []string{"DOCKER_HOST=" + host, "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("docker %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// containers are those of a runner that the Engine knows, in whatever state.
func containers(t *testing.T, host, label string) []string {
	t.Helper()
	return strings.Fields(command(t, host, "ps", "--all", "--quiet", "--filter", "label="+engine.Label+"="+label))
}

// TestLeftContainers: what a helper that was killed has left is removed by the next one
// of the same directory, should the Engine have kept it.
func TestLeftContainers(t *testing.T) {
	host, dir := testEngine.Need(t).Host(), rig.OpenTemp(t)
	first, err := newRunner(rig.Context(t), Options{Host: host, Dir: dir, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	p := rig.Build(t, `int main() { return 3; }`)
	if o, err := first.run(rig.Context(t), rig.Spec(p)); err != nil || o.ExitCode != 3 {
		t.Fatalf("got %+v, %v", o, err)
	}
	// One that was made and never started does not go by itself.
	command(t, host, "create", "--label", engine.Label+"="+first.dir, "crosscc-sandbox:1", "/x")
	if found := containers(t, host, first.dir); len(found) != 2 {
		t.Fatalf("there are %q", found)
	}
	second, err := newRunner(rig.Context(t), Options{Host: host, Dir: dir, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if found := containers(t, host, first.dir); len(found) != 0 {
		t.Errorf("left: %q", found)
	}
	if o, err := second.run(rig.Context(t), rig.Spec(p)); err != nil || o.ExitCode != 3 {
		t.Errorf("got %+v, %v", o, err)
	}
	if err := errors.Join(second.close(), first.close()); err != nil {
		t.Error(err)
	}
}

// TestCanceledStart: a client that goes away while a container is made leaves none that
// nobody knows.
func TestCanceledStart(t *testing.T) {
	host := testEngine.Need(t).Host()
	r, err := newRunner(rig.Context(t), Options{Host: host, Dir: rig.OpenTemp(t), Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	p := rig.Build(t, sleeps)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			s := rig.Spec(p)
			s.Limits.Temp = int64(i+1) << 20 // a container for each
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(1500))*time.Millisecond)
			defer cancel()
			if o, err := r.run(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
	wg.Wait()
	if err := r.close(); err != nil {
		t.Error(err)
	}
	if found := containers(t, host, r.dir); len(found) > 0 {
		t.Errorf("the Engine has %q", found)
	}
}

const sleeps = `#include <unistd.h>
	int main() { for (;;) pause(); }`

// TestImageRemoved: the empty image may be tidied away under a helper that works.
func TestImageRemoved(t *testing.T) {
	r, host := newCounting(t), testEngine.Need(t).Host()
	command(t, host, "image", "rm", "--force", "crosscc-sandbox:1")
	p := rig.Build(t, `int main() { return 3; }`)
	if o, err := r.run(rig.Context(t), rig.Spec(p)); err != nil || o.ExitCode != 3 {
		t.Errorf("got %+v, %v", o, err)
	}
}

// TestEngineCrashes: in the middle of a job that is the machine's fault, and the next
// job is one when the Engine is back.
func TestEngineCrashes(t *testing.T) {
	if os.Getenv(dockerd.Env) != "" {
		t.Skip("NOT TESTED: the Engine is somebody else's")
	}
	d, err := dockerd.Start(t.Context())
	if errors.Is(err, dockerd.ErrNone) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	r, err := newRunner(t.Context(), Options{Host: d.Host(), Dir: rig.OpenTemp(t), Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	quick, slow := rig.Build(t, `int main() { return 3; }`), rig.Build(t, sleeps)
	if o, err := r.run(rig.Context(t), rig.Spec(quick)); err != nil || o.ExitCode != 3 { // and is warm
		t.Fatalf("got %+v, %v", o, err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := r.run(t.Context(), rig.Spec(slow))
		result <- err
	}()
	rig.Await(t, slow, func(found []string) bool { return len(found) > 0 })
	if err := d.Crash(); err != nil {
		t.Fatal(err)
	}
	if f, ok := errors.AsType[*sandbox.Failure](<-result); !ok || f.Kind != sandbox.Killed {
		t.Errorf("in the middle: got %v", f)
	}
	for _, p := range []string{quick, slow} {
		o, err := r.run(rig.Context(t), rig.Spec(p))
		if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Setup {
			t.Errorf("without an Engine: got %+v, %v", o, err)
		}
		t.Log(err)
	}
	if err := d.Again(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o, err := r.run(rig.Context(t), rig.Spec(quick)); err != nil || o.ExitCode != 3 {
		t.Errorf("with the Engine back: got %+v, %v", o, err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	if found := containers(t, d.Host(), r.dir); len(found) != 0 {
		t.Errorf("left: %q", found)
	}
}

// A broken is an Engine that makes no containers.
type broken struct{ said error }

func (b broken) Start(context.Context, engine.Container) (string, []string, error) {
	return "", nil, b.said
}
func (broken) Remove(context.Context, string) error     { return nil }
func (broken) RemoveAll(context.Context, string) error  { return nil }
func (broken) OutOfMemory(context.Context, string) bool { return false }
func (broken) Close() error                             { return nil }

// TestEngineFull: an Engine that has no room, or does not answer, makes no verdict.
func TestEngineFull(t *testing.T) {
	said := errors.New("Error response from daemon: mkdir /var/lib/docker/overlay2/1: no space left on device")
	r := &runner{engine: broken{said}, dir: rig.OpenTemp(t), pool: newPool(), logf: t.Logf}
	for range 2 {
		_, err := r.run(rig.Context(t), rig.Spec(rig.Build(t, `int main() { return 3; }`)))
		if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Setup || !errors.Is(err, said) {
			t.Errorf("got %v", err)
		}
	}
	if left, err := os.ReadDir(r.dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}
