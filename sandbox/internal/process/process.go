// Package process is what all runners have around a program's process: its limits
// ([Limit]), its user ([Nobody], [As]), its three streams ([Streams]) and what it
// used ([UsageOf]).
package process

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
)

// OpenDir opens a directory only to name it, for openat2 and fstatfs, and calls
// it by its name below root.
func OpenDir(root, name string) (*os.File, error) {
	p := filepath.Join(root, name)
	fd, err := unix.Open(p, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: p, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// CloseAll closes those files that are not nil.
func CloseAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// UsageOf reads what a reaped process and its descendants used. A process
// started from this one first counts this one's memory as its own peak, so a
// peak that is not above ours says nothing.
func UsageOf(p *os.ProcessState, wall time.Duration) sandbox.Usage {
	u := sandbox.Usage{Wall: wall, User: p.UserTime(), System: p.SystemTime()}
	var own unix.Rusage
	if r, ok := p.SysUsage().(*syscall.Rusage); ok && unix.Getrusage(unix.RUSAGE_SELF, &own) == nil && r.Maxrss > own.Maxrss {
		u.MaxRSS = int64(r.Maxrss) << 10
	}
	return u
}
