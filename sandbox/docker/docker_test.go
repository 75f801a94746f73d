package docker

import (
	"context"
	"fmt"

	"github.com/crosscc/crosscc/sandbox/internal/rig"

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
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/prove"
)

// testEngine is the Docker Engine of these tests.
var testEngine rig.Engine

func TestMain(m *testing.M) {
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	if p := os.Getenv("SANDBOX_TEST_RUN"); p != "" { // TestHelperKilled's helper
		r, _, err := New(context.Background(), Options{Host: os.Getenv("SANDBOX_TEST_DOCKER")})
		if err == nil {
			_, err = r(context.Background(), rig.Spec(p))
		}
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	if err := testEngine.Stop(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

func TestProve(t *testing.T) {
	if err := prove.Closed(rig.Context(t), newCounting(t).run); err != nil {
		t.Error(err)
	}
}

// TestAsUser: a user whom the Engine serves can have a helper.
func TestAsUser(t *testing.T) {
	d := testEngine.Need(t)
	if os.Geteuid() != 0 {
		return
	}
	if err := d.Lend(rig.User); err != nil {
		t.Fatal(err)
	}
	rig.AsUser(t, []string{dockerd.Env + "=" + d.Host()}, "-test.run=TestProve|TestWarm$")
}

// counting counts the containers that a runner has made and still has.
type counting struct {
	*runner
	first int64 // made before any job
}

func (c counting) containers() (made int64, idle int) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.made.Load(), len(c.pool.idle)
}

// newCounting is a runner whose containers can be counted.
func newCounting(t *testing.T) counting {
	t.Helper()
	r, err := newRunner(rig.Context(t), Options{Host: testEngine.Need(t).Host(), Dir: rig.OpenTemp(t), Logf: t.Logf})
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
	p := rig.Build(t, `#include <stdio.h>
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
		s := rig.Spec(p, step.word)
		s.Tree = rig.LayTree(t, step.file)
		o, err := r.run(rig.Context(t), s)
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
	p, q := rig.Build(t, `int main() { return 1; }`), rig.Build(t, `int main() { return 2; }`)
	for _, want := range []int{1, 2} {
		o, err := r.run(rig.Context(t), rig.Spec(p))
		if err != nil || o.ExitCode != want {
			t.Errorf("got %+v, %v, want exit %d", o, err, want)
		}
		if err := os.Rename(q, p); want == 1 && err != nil {
			t.Fatal(err)
		}
	}
}

// TestWarmSeesAnotherRoot: an image that made room for others and was unpacked again is
// not looked for in the container that still has its first directory, which is empty now.
func TestWarmSeesAnotherRoot(t *testing.T) {
	r := newCounting(t)
	p, root := rig.Build(t, `int main() { return 7; }`, "-static"), filepath.Join(rig.OpenTemp(t), "root")
	for range 2 {
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755), os.Chmod(root, 0o755)); err != nil {
			t.Fatal(err)
		}
		rig.Run(t, root, "cp", p, "usr/bin/tool")
		s := &sandbox.Spec{Path: "/usr/bin/tool", Args: []string{"tool"}, Dir: "/", Root: root, Whole: true}
		for range 2 {
			if o, err := r.run(rig.Context(t), s); err != nil || o.ExitCode != 7 {
				t.Errorf("got %+v, %v", o, err)
			}
		}
	}
	if made, _ := r.containers(); made-r.first != 2 {
		t.Errorf("%d containers were made", made-r.first)
	}
}

// TestWarmManyAtOnce: jobs at one time are in containers of their own, and all of
// them end with the runner.
func TestWarmManyAtOnce(t *testing.T) {
	r := newCounting(t)
	p := rig.Build(t, `#include <unistd.h>
		#include <fcntl.h>
		int main() { int n = open("/tmp/only", O_CREAT | O_EXCL, 0600); usleep(1500000); return n < 0; }`) // longer than making a container takes
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if o, err := r.run(rig.Context(t), rig.Spec(p)); err != nil || o.ExitCode != 0 {
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
	rig.Await(t, r.dir, func(found []string) bool { return len(found) == 0 })
	if _, err := r.run(rig.Context(t), rig.Spec(p)); err == nil {
		t.Error("a closed runner ran a job")
	}
}

// TestBoundsTheWhole: processes that are each within their limits are together
// too much, and that is told as what it is.
func TestBoundsTheWhole(t *testing.T) {
	r := newCounting(t)
	for name, tc := range map[string]struct {
		source string
		limits sandbox.Limits
	}{
		"memory of several": {`#include <string.h>
			#include <stdlib.h>
			#include <unistd.h>
			#include <sys/wait.h>
			int main() { for (int i = 0; i < 4; i++) if (!fork()) { memset(malloc(40 << 20), 1, 40 << 20); pause(); }
			int st; wait(&st); return 1; }`, sandbox.Limits{Sum: 96 << 20}},
		"files in memory": {`#include <fcntl.h>
			#include <unistd.h>
			int main() { char b[4096] = {1}; int f = open("/tmp/f", O_CREAT | O_WRONLY, 0600); while (write(f, b, 4096) > 0) ; return 1; }`,
			sandbox.Limits{Sum: 64 << 20, Temp: 1 << 30}},
	} {
		s := rig.Spec(rig.Build(t, tc.source))
		s.Limits = tc.limits
		o, err := r.run(rig.Context(t), s)
		if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.Memory {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
		t.Log(err)
	}
}

// TestHelperKilled: SIGKILL for the helper is the end of its containers, and the
// next helper finds none.
func TestHelperKilled(t *testing.T) {
	d := testEngine.Need(t)
	p := rig.Build(t, rig.Sleeper)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.Command(self)
	helper.Env = append(os.Environ(), "SANDBOX_TEST_RUN="+p, "SANDBOX_TEST_DOCKER="+d.Host(), "TMPDIR="+rig.OpenTemp(t))
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Await(t, p, func(found []string) bool { return len(found) >= 2 })
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	rig.Await(t, p, func(found []string) bool { return len(found) == 0 })
}

// TestRefuses: where the Engine can't serve, that is said, with what to do.
func TestRefuses(t *testing.T) {
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
		_, _, err := New(rig.Context(t), Options{Host: host, Dir: rig.OpenTemp(t)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", host, err, want)
		}
		t.Log(err)
	}
}
