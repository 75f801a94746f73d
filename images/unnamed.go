package images

import (
	"os"

	"golang.org/x/sys/unix"
)

// Unnamed makes a file without a name, in dir or where temporary files are. It is gone
// when it is closed, also by a SIGKILL. Where the file system makes none (O_TMPFILE,
// open(2)) it has a name for a moment.
func Unnamed(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	if fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600); err == nil {
		return os.NewFile(uintptr(fd), dir+"/(unnamed)"), nil
	}
	return named(dir)
}

// named is Unnamed where every file needs a name first.
func named(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "crosscc-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
