package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/crosscc/crosscc/e2e/dockerd"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/sandbox/docker"
	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/prove"
)

func TestMain(m *testing.M) {
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	if p := os.Getenv("SANDBOX_TEST_RUN"); p != "" { // TestHelperKilled's helper
		o := bubblewrap.Options{}
		if os.Getenv("SANDBOX_TEST_GROUPS") != "" {
			o.Groups = groups.Open()
		}
		r, err := bubblewrap.New(o)
		if err == nil {
			_, err = r(context.Background(), rig.Spec(p))
		}
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	if err := onDocker.stop(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

func bwrap(t testing.TB) sandbox.Runner {
	t.Helper()
	r, err := bubblewrap.New(bubblewrap.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func runners(t *testing.T) map[string]sandbox.Runner {
	all := walled(t)
	all["direct"] = direct.New(direct.Options{Dir: rig.OpenTemp(t)})
	return all
}

// TestAsUser runs all of these tests again as an ordinary user, and some of them with
// an Engine that this user may speak to.
func TestAsUser(t *testing.T) {
	rig.AsUser(t, nil)
	if d, err := onDocker.Start(); err == nil && os.Geteuid() == 0 { // a user of the group docker
		if err := d.Lend(rig.User); err != nil {
			t.Fatal(err)
		}
		rig.AsUser(t, []string{dockerd.Env + "=" + d.Host()}, "-test.run=TestOutcome|TestCompilers|TestBegun$")
	}
}

func content(t *testing.T, f sandbox.File) []byte {
	t.Helper()
	b, err := io.ReadAll(f.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// onDocker is the Docker runner of all tests: what one leaves behind, another finds.
var onDocker dockerRunner

type dockerRunner struct {
	rig.Engine
	once sync.Once
	run  sandbox.Runner
	end  func() error
	err  error
}

// start returns an error that is dockerd.ErrNone where no Engine can run.
func (r *dockerRunner) start() (sandbox.Runner, error) {
	r.once.Do(func() {
		var d *dockerd.Daemon
		if d, r.err = r.Start(); r.err == nil {
			r.run, r.end, r.err = docker.New(context.Background(), docker.Options{Host: d.Host()})
		}
	})
	return r.run, r.err
}

func (r *dockerRunner) stop() error {
	var err error
	if r.end != nil {
		err = r.end()
	}
	return errors.Join(err, r.Stop())
}

// walled are the runners with walls. The Docker runner is among them where an
// Engine can run.
func walled(t testing.TB) map[string]sandbox.Runner {
	t.Helper()
	all := map[string]sandbox.Runner{"bwrap": bwrap(t)}
	r, err := onDocker.start()
	if err != nil {
		t.Logf("NOT TESTED with Docker: %v", err)
		if !errors.Is(err, dockerd.ErrNone) {
			t.Fatal(err)
		}
		return all
	}
	all["docker"] = r
	return all
}

// grouped is bubblewrap with groups. Root of a machine with cgroups that can be
// written to has them; where these tests were written those are version 1.
func grouped(t testing.TB) sandbox.Runner {
	t.Helper()
	g := groups.Open()
	r, err := bubblewrap.New(bubblewrap.Options{Logf: t.Logf, Groups: g})
	if err != nil {
		t.Fatal(err)
	}
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
