package wrapper

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/broker/local"
)

// write puts the outputs of f in place: all of them are written first, then
// named, so that no half-written file is ever seen under its own name. The first
// of them, the object, gets its name last: where it is, its dependency file is.
// On an error no file of ours is left; the real compiler then says what is
// wrong, and does the odd cases: links, devices, directories that are not
// writable.
func (g *guard) write(f local.Finish, files []*os.File) error {
	if unnamed(f.Outputs, files) != nil {
		// The file system has no unnamed files (NFS, FAT), or there is an odd
		// case, which shows again.
		if err := g.renamed(f.Outputs, files); err != nil {
			return err
		}
	}
	return remove(f.Remove)
}

// unnamed writes the outputs to files that have no name, and then gives them
// theirs. Whatever ends this process, a SIGKILL too, leaves nothing half written
// and nothing to remove, so there is no guard.
func unnamed(outputs []local.Output, files []*os.File) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}()
	for _, out := range outputs {
		fd, err := prepare(out, files, func(perm uint32) (int, error) {
			return open(dirOf(out.Path), syscall.O_WRONLY|oTmpfile, perm)
		})
		if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	for i, out := range slices.Backward(outputs) {
		// What was there goes first, as with as. Until the next call there is
		// no file: better than half a one.
		if err := syscall.Unlink(out.Path); err != nil && err != syscall.ENOENT {
			return err
		}
		if err := name(fds[i], out.Path); err != nil {
			return err
		}
	}
	for len(fds) > 0 {
		fd := fds[0]
		fds = fds[1:]
		if err := syscall.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

// renamed writes the outputs under temporary names and renames them, with the
// guard on watch.
func (g *guard) renamed(outputs []local.Output, files []*os.File) error {
	g.watch()
	err := g.prepareAll(outputs, files)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(outputs) - 1; i >= 0 && err == nil; i-- {
		err = os.Rename(g.temps[i], outputs[i].Path)
	}
	if err != nil {
		g.removeTemps()
	}
	g.temps = nil
	return err
}

// prepareAll makes g.temps, one for each output.
func (g *guard) prepareAll(outputs []local.Output, files []*os.File) error {
	for i, out := range outputs {
		fd, err := prepare(out, files, func(perm uint32) (int, error) { return g.create(out.Path, i, perm) })
		if err != nil {
			return err
		}
		if err := syscall.Close(fd); err != nil {
			return &os.PathError{Op: "close", Path: out.Path, Err: err}
		}
	}
	return nil
}

// create makes the temporary file for the output with that number.
func (g *guard) create(path string, number int, perm uint32) (fd int, err error) {
	// Short, whatever the name: the name alone may have 255 bytes.
	// With the time, for process ids come again in a container.
	stamp := strconv.FormatInt(time.Now().UnixNano(), 36)
	temp := dirOf(path) + "/.crosscc-" + strconv.Itoa(os.Getpid()) + "-" + stamp + "-" + strconv.Itoa(number)
	g.mu.Lock()
	defer g.mu.Unlock()
	fd, err = open(temp, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, perm)
	if err == nil {
		g.temps = append(g.temps, temp)
	}
	return fd, err
}

// prepare writes one output to the file that create opens; the umask does its
// part.
func prepare(out local.Output, files []*os.File, create func(perm uint32) (int, error)) (fd int, err error) {
	before, err := target(out)
	if err != nil {
		return -1, err
	}
	perm := uint32(0o666)
	if out.Executable {
		perm = 0o777
	}
	if fd, err = create(perm); err != nil {
		return -1, err
	}
	err = fill(fd, out, files)
	if err == nil && out.Keep && before != nil {
		err = keep(fd, before)
	}
	if err == nil && out.Mode != 0 {
		err = syscall.Fchmod(fd, out.Mode)
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// target looks at what is at an output's place: nil for nothing, an error for
// anything but a plain file that we may write and replace.
func target(out local.Output) (*syscall.Stat_t, error) {
	var st syscall.Stat_t
	err := syscall.Lstat(out.Path, &st)
	switch {
	case err == syscall.ENOENT:
		return nil, nil
	case err != nil:
		return nil, &os.PathError{Op: "lstat", Path: out.Path, Err: err}
	case st.Mode&syscall.S_IFMT != syscall.S_IFREG:
		return nil, fmt.Errorf("%s is not a regular file", out.Path)
	case out.Keep && st.Nlink > 1:
		return nil, fmt.Errorf("%s has several hard links", out.Path)
	}
	// Opened as the compiler would, but not emptied: the one sure test.
	fd, err := open(out.Path, syscall.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &st, syscall.Close(fd)
}

// keep gives a file the owner and mode of the one that it replaces.
func keep(fd int, before *syscall.Stat_t) error {
	var now syscall.Stat_t
	if err := syscall.Fstat(fd, &now); err != nil {
		return err
	}
	if now.Uid != before.Uid || now.Gid != before.Gid {
		if err := syscall.Fchown(fd, int(before.Uid), int(before.Gid)); err != nil {
			return err
		}
	}
	return syscall.Fchmod(fd, before.Mode&0o7777)
}

func fill(fd int, out local.Output, files []*os.File) error {
	if out.File < 0 {
		_, err := writer(fd).Write(out.Data)
		return err
	}
	if out.File >= len(files) {
		return fmt.Errorf("%s: descriptor %d of %d", out.Path, out.File, len(files))
	}
	// By offset: the agent may read the same open file for another wrapper.
	from := io.NewSectionReader(files[out.File], 0, math.MaxInt64)
	_, err := io.CopyBuffer(writer(fd), from, make([]byte, 256<<10))
	return err
}

// remove takes away what a compiler that fails takes away: plain files and
// links, never a device such as /dev/null.
func remove(names []string) error {
	var failed error
	for _, name := range names {
		info, err := os.Lstat(name)
		if err != nil || info.Mode().Type()&^os.ModeSymlink != 0 {
			continue
		}
		failed = errors.Join(failed, os.Remove(name))
	}
	return failed
}
