package wrapper

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// maxProject bounds what is read of a project's settings.
const maxProject = 1 << 20

// mayBePinned says who may have pinned the toolchain of this command to an image; "" for
// nobody. It is asked where there is no agent, who would know: a pinned command is
// never the local compiler's, and one that is not sent for this doubt alone can be run
// by CROSSCC_DISABLE=1.
func (w *wrapper) mayBePinned() string {
	if w.getenv("CROSSCC_TOOLCHAIN") != "" {
		return "CROSSCC_TOOLCHAIN"
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		text, err := readProject(dir)
		switch {
		case err == nil && !bytes.Contains(text, []byte("toolchain")):
			return ""
		case err == nil || inTrouble(err):
			return filepath.Join(dir, projectFile)
		case !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTDIR):
			return "" // it does not count
		case dir == "/" || dir == ".":
			return ""
		}
	}
}

// projectFile is that of package config.
const projectFile = ".crosscc.toml"

// inTrouble reports whether it is the machine's fault that a file can't be read.
func inTrouble(err error) bool {
	for _, known := range []error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// readProject reads the settings in a directory; a file that is a pipe is not waited for.
// Of one that does not count, as the agent would say (config.FindProject), there is no
// text: what somebody else leaves in /tmp keeps no build below it from going on. The
// directory that is judged is the one that has the file, whatever its name leads to by then.
func readProject(dir string) ([]byte, error) {
	const flags = oPath | syscall.O_DIRECTORY | syscall.O_CLOEXEC
	in, err := syscall.Open(dir, flags, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(in)
	return readProjectIn(in)
}

// readProjectIn is readProject for an open directory.
func readProjectIn(dir int) ([]byte, error) {
	const flags = syscall.O_RDONLY | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	fd, err := syscall.Openat(dir, projectFile, flags, 0)
	for err == syscall.EINTR {
		fd, err = syscall.Openat(dir, projectFile, flags, 0)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), projectFile)
	defer f.Close()
	var file, above syscall.Stat_t
	if err := errors.Join(syscall.Fstat(fd, &file), syscall.Fstat(dir, &above)); err != nil {
		return nil, err
	}
	if file.Mode&syscall.S_IFMT != syscall.S_IFREG || !ours(file) || !ours(above) {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(f, maxProject))
}

// ours reports whether nobody but this user and root may write to a file.
func ours(st syscall.Stat_t) bool {
	return (st.Uid == 0 || int(st.Uid) == os.Geteuid()) && st.Mode&0o022 == 0
}

// oPath is O_PATH, which package syscall lacks: the directory need not be readable.
const oPath = 0x200000
