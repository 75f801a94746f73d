package cgroup

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("CGROUP_TEST_KILLED") != "" { // TestLeftOverIsRemoved's helper
		g, err := Open(Limits{})
		if err == nil {
			_, err = g.Leaf(Limits{Processes: 5})
		}
		if err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(1)
		}
		for _, t := range g.trees {
			os.Stdout.WriteString(t.dir + " ")
		}
		os.Stdout.WriteString("\n")
		time.Sleep(time.Hour)
		runtime.KeepAlive(g) // its locks are files
	}
	os.Exit(m.Run())
}

// forReal is a group on this machine. It needs the right to make one: root's, on
// a machine whose cgroups can be written to.
func forReal(t testing.TB, all Limits) *Group {
	t.Helper()
	g, err := Open(all)
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatal(err)
		}
		t.Skipf("an ordinary user has no groups here: %v", err)
	}
	t.Cleanup(func() {
		dirs := g.dirs()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		for _, d := range dirs {
			if _, err := os.Stat(d); err == nil {
				t.Errorf("left behind: %s", d)
			}
		}
	})
	return g
}

func (g *Group) dirs() (list []string) {
	for _, t := range g.trees {
		list = append(list, t.dir)
	}
	return list
}

// start runs a shell command in a leaf.
func start(t testing.TB, l *Leaf, script string) (*exec.Cmd, error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/bin/sh", "-c", script)
	return cmd, l.Start(cmd)
}

// TestForReal: what this machine has (v1 where these tests were written).
func TestForReal(t *testing.T) {
	g := forReal(t, Limits{Memory: 1 << 30})
	t.Logf("here: %s", g)
	l, err := g.Leaf(Limits{Memory: 32 << 20, Processes: 4})
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := start(t, l, `cat /proc/self/cgroup; for i in 1 2 3 4 5 6; do sleep 0.2 & done; wait`)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("seven processes where four are allowed")
	}
	if e := l.Events(); e.Unforked == 0 || e.Killed != 0 {
		t.Errorf("events %+v", e)
	}
	if err := l.Close(); err != nil { // it waits for the last
		t.Error(err)
	}
	// Two that are small enough each, and too large together.
	if l, err = g.Leaf(Limits{Memory: 32 << 20}); err != nil {
		t.Fatal(err)
	}
	cmd, err = start(t, l, `a() { head -c 20000000 /dev/zero | tail -c 20000000 | sleep 1; }; a & a & wait`)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if e := l.Events(); e.Killed == 0 { // failcnt stays 0 on Linux 6.18
		t.Errorf("events %+v", e)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	stays(t)
}

// stays: no thread of this process was left in a group.
func stays(t *testing.T) {
	t.Helper()
	want, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	threads, _ := filepath.Glob("/proc/self/task/*/cgroup")
	for _, name := range threads {
		if have, err := os.ReadFile(name); err == nil && string(have) != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, have, want)
		}
	}
}

// TestLeftOverIsRemoved: by the next that starts, when a helper was killed; not
// what belongs to one that lives.
func TestLeftOverIsRemoved(t *testing.T) {
	g := forReal(t, Limits{})
	dead, cmd := another(t)
	alive, other := another(t)
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
		forReal(t, Limits{}) // it removes that one
	}()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, d := range dead {
		if _, err := os.Stat(filepath.Join(d, "job-1")); err != nil {
			t.Fatal(err)
		}
	}
	next := forReal(t, Limits{})
	for _, d := range dead {
		if _, err := os.Stat(d); err == nil {
			t.Errorf("left over: %s", d)
		}
	}
	for _, d := range slices.Concat(alive, g.dirs(), next.dirs()) {
		if _, err := os.Stat(d); err != nil {
			t.Errorf("not left over: %v", err)
		}
	}
}

// another is another process with a group.
func another(t *testing.T) ([]string, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "CGROUP_TEST_KILLED=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return strings.Fields(line), cmd
}

// TestVersion2ForReal: a process is born in a leaf of a real unified hierarchy,
// whatever its controllers are: where these tests were written it has neither
// memory nor pids, which are of a made-up tree below.
func TestVersion2ForReal(t *testing.T) {
	paths, err := theHost().paths()
	if err != nil {
		t.Fatal(err)
	}
	all, err := theHost().hierarchies(paths)
	if err != nil || len(all) == 0 || !all[0].v2 || os.Geteuid() != 0 {
		t.Skipf("no unified hierarchy that is ours: %v %v", all, err)
	}
	tr := &tree{hierarchy: all[0], base: all[0].own, home: all[0].own}
	if tr.controllers = tr.controllers[:min(1, len(tr.controllers))]; len(tr.controllers) == 0 {
		t.Skip("the unified hierarchy has no controllers here")
	}
	if err := tr.open(Limits{}); err != nil {
		t.Fatal(err)
	}
	g := &Group{trees: []*tree{tr}}
	l, err := g.Leaf(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := start(t, l, `grep -q "^0::.*/`+filepath.Base(tr.dir)+`/job-1$" /proc/self/cgroup`)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it is elsewhere: %v", err)
	}
	if err := errors.Join(l.Close(), g.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(tr.dir); err == nil {
		t.Errorf("left behind: %s", tr.dir)
	}
}

// A madeUp tree stands for a unified hierarchy. It has the kernel's files and none
// of its doing: what is tested is what we write and read.
type madeUp struct {
	host
	dir string
}

func makeUp(t *testing.T, own, controllers string) *madeUp {
	t.Helper()
	dir := t.TempDir()
	m := &madeUp{dir: dir}
	m.host = host{filepath.Join(dir, "self"), filepath.Join(dir, "mountinfo"), m.make, m.unmake}
	put(t, m.self, "0::"+own+"\n")
	put(t, m.mounts, "30 23 0:26 / "+dir+"/cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
	if err := os.MkdirAll(filepath.Join(dir, "cg", filepath.Dir(own)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.make(filepath.Join(dir, "cg", own)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "cg", own, "cgroup.controllers"), controllers+"\n")
	return m
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func v2Files() []string {
	return []string{"cgroup.controllers", "cgroup.subtree_control", "cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "memory.events", "pids.max", "pids.events"}
}

func (m *madeUp) make(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, name := range v2Files() {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (m *madeUp) unmake(dir string) error {
	for _, name := range v2Files() {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

func TestVersion2InAMadeUpTree(t *testing.T) {
	m := makeUp(t, "/user.slice/helper.service", "cpu io memory pids")
	own := filepath.Join(m.dir, "cg/user.slice/helper.service")
	old := filepath.Join(own, jobsPrefix+"1-old")
	for _, dir := range []string{old, filepath.Join(old, "job-7")} {
		if err := m.make(dir); err != nil {
			t.Fatal(err)
		}
	}
	g, err := open(m.host, Limits{Memory: 9 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if g.String() != "cgroup v2 memory and pids" {
		t.Errorf("it is %s", g)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("what a killed helper left is still there")
	}
	l, err := g.Leaf(Limits{Memory: 1 << 30, Processes: 65})
	if err != nil {
		t.Fatal(err)
	}
	jobs := g.trees[0].dir
	leaf := l.dirs[0]
	for name, want := range map[string]string{
		own + "/cgroup.subtree_control": "+memory +pids", jobs + "/cgroup.subtree_control": "+memory +pids",
		jobs + "/memory.max": strconv.Itoa(9 << 30), jobs + "/pids.max": "",
		leaf + "/memory.max": strconv.Itoa(1 << 30), leaf + "/memory.swap.max": "0", leaf + "/memory.oom.group": "1", leaf + "/pids.max": "65",
	} {
		if b, err := os.ReadFile(name); err != nil || string(b) != want {
			t.Errorf("%s is %q, want %q: %v", name, b, want, err)
		}
	}
	put(t, leaf+"/memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 1\n")
	put(t, leaf+"/pids.events", "max 4\n")
	if e := l.Events(); e != (Events{Killed: 3, Refused: 12, Unforked: 4}) {
		t.Errorf("events %+v", e)
	}
	if err := errors.Join(l.Close(), g.Close()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(own + "/crosscc-*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestRefusedInAMadeUpTree: where nothing is delegated the error names the place.
func TestRefusedInAMadeUpTree(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(m *madeUp, own string) error
		says  string
	}{
		"no controllers": {func(_ *madeUp, own string) error {
			return os.WriteFile(own+"/cgroup.controllers", []byte("cpu\n"), 0o644)
		}, "no cgroup of this process's has the controller memory"},
		"not ours":    {func(_ *madeUp, own string) error { return os.Remove(own + "/cgroup.subtree_control") }, "/h/cgroup.subtree_control"},
		"not mounted": {func(m *madeUp, _ string) error { return os.WriteFile(m.mounts, nil, 0o644) }, "no cgroup file system is mounted"},
		"a container's view": {func(m *madeUp, _ string) error { return os.WriteFile(m.self, []byte("0::/../other\n"), 0o644) },
			"no cgroup file system is mounted that shows"},
	} {
		m := makeUp(t, "/h", "memory pids")
		if err := tc.spoil(m, filepath.Join(m.dir, "cg/h")); err != nil {
			t.Fatal(err)
		}
		if g, err := open(m.host, Limits{Memory: 1}); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
}

func TestHybrid(t *testing.T) {
	m := makeUp(t, "/h", "pids")
	put(t, m.self, "5:pids:/\n4:cpu,memory:/docker/1\n0::/h\n")
	put(t, m.mounts, "30 23 0:26 / "+m.dir+"/cg rw - cgroup2 cgroup2 rw\n31 23 0:27 /docker/1 "+m.dir+`/with\040blank rw master:5 - cgroup cgroup rw,cpu,memory`+"\n")
	found, err := m.find()
	if err != nil || len(found) != 2 {
		t.Fatalf("%v, %v", found, err)
	}
	if h := found[0]; h.v2 || h.own != m.dir+"/with blank" || h.String() != "cgroup v1 memory" {
		t.Errorf("memory: %+v", h)
	}
	if h := found[1]; !h.v2 || h.own != m.dir+"/cg/h" || h.String() != "cgroup v2 pids" {
		t.Errorf("pids: %+v", h)
	}
}

// TestOrdinaryUser: nothing is delegated to nobody, and the error says it.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("these tests are an ordinary user's already")
	}
	runtime.LockOSThread() // and never unlocked: this thread's rights are gone
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, 4711, 4711, 4711); e != 0 {
		t.Fatal(e)
	}
	g, err := Open(Limits{})
	if !errors.Is(err, syscall.EACCES) {
		t.Errorf("%v, %v", g, err)
	}
	t.Log(err)
}

// BenchmarkLeaf is what a job pays.
func BenchmarkLeaf(b *testing.B) {
	g := forReal(b, Limits{})
	run := func(b *testing.B, with bool) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for b.Loop() {
			cmd := exec.Command("/bin/true")
			if !with {
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
				continue
			}
			l, err := g.Leaf(Limits{Memory: 1 << 30, Processes: 65})
			if err == nil {
				err = l.Start(cmd)
			}
			if err != nil {
				b.Fatal(err)
			}
			_ = cmd.Wait()
			l.Events()
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("without", func(b *testing.B) { run(b, false) })
	b.Run("with", func(b *testing.B) { run(b, true) })
}

// TestRemovedUnderUs: whoever manages the machine's groups may remove an empty one of
// ours; the next job has one all the same, as bounded as before.
func TestRemovedUnderUs(t *testing.T) {
	g := forReal(t, Limits{Memory: 1 << 30})
	for _, dir := range g.dirs() {
		if err := unix.Rmdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	l, err := g.Leaf(Limits{Memory: 32 << 20, Processes: 4})
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := start(t, l, `for i in 1 2 3 4 5 6; do sleep 0.1 & done; wait`)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if l.Events().Unforked == 0 {
		t.Error("it is not bounded")
	}
	for _, tr := range g.trees {
		if len(tr.held) != 1 {
			t.Errorf("%d locks are held", len(tr.held))
		}
	}
	for i, tr := range g.trees {
		if tr.has("memory") && !tr.v2 {
			if limit, err := read(g.dirs()[i], "memory.limit_in_bytes"); err != nil || strings.TrimSpace(limit) != strconv.Itoa(1<<30) {
				t.Errorf("all together: %s, %v", limit, err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// What is in a leaf is ended, but for this process itself; a leaf that somebody has
// removed has nothing in it.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	l := &Leaf{dirs: []string{dir, filepath.Join(dir, "gone")}}
	list := func(pids ...int) {
		t.Helper()
		var text string
		for _, pid := range pids {
			text += strconv.Itoa(pid) + "\n"
		}
		next := filepath.Join(dir, "next")
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o644), os.Rename(next, filepath.Join(dir, "cgroup.procs"))); err != nil {
			t.Error(err)
		}
	}
	list()
	if err := l.Kill(); err != nil {
		t.Error(err)
	}
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	list(0, 1, os.Getpid(), other.Process.Pid)
	ended := make(chan error, 1)
	go func() {
		ended <- other.Wait()
		list(os.Getpid())
	}()
	if err := l.Kill(); err == nil || !strings.Contains(err.Error(), "this process") {
		t.Errorf("got %v", err)
	}
	if err := <-ended; err == nil || err.Error() != "signal: killed" {
		t.Errorf("the other: %v", err)
	}
}
