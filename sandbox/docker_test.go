package sandbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/crosscc/crosscc/e2e/dockerd"
)

// engineForTests is the Docker Engine of this run, started when the first test asks.
var engineForTests testEngine

type testEngine struct {
	once sync.Once
	d    *dockerd.Daemon
	run  Runner // one for all tests: what it leaves behind, another finds
	end  func() error
	err  error
}

func (e *testEngine) start() (*dockerd.Daemon, error) {
	e.once.Do(func() {
		if e.d, e.err = dockerd.Start(context.Background()); e.err == nil {
			e.run, e.end, e.err = NewDocker(context.Background(), Options{DockerHost: e.d.Host()})
		}
	})
	return e.d, e.err
}

func (e *testEngine) stop() error {
	var errs []error
	if e.end != nil {
		errs = append(errs, e.end())
	}
	if e.d != nil {
		errs = append(errs, e.d.Stop())
	}
	return errors.Join(errs...)
}

// walled are the runners with walls. The Docker runner is among them where an
// Engine can run.
func walled(t testing.TB) map[string]Runner {
	t.Helper()
	all := map[string]Runner{"bwrap": bwrap(t)}
	if _, err := engineForTests.start(); err != nil {
		t.Logf("NOT TESTED with Docker: %v", err)
		if !errors.Is(err, dockerd.ErrNone) {
			t.Fatal(err)
		}
		return all
	}
	all["docker"] = engineForTests.run
	return all
}

// onDocker is the Docker runner, or the test is skipped.
func onDocker(t testing.TB) Runner {
	t.Helper()
	r := walled(t)["docker"]
	if r == nil {
		t.Skip("NOT TESTED: no Docker Engine")
	}
	return r
}

func TestProveDocker(t *testing.T) {
	if err := Prove(ctxOf(t), onDocker(t)); err != nil {
		t.Error(err)
	}
}

// counting counts the containers that a runner has made and still has.
type counting struct {
	*docker
	first int64 // made before any job
}

func (c counting) containers() (made int64, idle int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made.Load(), len(c.idle)
}

// newCounting is a runner whose containers can be counted.
func newCounting(t *testing.T) counting {
	t.Helper()
	d, err := engineForTests.start()
	if errors.Is(err, dockerd.ErrNone) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := newDocker(ctxOf(t), Options{DockerHost: d.Host(), Dir: openTemp(t), Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return counting{r, r.made.Load()}
}

// TestWarm: a container serves one job after another, and the next job finds
// nothing of the last; one that has something left is the last of its container.
func TestWarm(t *testing.T) {
	p := build(t, `#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>
		#include <dirent.h>
		#include <sys/ipc.h>
		#include <sys/shm.h>
		#include <sys/stat.h>
		static void list(const char *name) {
			DIR *d = opendir(name); struct dirent *e;
			while (d && (e = readdir(d))) if (e->d_name[0] != '.' && strncmp(e->d_name, "sandbox-test", 12)) printf("%s/%s ", name, e->d_name);
		}
		int main(int c, char **v) {
			list("/tmp"); list("/.crosscc"); list("/w"); list("/");
			mkdir("/tmp/d", 0755); mkdir("/.crosscc/d", 0755); fclose(fopen("/tmp/d/f", "w")); chmod("/tmp/d", 0);
			if (c > 1 && !strcmp(v[1], "child") && !fork()) { setsid(); for (;;) pause(); }
			if (c > 1 && !strcmp(v[1], "memory")) shmget(1, 4096, IPC_CREAT | 0600);
			return 0; }`)
	r := newCounting(t)
	for _, step := range []struct {
		word, file, want string
		made, idle       int
	}{
		{"", "w/one", "/w/one //w //dev //tmp ", 1, 1},
		{"", "x/two", "//x //dev //tmp ", 1, 1},
		{"", "tmp/b/a.c", "/tmp/b //dev //tmp ", 1, 1},
		{"child", "w/one", "/w/one //w //dev //tmp ", 1, 0},
		{"", "w/one", "/w/one //w //dev //tmp ", 2, 1},
		{"memory", "w/one", "/w/one //w //dev //tmp ", 2, 0},
		{"", "w/one", "/w/one //w //dev //tmp ", 3, 1},
	} {
		s := spec(p, step.word)
		s.Tree = layTree(t, step.file)
		o, err := r.run(ctxOf(t), s)
		if err != nil || o.ExitCode != 0 {
			t.Fatalf("%+v: got %+v, %v", step, o, err)
		}
		if got := sorted(string(o.Stdout)); got != sorted(step.want) {
			t.Errorf("%+v: it sees %s", step, got)
		}
		made, idle := r.containers()
		if made -= r.first; int(made) != step.made || idle != step.idle {
			t.Errorf("%+v: %d containers made, %d idle", step, made, idle)
		}
	}
}

func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestWarmSeesChanges: a program that was replaced is not run from the container that
// still has the old one.
func TestWarmSeesChanges(t *testing.T) {
	r := newCounting(t)
	p, q := build(t, `int main() { return 1; }`), build(t, `int main() { return 2; }`)
	for _, want := range []int{1, 2} {
		o, err := r.run(ctxOf(t), spec(p))
		if err != nil || o.ExitCode != want {
			t.Errorf("got %+v, %v, want exit %d", o, err, want)
		}
		if err := os.Rename(q, p); want == 1 && err != nil {
			t.Fatal(err)
		}
	}
}

// TestWarmManyAtOnce: jobs at one time are in containers of their own, and all of
// them end with the runner.
func TestWarmManyAtOnce(t *testing.T) {
	r := newCounting(t)
	p := build(t, `#include <unistd.h>
		#include <fcntl.h>
		int main() { int n = open("/tmp/only", O_CREAT | O_EXCL, 0600); usleep(300000); return n < 0; }`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if o, err := r.run(ctxOf(t), spec(p)); err != nil || o.ExitCode != 0 {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
	wg.Wait()
	if _, idle := r.containers(); idle < 2 {
		t.Errorf("%d containers", idle)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	await(t, r.dir, func(found []string) bool { return len(found) == 0 })
	if _, err := r.run(ctxOf(t), spec(p)); err == nil {
		t.Error("a closed runner ran a job")
	}
}

// TestDockerBoundsTheWhole: processes that are each within their limits are together
// too much, and that is told as what it is.
func TestDockerBoundsTheWhole(t *testing.T) {
	r := onDocker(t)
	for name, tc := range map[string]struct {
		source string
		limits Limits
	}{
		"memory of several": {`#include <string.h>
			#include <stdlib.h>
			#include <unistd.h>
			#include <sys/wait.h>
			int main() { for (int i = 0; i < 4; i++) if (!fork()) { memset(malloc(40 << 20), 1, 40 << 20); pause(); }
			int st; wait(&st); return 1; }`, Limits{Sum: 96 << 20}},
		"files in memory": {`#include <fcntl.h>
			#include <unistd.h>
			int main() { char b[4096] = {1}; int f = open("/tmp/f", O_CREAT | O_WRONLY, 0600); while (write(f, b, 4096) > 0) ; return 1; }`,
			Limits{Sum: 64 << 20, Temp: 1 << 30}},
	} {
		s := spec(build(t, tc.source))
		s.Limits = tc.limits
		o, err := r(ctxOf(t), s)
		if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != Memory {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
		t.Log(err)
	}
}

// TestDockerHelperKilled: SIGKILL for the helper is the end of its containers, and the
// next helper finds none.
func TestDockerHelperKilled(t *testing.T) {
	d, err := engineForTests.start()
	if errors.Is(err, dockerd.ErrNone) {
		t.Skipf("NOT TESTED: %v", err)
	}
	p := build(t, sleeper)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.Command(self)
	helper.Env = append(os.Environ(), "SANDBOX_TEST_RUN="+p, "SANDBOX_TEST_DOCKER="+d.Host(), "TMPDIR="+openTemp(t))
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, p, func(found []string) bool { return len(found) >= 2 })
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	await(t, p, func(found []string) bool { return len(found) == 0 })
}

// TestDockerRefuses: where the Engine can't serve, that is said, with what to do.
func TestDockerRefuses(t *testing.T) {
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.40")
	}))
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	old.Listener = l
	old.Start()
	defer old.Close()
	for host, want := range map[string]string{
		"unix:///none/docker.sock": "no docker engine at unix:///none/docker.sock",
		"tcp://127.0.0.1:1":        "name one of this machine",
		"unix://" + socket:         `speaks API "1.40": 1.41 is needed`,
		"nonsense":                 "docker engine",
	} {
		_, _, err := NewDocker(ctxOf(t), Options{DockerHost: host, Dir: openTemp(t)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", host, err, want)
		}
		t.Log(err)
	}
}

// TestReadOnly: what the host lets anybody write to is read-only inside all the same.
func TestReadOnly(t *testing.T) {
	p := build(t, `#include <stdio.h>
		#include <fcntl.h>
		#include <sys/stat.h>
		int main(int c, char **v) {
			for (int i = 1; i < c; i++) if (open(v[i], O_WRONLY) >= 0 || open(v[i], O_WRONLY | O_CREAT, 0666) >= 0 || chmod(v[i], 0777) == 0) puts(v[i]);
			return 0; }`)
	q := build(t, `int main() { return 0; }`)
	tree := layTree(t, "w/a.c")
	for _, name := range []string{q, filepath.Dir(q), tree + "/w", tree + "/w/a.c"} {
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range walled(t) {
		s := spec(p, q, "/w/a.c", "/w/new", "/new")
		s.Tree, s.Programs = tree, append(s.Programs, q)
		o, err := r(ctxOf(t), s)
		if err != nil || len(o.Stdout) > 0 {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
	}
}
