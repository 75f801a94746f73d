package wrapper

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/broker/local"
)

// write puts the outputs of f in place: all of them are written under temporary
// names first, then renamed, so that no half-written file is ever seen under
// its own name. On an error no temporary file is left; the real compiler then
// says what is wrong, and does the odd cases: links, devices, directories that
// are not writable.
func (g *guard) write(f local.Finish, files []*os.File) error {
	temps := make([]string, len(f.Outputs))
	for i, out := range f.Outputs {
		temp, err := g.prepare(out, files, i)
		if err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.removeTemps()
			return err
		}
		temps[i] = temp
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, out := range f.Outputs {
		if err := os.Rename(temps[i], out.Path); err != nil {
			g.removeTemps()
			return err
		}
	}
	g.temps = nil
	return remove(f.Remove)
}

// prepare writes one output under its temporary name.
func (g *guard) prepare(out local.Output, files []*os.File, number int) (temp string, err error) {
	before, err := target(out)
	if err != nil {
		return "", err
	}
	// Short, whatever the name: the name alone may have 255 bytes.
	// With the time, for process ids come again in a container.
	stamp := strconv.FormatInt(time.Now().UnixNano(), 36)
	temp = filepath.Join(filepath.Dir(out.Path), ".crosscc-"+strconv.Itoa(os.Getpid())+"-"+stamp+"-"+strconv.Itoa(number))
	perm := os.FileMode(0o666)
	if out.Executable {
		perm = 0o777
	}
	g.mu.Lock()
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm) // the umask does its part
	if err == nil {
		g.temps = append(g.temps, temp)
	}
	g.mu.Unlock()
	if err != nil {
		return "", err
	}
	err = fill(file, out, files)
	if err == nil && out.Keep && before != nil {
		err = keep(file, before)
	}
	return temp, errors.Join(err, file.Close())
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
	file, err := os.OpenFile(out.Path, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &st, file.Close()
}

// keep gives file the owner and mode of the one that it replaces.
func keep(file *os.File, before *syscall.Stat_t) error {
	var now syscall.Stat_t
	fd := int(file.Fd())
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

func fill(file *os.File, out local.Output, files []*os.File) error {
	if out.File < 0 {
		_, err := file.Write(out.Data)
		return err
	}
	if out.File >= len(files) {
		return fmt.Errorf("%s: descriptor %d of %d", out.Path, out.File, len(files))
	}
	// By offset: the agent may read the same open file for another wrapper.
	from := io.NewSectionReader(files[out.File], 0, math.MaxInt64)
	_, err := io.CopyBuffer(struct{ io.Writer }{file}, from, make([]byte, 256<<10))
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
