// Package account tells how much processor time a group of processes has used:
// a build with all that it starts, daemons included, or a helper. It counts by
// cgroups where it may make them, which misses nothing, and otherwise by what
// /proc and the kernel's rusage say of the processes that it can find.
package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The ways to count.
const (
	kindV1   = "cpuacct"  // cgroup v1's cpuacct controller, in nanoseconds
	kindV2   = "cpu.stat" // cgroup v2, in microseconds
	kindProc = "proc"     // /proc and rusage, in ticks; what a daemon's lost children used is missed
)

// The places where the two hierarchies are mounted, best first.
var (
	v1Roots = []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct"}
	v2Roots = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
)

// A Book holds the groups of one run of ours.
type Book struct {
	kind string
	dir  string // of our cgroups; empty for kindProc
}

// Open begins to count in the way named by kind; "" takes the first that works.
// Without a way that was asked for by name it fails.
func Open(kind string) (*Book, error) {
	var errs []error
	for _, k := range []string{kindV1, kindV2, kindProc} {
		if kind != "" && kind != k {
			continue
		}
		dir, err := makeDir(k)
		if err == nil {
			return &Book{kind: k, dir: dir}, nil
		}
		errs = append(errs, err)
	}
	if errs == nil {
		return nil, fmt.Errorf("no way to count is called %q: they are %s, %s and %s", kind, kindV1, kindV2, kindProc)
	}
	return nil, errors.Join(errs...)
}

// makeDir makes the cgroup of this process's groups.
func makeDir(kind string) (string, error) {
	name := "crosscc-bench-" + strconv.Itoa(os.Getpid())
	roots, file := v1Roots, "cpuacct.usage"
	switch kind {
	case kindProc:
		return "", nil
	case kindV2:
		roots, file = v2Roots, "cpu.stat"
	}
	err := fmt.Errorf("no %s at %s", file, strings.Join(roots, " or "))
	for _, root := range roots {
		// The mark of the kind, so that v2's file is not looked for in v1's tmpfs.
		if _, e := os.Stat(filepath.Join(root, map[string]string{kindV1: file, kindV2: "cgroup.controllers"}[kind])); e != nil {
			continue
		}
		dir := filepath.Join(root, name)
		if err = os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		if _, err = os.Stat(filepath.Join(dir, file)); err == nil {
			return dir, nil
		}
		os.Remove(dir)
	}
	return "", fmt.Errorf("count by %s: %w", kind, err)
}

// Kind is the way in which the book counts.
func (b *Book) Kind() string { return b.kind }

// Close removes what Open made. Its groups must be closed before.
func (b *Book) Close() error {
	if b.dir == "" {
		return nil
	}
	return os.Remove(b.dir)
}

// A Group is some processes and all their descendants.
type Group struct {
	book *Book
	dir  string // the cgroup
	mark string // what the command line or environment of a daemon holds, for kindProc
	gone time.Duration
}

// Group makes a group. Counted by proc, its living processes are those whose command
// line or environment holds mark, a directory's name that nothing else has.
func (b *Book) Group(name, mark string) (*Group, error) {
	g := &Group{book: b, mark: mark}
	if b.dir == "" {
		return g, nil
	}
	g.dir = filepath.Join(b.dir, name)
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	return g, nil
}

// Door is the file into which a process writes 0 to join; nil where proc counts. The
// caller closes it.
func (g *Group) Door() (*os.File, error) {
	if g.dir == "" {
		return nil, nil
	}
	return os.OpenFile(filepath.Join(g.dir, "cgroup.procs"), os.O_WRONLY, 0)
}

// Split moves processes of the group into one of their own, whose time counts
// for both. It must be closed before the group. Counted by proc, the processes are told
// apart by what they hold of mark.
func (g *Group) Split(name, mark string, pids ...int) (*Group, error) {
	part := &Group{book: g.book, mark: mark}
	if g.dir == "" {
		return part, nil
	}
	part.dir = filepath.Join(g.dir, name)
	if err := os.Mkdir(part.dir, 0o755); err != nil {
		return nil, err
	}
	for _, pid := range pids {
		if err := os.WriteFile(filepath.Join(part.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return nil, fmt.Errorf("move process %d to a group: %w", pid, err)
		}
	}
	return part, nil
}

// Ended tells the group of a child of ours that has ended, with what it and its
// descendants used. Only proc needs it.
func (g *Group) Ended(s *os.ProcessState) { g.gone += s.UserTime() + s.SystemTime() }

// Used is the processor time of all processes that are or were in the group.
func (g *Group) Used() (time.Duration, error) {
	switch g.book.kind {
	case kindV1:
		text, err := os.ReadFile(filepath.Join(g.dir, "cpuacct.usage"))
		if err != nil {
			return 0, err
		}
		return parseUsage(string(text))
	case kindV2:
		text, err := os.ReadFile(filepath.Join(g.dir, "cpu.stat"))
		if err != nil {
			return 0, err
		}
		return parseCPUStat(string(text))
	}
	sum := g.gone
	for _, pid := range g.Processes() {
		if t, err := process(pid); err == nil {
			sum += t.own + t.children
		}
	}
	return sum, nil
}

// Processes are the living processes of the group.
func (g *Group) Processes() []int {
	if g.dir == "" {
		return marked(g.mark)
	}
	var pids []int
	text, _ := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	for _, word := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Close ends what is left in the group, which nobody but us can have put there,
// and removes it. It reports how many processes it had to end.
func (g *Group) Close() (ended int, err error) {
	seen := make(map[int]bool)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		pids := g.Processes()
		if len(pids) == 0 {
			break
		}
		if time.Now().After(end) {
			return len(seen), fmt.Errorf("processes %v do not end", pids)
		}
		for _, pid := range pids {
			seen[pid] = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if g.dir == "" {
		return len(seen), nil
	}
	return len(seen), os.Remove(g.dir)
}
