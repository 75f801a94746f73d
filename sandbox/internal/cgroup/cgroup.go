// Package cgroup bounds a sandbox as a whole: the memory of all its processes
// and of the files that they keep in memory, and how many processes there are.
// Limits of a process (setrlimit) can do neither: 64 processes may each have
// their share.
//
// Start with [Open], which makes one group below this process's own, and
// [Group.Leaf], which makes one for a job. Both versions of the kernel's
// interface are served, and a machine that has both at once.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound one group. 0 is no bound.
type Limits struct {
	Memory    int64 // bytes
	Processes int   // and threads
}

// Events are what the kernel says happened in a leaf.
type Events struct {
	Killed   int // processes, because memory was out
	Refused  int // times that memory was at its bound
	Unforked int // processes that could not be started
}

// A Group is this process's: it holds the leaves, and bounds them together.
type Group struct {
	trees []*tree
	all   Limits
	next  atomic.Int64
	mu    sync.Mutex // held while a leaf is made, and trees' dir may change
}

// A tree is a group in one hierarchy of the kernel's.
type tree struct {
	hierarchy
	base string // our own group, or the one we were in before we made room (v2)
	home string // where this process's threads are
	dir  string // the group that holds the leaves
	held []*os.File
}

// Names of what is made; a directory that nobody has locked is a dead helper's.
const (
	jobsPrefix = "crosscc-jobs-"
	selfPrefix = "crosscc-self-"
)

// Open makes a group below this process's own. Its error says which group can't
// be divided, and why: that is the rule for an ordinary user, and in containers.
// What helpers that were killed have left beside it is removed.
func Open(all Limits) (*Group, error) { return open(theHost(), all) }

func open(h host, all Limits) (_ *Group, err error) {
	hierarchies, err := h.find()
	if err != nil {
		return nil, err
	}
	g := &Group{all: all}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	for _, hi := range hierarchies {
		t := &tree{hierarchy: hi, base: hi.own, home: hi.own}
		g.trees = append(g.trees, t)
		if err := t.open(all); err != nil {
			return nil, fmt.Errorf("group %s: %w", hi.own, err)
		}
	}
	return g, nil
}

func (t *tree) open(all Limits) error {
	if strings.HasPrefix(filepath.Base(t.own), selfPrefix) { // made by us, or by who started us
		t.base = filepath.Dir(t.own)
	}
	t.sweep()
	if t.v2 {
		if err := t.delegate(); err != nil {
			return err
		}
	}
	return t.hold(all)
}

// hold makes the group that holds the leaves, in place of one that is gone.
func (t *tree) hold(all Limits) error {
	t.held = slices.DeleteFunc(t.held, func(f *os.File) bool { return f.Name() == t.dir && f.Close() == nil })
	dir, err := t.makeLocked(jobsPrefix)
	if err != nil {
		return err
	}
	t.dir = dir
	if t.v2 {
		if err := write(t.dir, "cgroup.subtree_control", t.enable()); err != nil {
			return err
		}
	} else {
		_ = write(t.dir, "memory.use_hierarchy", "1") // the rule since Linux 5.11
	}
	return t.limit(t.dir, all)
}

// enable asks for the controllers in the groups below one.
func (t *tree) enable() string { return "+" + strings.Join(t.controllers, " +") }

// delegate has the controllers in the groups below base. That can't be while
// there are processes in it, so this one moves into a group of its own; if it was
// not alone, it moves back.
func (t *tree) delegate() error {
	have, err := read(t.base, "cgroup.subtree_control")
	if err != nil {
		return err
	}
	if containsAll(strings.Fields(have), t.controllers) {
		return nil
	}
	err = write(t.base, "cgroup.subtree_control", t.enable())
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	self, err := t.makeLocked(selfPrefix)
	if err != nil {
		return err
	}
	if err := write(self, "cgroup.procs", "0"); err != nil {
		return errors.Join(err, t.remove(self))
	}
	if err := write(t.base, "cgroup.subtree_control", t.enable()); err != nil {
		back := write(t.base, "cgroup.procs", "0")
		return errors.Join(fmt.Errorf("other processes are in it: %w", err), back, t.remove(self))
	}
	t.home = self
	return nil
}

// makeLocked makes a directory in base that is ours for as long as we live.
func (t *tree) makeLocked(prefix string) (string, error) {
	for range 100 {
		dir := filepath.Join(t.base, prefix+strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(time.Now().UnixNano(), 36))
		err := t.mkdir(dir)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		f, err := lock(dir)
		if errors.Is(err, errGone) {
			continue // somebody's sweep was quicker
		}
		if err != nil {
			return "", errors.Join(err, t.rmdir(dir))
		}
		t.held = append(t.held, f)
		return dir, nil
	}
	return "", fmt.Errorf("no name is free in %s", t.base)
}

var errGone = errors.New("removed meanwhile")

// lock locks a directory, and is sure that it still is the one of that name.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	locked, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if now, err := os.Stat(dir); err != nil || !os.SameFile(locked, now) {
		f.Close()
		return nil, errGone
	}
	return f, nil
}

// sweep removes what helpers that were killed have left. Their processes have
// ended with them.
func (t *tree) sweep() {
	list, err := os.ReadDir(t.base)
	if err != nil {
		return
	}
	for _, e := range list {
		dir := filepath.Join(t.base, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), jobsPrefix) && !strings.HasPrefix(e.Name(), selfPrefix) {
			continue
		}
		if f, err := lock(dir); err == nil {
			_ = t.removeAll(dir)
			f.Close()
		}
	}
}

// removeAll removes a group and its leaves.
func (t *tree) removeAll(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range list {
		if e.IsDir() {
			errs = append(errs, t.remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(append(errs, t.remove(dir))...)
}

// limit puts l on a group. Swap is not memory that a compile is meant to have.
func (t *tree) limit(dir string, l Limits) error {
	if t.has("memory") && l.Memory > 0 {
		name, swap, value := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", strconv.FormatInt(l.Memory, 10)
		swapValue := value
		if t.v2 {
			name, swap, swapValue = "memory.max", "memory.swap.max", "0"
		}
		if err := write(dir, name, value); err != nil {
			return err
		}
		if err := write(dir, swap, swapValue); err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel may count no swap
			return err
		}
	}
	if t.has("pids") && l.Processes > 0 {
		return write(dir, "pids.max", strconv.Itoa(l.Processes))
	}
	return nil
}

// String says what is bounded, for people.
func (g *Group) String() string {
	var words []string
	for _, t := range g.trees {
		words = append(words, t.String())
	}
	return strings.Join(words, ", ")
}

// Close removes the group. Its leaves must be closed.
func (g *Group) Close() error {
	var errs []error
	for _, t := range g.trees {
		if t.dir != "" {
			errs = append(errs, t.removeAll(t.dir))
		}
		if t.home != t.own {
			t.leave()
		}
		for _, f := range t.held {
			f.Close()
		}
	}
	g.trees = nil
	return errors.Join(errs...)
}

// leave takes this process back out of the group that was made for it, if nobody
// else has come to need it. Who finds it empty removes it.
func (t *tree) leave() {
	words := strings.ReplaceAll(t.enable(), "+", "-")
	if write(t.base, "cgroup.subtree_control", words) == nil && write(t.base, "cgroup.procs", "0") == nil {
		_ = t.remove(t.home)
	}
}

// A Leaf is the group of one job.
type Leaf struct {
	group *Group
	dirs  []string // one in each of the group's trees
}

// Leaf makes a group for one job. Whoever manages this machine's groups may have
// removed ours while it was empty: then it is made again.
func (g *Group) Leaf(l Limits) (*Leaf, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	leaf := &Leaf{group: g}
	name := "job-" + strconv.FormatInt(g.next.Add(1), 10)
	for _, t := range g.trees {
		dir, err := t.leaf(name, l)
		if errors.Is(err, fs.ErrNotExist) && t.gone() {
			if err = t.hold(g.all); err == nil {
				dir, err = t.leaf(name, l)
			}
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("group for a job: %w", err), leaf.Close())
		}
		leaf.dirs = append(leaf.dirs, dir)
	}
	return leaf, nil
}

// gone reports whether the group that holds the leaves was removed.
func (t *tree) gone() bool {
	_, err := os.Stat(t.dir)
	return errors.Is(err, fs.ErrNotExist)
}

// leaf makes the part of a leaf in this tree.
func (t *tree) leaf(name string, l Limits) (string, error) {
	dir := filepath.Join(t.dir, name)
	if err := t.mkdir(dir); err != nil {
		return "", err
	}
	if err := t.limit(dir, l); err != nil {
		return "", errors.Join(err, t.remove(dir))
	}
	if t.v2 {
		// All of it goes, not the largest process alone.
		_ = write(dir, "memory.oom.group", "1") // Linux 4.19
	}
	return dir, nil
}

// Start starts cmd in the leaf; what it starts is in there too. The caller has
// locked its thread.
//
// A process that is moved by its number waits until every processor has seen it
// (an RCU grace period, several ms on large machines). So nothing is moved but
// this thread, in version 1; in version 2 the process is born there.
func (l *Leaf) Start(cmd *exec.Cmd) (err error) {
	for i, t := range l.group.trees {
		dir := l.dirs[i]
		if t.v2 {
			f, err := os.Open(dir)
			if err != nil {
				return err
			}
			defer f.Close()
			if cmd.SysProcAttr == nil {
				cmd.SysProcAttr = &syscall.SysProcAttr{}
			}
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(f.Fd())
			continue
		}
		defer func() { err = errors.Join(err, t.back()) }()
		if err := write(dir, "tasks", "0"); err != nil {
			return err
		}
	}
	return cmd.Start()
}

// back returns this thread to where the others are. One that can't ends with its
// goroutine.
func (t *tree) back() error {
	err := write(t.home, "tasks", "0")
	if err != nil {
		runtime.LockOSThread() // never undone
	}
	return err
}

// Events are what happened in the leaf so far. What can't be read did not happen.
func (l *Leaf) Events() (e Events) {
	for i, t := range l.group.trees {
		dir := l.dirs[i]
		if t.has("memory") && t.v2 {
			e.Killed += field(dir, "memory.events", "oom_kill")
			e.Refused += field(dir, "memory.events", "max")
		}
		if t.has("memory") && !t.v2 {
			e.Killed += field(dir, "memory.oom_control", "oom_kill") // Linux 4.13
			e.Refused += field(dir, "memory.failcnt", "") + field(dir, "memory.memsw.failcnt", "")
		}
		if t.has("pids") {
			e.Unforked += field(dir, "pids.events", "max")
		}
	}
	return e
}

// killTime is how long what is in a leaf may take to be gone, killed.
const killTime = 10 * time.Second

// Kill ends all that is in the leaf, and returns when nothing is. Nothing that is born
// meanwhile escapes. A leaf that is gone had nothing in it. One that has a thread of this
// process, which could not go back, is an error.
func (l *Leaf) Kill() error {
	for until := time.Now().Add(killTime); ; time.Sleep(time.Millisecond) {
		var last string
		ours := false
		for _, dir := range l.dirs {
			text, err := read(dir, "cgroup.procs")
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			for word := range strings.FieldsSeq(text) {
				switch pid, err := strconv.Atoi(word); {
				case err != nil || pid <= 1:
				case pid == os.Getpid(): // version 1 tells of it for one thread
					ours = true
				default:
					last = word
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
		}
		switch {
		case last == "" && ours:
			return errors.New("a thread of this process is in it")
		case last == "":
			return nil
		case time.Now().After(until):
			return fmt.Errorf("process %s does not end", last)
		}
	}
}

// Close removes the leaf. All that was in it must have ended.
func (l *Leaf) Close() error {
	var errs []error
	for i, dir := range l.dirs {
		errs = append(errs, l.group.trees[i].remove(dir))
	}
	return errors.Join(errs...)
}

// removeTries times removePause: what the kernel needs to forget a process that
// is reaped.
const (
	removeTries = 200
	removePause = 5 * time.Millisecond
)

// remove removes a group in which everything has ended.
func (t *tree) remove(dir string) error {
	for i := 0; ; i++ {
		err := t.rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || i == removeTries {
			return err
		}
		time.Sleep(removePause)
	}
}

// write says something to the kernel. Nothing is ever made here.
func write(dir, name, text string) error {
	fd, err := unix.Open(filepath.Join(dir, name), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: filepath.Join(dir, name), Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return &os.PathError{Op: "write " + text + " to", Path: filepath.Join(dir, name), Err: err}
	}
	return nil
}

func read(dir, name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	return string(b), err
}

// field is the number in the line of a file that begins with key; without a key
// the file is a number.
func field(dir, name, key string) int {
	text, err := read(dir, name)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if key != "" && (len(words) != 2 || words[0] != key) || len(words) == 0 {
			continue
		}
		n, _ := strconv.Atoi(words[len(words)-1])
		return n
	}
	return 0
}
