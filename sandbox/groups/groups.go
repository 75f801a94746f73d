// Package groups bounds what sandboxes take as a whole, beside what bounds each
// process. Start with [Open].
package groups

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/cgroup"
)

// A Set bounds the memory and the processes of whole sandboxes by the kernel's
// control groups, where this process may divide its own. A limit of a process
// (setrlimit) can't: a sandbox has many, and files in memory besides.
//
// Nil is none, for whoever wants none.
type Set struct {
	group  *cgroup.Group
	broken atomic.Pointer[error] // why they can't be used
}

// Open makes the groups. Where that can't be done they bound nothing, and
// Err says why; what has been left by a process of ours that was killed is
// removed. Close ends them.
func Open() *Set {
	g := &Set{}
	group, err := cgroup.Open(cgroup.Limits{Memory: memoryForAll()})
	if err != nil {
		g.Disable(err)
		return g
	}
	g.group = group
	return g
}

// Err is nil when each run is bounded as a whole, or why not. It is known when a
// Runner was made of them.
func (g *Set) Err() error {
	if err := g.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Disable is said by a Runner that was just made, and could not start a program in a
// group: from now on they bound nothing, and Err is err.
func (g *Set) Disable(err error) { g.broken.Store(&err) }

// String says what is bounded, or why nothing is.
func (g *Set) String() string {
	if err := g.Err(); err != nil {
		return fmt.Sprintf("no cgroup limits: %v", err)
	}
	return g.group.String()
}

// Try starts a program that is not there in a group, and disables the groups where the
// kernel refuses more than that. It is for a Runner that was just made and starts
// programs as they are.
func (g *Set) Try() {
	leaf, err := g.Leaf(sandbox.Limits{Sum: 1 << 30, Processes: 64})
	if leaf == nil && err == nil {
		return
	}
	if err == nil {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err = leaf.Start(exec.Command("/dev/null/none")); errors.Is(err, unix.ENOTDIR) {
			err = nil
		}
		err = errors.Join(err, leaf.Close())
	}
	if err != nil {
		g.Disable(err)
	}
}

// Close removes the groups. All runs must have ended.
func (g *Set) Close() error {
	if g == nil || g.group == nil {
		return nil
	}
	return g.group.Close()
}

// Leaf is a group for one run; nil where there are none.
func (g *Set) Leaf(l sandbox.Limits) (*cgroup.Leaf, error) {
	if g == nil || g.Err() != nil {
		return nil, nil
	}
	// bubblewrap is one of the processes. So this bound is met before the one of
	// setrlimit, which tells nobody.
	return g.group.Leaf(cgroup.Limits{Memory: l.Sum, Processes: l.Processes})
}

// memoryForAll leaves an eighth of the machine's memory to others, so that it is a
// compiler that is ended when memory is out, not the helper. 0 is no bound.
func memoryForAll() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit) / 8 * 7
}
