package local

import (
	"os"
	"strconv"
	"syscall"
)

// oPath is O_PATH, which package syscall lacks; the value is that of every
// Linux port of Go.
const oPath = 0x200000

func fcntl(fd, cmd, arg int) (int, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(cmd), uintptr(arg))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// maxScan bounds the search for descriptors where /proc is not mounted.
const maxScan = 4096

// inherited lists the descriptors above 2 that an exec would hand on. What the
// Go runtime opens for itself is close-on-exec, so right after the start these
// are exactly the ones that the parent left open.
func inherited() []int {
	var list []int
	for _, fd := range openDescriptors() {
		if flags, err := fcntl(fd, syscall.F_GETFD, 0); err == nil && fd > 2 && flags&syscall.FD_CLOEXEC == 0 {
			list = append(list, fd)
		}
	}
	return list
}

func openDescriptors() []int {
	var list []int
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		for fd := range maxScan {
			list = append(list, fd)
		}
		return list
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, fd)
		}
	}
	return list
}

// HideInherited keeps every inherited descriptor (a jobserver's pipes, a build's logs)
// from the programs started until restore is called.
func HideInherited() (restore func()) {
	list := inherited()
	setCloseOnExec(list, syscall.FD_CLOEXEC)
	return func() { setCloseOnExec(list, 0) }
}

func setCloseOnExec(list []int, flag int) {
	for _, fd := range list {
		_, _ = fcntl(fd, syscall.F_SETFD, flag) // fails only for one that is closed
	}
}

// CloseInherited closes every descriptor above 2 that the parent left open. The
// agent calls it first thing, whoever started it.
func CloseInherited() {
	for _, fd := range inherited() {
		syscall.Close(fd)
	}
}
