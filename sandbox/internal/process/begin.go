package process

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
)

// Begin writes what is begun into the directory of outputs. Nothing has run there yet, so all that lies in it is ours. The
// files are the directory's owner's, as whom the program runs.
func Begin(s *sandbox.Spec, dir *os.File, l sandbox.Limits) error {
	if len(s.Begun) == 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return &os.PathError{Op: "stat", Path: s.Out, Err: err}
	}
	for _, b := range s.Begun {
		if err := write(b, dir, int(st.Uid), l.FileSize); err != nil {
			return fmt.Errorf("begin output %s: %w", b.Name, err)
		}
	}
	return nil
}

func write(b sandbox.Begun, dir *os.File, user int, limit int64) (err error) {
	fd, err := unix.Openat(int(dir.Fd()), b.Name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), b.Name)
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, io.LimitReader(b.Content, limit+1))
	if errors.Is(err, unix.ENOSPC) || n > limit {
		return sandbox.Failf(sandbox.Disk, "%s is larger than an output may be", b.Name)
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(user, -1)
	}
	return err
}
