package inner

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/seccomp"
)

// exec gives up everything that the job may not have, and becomes its program. From
// chroot on all is for this thread, which is the one that stays.
func (j *Job) exec() error {
	filter, err := seccomp.Program()
	if err != nil {
		return err
	}
	program, err := unix.BytePtrFromString(j.Path)
	if err != nil {
		return err
	}
	args, err := syscall.SlicePtrFromStrings(j.Args)
	if err != nil {
		return err
	}
	env, err := syscall.SlicePtrFromStrings(j.Env)
	if err != nil {
		return err
	}
	limits, err := j.limits()
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	if err := j.enter(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	// Under the limits there may be no memory for Go: nothing from here on takes any,
	// but to tell of an error, and no garbage is collected meanwhile. Should this
	// process die here, its last words would be the program's.
	for i := range limits {
		l := &limits[i]
		if _, _, e := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, l.resource, uintptr(unsafe.Pointer(&l.value)), 0, 0, 0); e != 0 {
			return fmt.Errorf("set limit %d: %w", l.resource, e)
		}
	}
	_, _, e := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(program)),
		uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&env[0])))
	runtime.KeepAlive(prog)
	return fmt.Errorf("execute %s: %w", j.Path, e)
}

// enter changes root, user and directory, and drops every capability.
func (j *Job) enter() error {
	// When the container's memory is out the program goes, and not process 1. Where that
	// can't be said the container may go: the job is lost then, and its reason vague.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	if err := unix.Chroot(j.Root); err != nil {
		return fmt.Errorf("chroot %s: %w", j.Root, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	unix.Umask(0o022)
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 {
		return fmt.Errorf("give up groups: %w", e)
	}
	if err := setIDs(j.UID, j.GID, j.UID); err != nil {
		return err
	}
	// Those in effect went with the user; those to inherit stay until now.
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&head, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Chdir(j.Dir); err != nil {
		return fmt.Errorf("working directory %s: %w", j.Dir, err)
	}
	return nil
}

type limit struct {
	resource uintptr
	value    unix.Rlimit
}

// limits are those of the job, but that what is less already stays less.
func (j *Job) limits() ([]limit, error) {
	list := make([]limit, len(j.Limits))
	for i, l := range j.Limits {
		var old unix.Rlimit
		if err := unix.Prlimit(0, l.Resource, nil, &old); err != nil {
			return nil, fmt.Errorf("read limit %d: %w", l.Resource, err)
		}
		list[i] = limit{uintptr(l.Resource), unix.Rlimit{Cur: min(l.Soft, old.Max), Max: min(l.Hard, old.Max)}}
	}
	return list, nil
}
