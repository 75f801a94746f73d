package wrapper

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"
)

// Outputs are written and named with package syscall: os.File offers each file
// to the runtime's poller first, which takes none of them.

// A writer writes to a descriptor.
type writer int

func (w writer) Write(b []byte) (n int, err error) {
	for n < len(b) {
		done, err := syscall.Write(int(w), b[n:])
		if err != nil && err != syscall.EINTR {
			return n, os.NewSyscallError("write", err)
		}
		n += max(done, 0)
	}
	return n, nil
}

// open is syscall.Open for files that no program of ours inherits.
func open(path string, flags int, perm uint32) (fd int, err error) {
	for {
		fd, err = syscall.Open(path, flags|syscall.O_CLOEXEC, perm)
		if err == nil {
			return fd, nil
		}
		if err != syscall.EINTR {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// dirOf is the directory of path. It is not made clean: what .. leads to behind
// a link is the file system's to say.
func dirOf(path string) string {
	dir, _ := filepath.Split(path)
	if dir == "" {
		return "."
	}
	return dir
}

// What package syscall lacks of <fcntl.h>.
const (
	oTmpfile   = 0x400000 | syscall.O_DIRECTORY
	atCwd      = -100
	atEmpty    = 0x1000 // AT_EMPTY_PATH
	atFollow   = 0x400  // AT_SYMLINK_FOLLOW
	procSelfFd = "/proc/self/fd/"
)

// name gives an unnamed file its name, which must be free.
func name(fd int, path string) error {
	err := linkat(fd, "", path, atEmpty)
	if err == syscall.ENOENT { // not allowed to all before Linux 6.10
		err = linkat(atCwd, procSelfFd+strconv.Itoa(fd), path, atFollow)
	}
	return err
}

func linkat(dir int, old, path string, flags int) error {
	from, err := syscall.BytePtrFromString(old)
	if err != nil {
		return err
	}
	to, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	cwd := atCwd
	_, _, errno := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(dir), uintptr(unsafe.Pointer(from)), uintptr(cwd),
		uintptr(unsafe.Pointer(to)), uintptr(flags), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
