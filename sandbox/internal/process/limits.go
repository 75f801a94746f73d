package process

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
)

// An Rlimit is for prlimit(2).
type Rlimit struct {
	Resource   int
	Soft, Hard uint64
}

// Rlimits are what the kernel itself can hold a process to. Inside a user
// namespace (Linux 5.14 and later) RLIMIT_NPROC counts the sandbox's processes
// alone; before, it counts the uid's in all sandboxes. The hard CPU limit comes a
// second later: process 1 inside ignores SIGXCPU, and ends by SIGKILL.
func Rlimits(l sandbox.Limits) []Rlimit {
	seconds := uint64((l.CPU + time.Second - 1) / time.Second)
	return []Rlimit{
		{unix.RLIMIT_AS, uint64(l.Memory), uint64(l.Memory)},
		{unix.RLIMIT_CPU, seconds, seconds + 1},
		{unix.RLIMIT_FSIZE, uint64(l.FileSize), uint64(l.FileSize)},
		{unix.RLIMIT_NPROC, uint64(l.Processes), uint64(l.Processes)},
		{unix.RLIMIT_CORE, 0, 0},
		{unix.RLIMIT_NOFILE, 1024, 1024},
		{unix.RLIMIT_MEMLOCK, 1 << 16, 1 << 16},
		{unix.RLIMIT_MSGQUEUE, 0, 0},
	}
}

// Limit puts l on a process that has not begun its own work. What the host
// allows less of stays less.
func Limit(pid int, l sandbox.Limits) error {
	for _, r := range Rlimits(l) {
		var old unix.Rlimit
		if err := unix.Prlimit(pid, r.Resource, nil, &old); err != nil {
			return fmt.Errorf("read limit %d: %w", r.Resource, err)
		}
		limit := unix.Rlimit{Cur: min(r.Soft, old.Max), Max: min(r.Hard, old.Max)}
		if err := unix.Prlimit(pid, r.Resource, &limit, nil); err != nil {
			return fmt.Errorf("set limit %d to %d: %w", r.Resource, limit.Max, err)
		}
	}
	return nil
}
