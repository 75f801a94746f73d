package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// procRoot is the inode of procfs's own root directory.
const procRoot = 1

// walk is open where there is no openat2: before Linux 5.6, under qemu's user
// emulation before version 9.1, and below filters that do not know the call. It
// resolves one part of the name at a time, with a descriptor for each directory
// that it is in, so that `..` and links cannot lead out of the root whatever is
// renamed meanwhile.
func (r *Root) walk(name string, flags int) (int, error) {
	if name == "" {
		return -1, unix.ENOENT
	}
	w := walker{dirs: []int{r.fd}, todo: strings.Split(name, "/"), nofollow: flags&unix.O_NOFOLLOW != 0}
	defer w.close()
	last, err := w.run()
	if err != nil {
		return -1, err
	}
	return w.reopen(last, flags)
}

// A walker is on its way to a name.
type walker struct {
	dirs     []int    // the root's descriptor, then one for each directory below it; all but the first are the walker's own
	todo     []string // parts of the name that are left
	links    int      // followed so far
	nofollow bool     // a link at the end is the answer
}

func (w *walker) close() {
	for _, fd := range w.dirs[1:] {
		_ = unix.Close(fd)
	}
}

// run goes to the end, or to the directory of the last part, which it returns; ""
// when the end is a directory that it is in.
func (w *walker) run() (last string, err error) {
	for len(w.todo) > 0 {
		part := w.todo[0]
		w.todo = w.todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if top := len(w.dirs) - 1; top > 0 {
				_ = unix.Close(w.dirs[top])
				w.dirs = w.dirs[:top]
			}
			continue
		}
		last, err = w.enter(part)
		if last != "" || err != nil {
			return last, err
		}
	}
	return "", nil
}

// enter goes into a directory, or puts a link's text before what is left. A file
// that is neither must be the last part of the name.
func (w *walker) enter(part string) (last string, err error) {
	dir := w.dirs[len(w.dirs)-1]
	fd, err := openat(dir, part, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return "", err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		w.dirs = append(w.dirs, fd)
		return "", nil
	case unix.S_IFLNK:
		defer func() { _ = unix.Close(fd) }()
		if w.nofollow && len(w.todo) == 0 {
			return part, nil
		}
		return "", w.follow(dir, fd)
	}
	_ = unix.Close(fd)
	if len(w.todo) > 0 { // even if only a slash follows
		return "", unix.ENOTDIR
	}
	return part, nil
}

func (w *walker) follow(dir, link int) error {
	if w.links++; w.links > maxLinks || isMagic(dir) {
		return unix.ELOOP
	}
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(link, "", buf[:])
	if err != nil {
		return err
	}
	text := string(buf[:n])
	if strings.HasPrefix(text, "/") {
		for _, fd := range w.dirs[1:] {
			_ = unix.Close(fd)
		}
		w.dirs = w.dirs[:1]
	}
	w.todo = append(strings.Split(text, "/"), w.todo...)
	return nil
}

// isMagic reports whether the links in a directory lead where their text does not
// say: procfs's, but for those in its root (self, mounts, net).
func isMagic(dir int) bool {
	var in unix.Statfs_t
	var st unix.Stat_t
	return unix.Fstatfs(dir, &in) != nil || unix.Fstat(dir, &st) != nil || in.Type == unix.PROC_SUPER_MAGIC && st.Ino != procRoot
}

// reopen opens what was found in the way that was asked for. A link that was put
// there meanwhile is not followed: the name was no link a moment ago.
func (w *walker) reopen(last string, flags int) (int, error) {
	dir := w.dirs[len(w.dirs)-1]
	if last == "" {
		return openat(dir, ".", flags)
	}
	return openat(dir, last, flags|unix.O_NOFOLLOW)
}

func openat(dir int, name string, flags int) (int, error) {
	if flags&unix.O_PATH == 0 {
		flags |= unix.O_NOCTTY | unix.O_NONBLOCK
	}
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
