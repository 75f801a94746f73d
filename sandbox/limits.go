package sandbox

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

type rlimit struct {
	resource   int
	soft, hard uint64
}

// rlimits are what the kernel itself can hold a process to. Inside a user
// namespace (Linux 5.14 and later) RLIMIT_NPROC counts the sandbox's processes
// alone; before, it counts the uid's in all sandboxes. The hard CPU limit comes a
// second later: process 1 inside ignores SIGXCPU, and ends by SIGKILL.
func (l Limits) rlimits() []rlimit {
	seconds := uint64((l.CPU + time.Second - 1) / time.Second)
	return []rlimit{
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

// apply puts l on a process that has not begun its own work. What the host
// allows less of stays less.
func (l Limits) apply(pid int) error {
	for _, r := range l.rlimits() {
		var old unix.Rlimit
		if err := unix.Prlimit(pid, r.resource, nil, &old); err != nil {
			return fmt.Errorf("read limit %d: %w", r.resource, err)
		}
		limit := unix.Rlimit{Cur: min(r.soft, old.Max), Max: min(r.hard, old.Max)}
		if err := unix.Prlimit(pid, r.resource, &limit, nil); err != nil {
			return fmt.Errorf("set limit %d to %d: %w", r.resource, limit.Max, err)
		}
	}
	return nil
}
