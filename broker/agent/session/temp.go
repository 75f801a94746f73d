package session

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// TempDir opens the wrapper's directory for temporary files.
func (s *Session) TempDir() (*os.File, error) {
	name := s.Getenv("TMPDIR")
	if name == "" {
		name = "/tmp"
	}
	if !path.IsAbs(name) {
		return nil, fmt.Errorf("TMPDIR is %s, which is no absolute name", name)
	}
	return s.Files.OpenDir(name)
}

// PutTemp writes a new file and gives its name.
func PutTemp(dir *os.File, base string, b broker.Blob) (_ string, err error) {
	fd, err := unix.Openat(int(dir.Fd()), base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return "", &os.PathError{Op: "create", Path: path.Join(dir.Name(), base), Err: err}
	}
	f := os.NewFile(uintptr(fd), base)
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, unix.Unlinkat(int(dir.Fd()), base, 0))
		}
	}()
	r, err := b.Open()
	if err != nil {
		return base, err
	}
	defer r.Close()
	_, err = io.Copy(f, r)
	return base, err
}
