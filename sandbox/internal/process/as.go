package process

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// As calls f with the calling thread's user and group changed to c's; nil
// changes nothing. Root in a container often has neither CAP_SYS_RESOURCE nor
// CAP_SYS_PTRACE, so it can't set limits on another uid's process, nor look into
// it; the uid itself can.
//
// The system calls are made raw: they change this thread alone. The caller has
// locked it; Go starts no thread from a locked one, so the change can't spread.
// A thread that can't be changed back stays locked and ends with its goroutine.
func As(c *syscall.Credential, f func() error) (err error) {
	if c == nil {
		return f()
	}
	uid, gid := unix.Geteuid(), unix.Getegid()
	if err := setThread(unix.SYS_SETRESGID, int(c.Gid), gid); err != nil {
		return fmt.Errorf("take group %d: %w", c.Gid, err)
	}
	defer func() { err = errors.Join(err, back(unix.SYS_SETRESGID, gid)) }()
	if err := setThread(unix.SYS_SETRESUID, int(c.Uid), uid); err != nil {
		return fmt.Errorf("take uid %d: %w", c.Uid, err)
	}
	defer func() { err = errors.Join(err, back(unix.SYS_SETRESUID, uid)) }()
	return f()
}

// setThread sets the real and effective id, and keeps saved to come back by.
func setThread(call uintptr, id, saved int) error {
	if _, _, e := unix.RawSyscall(call, uintptr(id), uintptr(id), uintptr(saved)); e != 0 {
		return e
	}
	return nil
}

func back(call uintptr, id int) error {
	err := setThread(call, id, id)
	if err != nil {
		runtime.LockOSThread() // never undone
		return fmt.Errorf("return to id %d: %w", id, err)
	}
	return nil
}
