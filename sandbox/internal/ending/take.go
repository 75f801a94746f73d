package ending

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
)

// take opens the outputs below dir. The program, which may be anybody's, chose
// what lies there: no component may be a link or another mount, the end must be
// a regular file (a FIFO would hang a reader, a device would be worse), and the
// sizes are bounded together. All who could change it are gone. Unless all must
// be there, those that were not written are left out.
func take(dir *os.File, names []string, l sandbox.Limits, all bool) (files []sandbox.File, err error) {
	defer func() {
		if err != nil {
			(&sandbox.Outcome{Outputs: files}).Close()
			files = nil
		}
	}()
	var sum int64
	for _, name := range names {
		f, err := open(dir, name)
		if !all && errors.Is(err, errNotWritten) {
			continue
		}
		if err != nil {
			return files, err
		}
		files = append(files, f)
		if sum += f.Size; f.Size > l.FileSize || sum > l.OutputSum {
			return files, sandbox.Failf(sandbox.BadOutput, "%s: %d bytes make %d, more than allowed", name, f.Size, sum)
		}
	}
	return files, nil
}

func open(dir *os.File, name string) (sandbox.File, error) {
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return sandbox.File{}, &sandbox.Failure{Kind: sandbox.BadOutput, Detail: name, Err: refusal(err)}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return sandbox.File{}, &sandbox.Failure{Kind: sandbox.BadOutput, Detail: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return sandbox.File{}, sandbox.Failf(sandbox.BadOutput, "%s is not a regular file", name)
	}
	// Blocking again: a regular file never blocks, and os.File must not poll it.
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return sandbox.File{}, &sandbox.Failure{Kind: sandbox.BadOutput, Detail: name, Err: err}
	}
	return sandbox.File{Name: name, File: os.NewFile(uintptr(fd), name), Size: st.Size, Executable: st.Mode&0o111 != 0}, nil
}

var errNotWritten = errors.New("was not written")

// refusal puts words to what openat2 says about links.
func refusal(err error) error {
	switch {
	case errors.Is(err, unix.ELOOP):
		return errors.New("is or goes through a symbolic link")
	case errors.Is(err, unix.ENOENT):
		return errNotWritten
	case errors.Is(err, unix.ENOSYS):
		return errors.New("the kernel has no openat2 (Linux 5.6)")
	}
	return err
}
