// Package rootfs is a file system by descriptor: every name is resolved beneath
// it, so that a compiler in a chroot, a mount namespace or an image is looked at
// where it really is. Start with Root.
package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links Real follows, as many as Linux does.
const maxLinks = 40

// A Root is a file system root held by a descriptor. Every name given to its
// methods is resolved beneath it as if by chroot: `..` stops at the root, and
// absolute symbolic links start there again. Names that are not absolute start
// at the root too. Magic links (those of /proc/PID/fd) are never followed.
//
// A Root may be used by several goroutines; none may use it after Close.
type Root struct {
	fd     int
	own    bool // it is this process's own root: names mean there what they mean here
	closed atomic.Bool
	walks  atomic.Bool // there is no openat2
}

// At opens the directory path as a root. The caller closes it.
func At(path string) (*Root, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open root", Path: path, Err: err}
	}
	return FromFD(fd), nil
}

// FromFD makes a Root of a directory's descriptor (O_PATH is enough), as it
// comes from a wrapper, and owns it from then on.
func FromFD(fd int) *Root { return &Root{fd: fd, own: isOwn(fd)} }

// isOwn reports whether fd is this process's root directory, of the same mount:
// the mount's number tells it from the same directory in another namespace.
func isOwn(fd int) bool {
	const mask = unix.STATX_INO | unix.STATX_MNT_ID
	var theirs, ours unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, mask, &theirs) != nil || unix.Statx(unix.AT_FDCWD, "/", 0, mask, &ours) != nil {
		return false
	}
	return theirs.Mask&mask == mask && theirs.Ino == ours.Ino && theirs.Mnt_id == ours.Mnt_id &&
		theirs.Dev_major == ours.Dev_major && theirs.Dev_minor == ours.Dev_minor
}

// Own reports whether the root is this process's own: a name in it is the same to
// programs that this process starts.
func (r *Root) Own() bool { return r.own }

// Close releases the descriptor. A second Close does nothing.
func (r *Root) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	return unix.Close(r.fd)
}

// FD is the descriptor, for callers that resolve names by themselves; it is
// theirs until Close.
func (r *Root) FD() int { return r.fd }

// ID tells this root from others of one boot: device and inode of its directory.
func (r *Root) ID() (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(r.fd, &st); err != nil {
		return "", fmt.Errorf("stat root: %w", err)
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}

// open resolves name beneath the root, by openat2 where there is one.
func (r *Root) open(op, name string, flags int) (int, error) {
	fd, err := -1, error(unix.ENOSYS)
	if !r.walks.Load() {
		fd, err = r.open2(name, flags)
	}
	if err == unix.ENOSYS || err == unix.EPERM { // a filter that does not know the call may say EPERM
		if err == unix.ENOSYS {
			r.walks.Store(true)
		}
		fd, err = r.walk(name, flags)
	}
	if err != nil {
		return -1, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return fd, nil
}

// open2 is one openat2. A rename elsewhere in the tree can make the kernel answer
// EAGAIN when the name has `..`; then it is tried again.
func (r *Root) open2(name string, flags int) (fd int, err error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_PATH != 0 { // openat2 refuses what O_PATH would ignore
		how.Flags = uint64(flags | unix.O_CLOEXEC)
	}
	for range 32 {
		fd, err = unix.Openat2(r.fd, name, &how)
		if err != unix.EAGAIN && err != unix.EINTR {
			break
		}
	}
	return fd, err
}

// Open opens a regular file for reading; anything else is an error. A FIFO or a
// device is not opened even for a moment: its type is looked at first.
func (r *Root) Open(name string) (*os.File, error) {
	st, err := r.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	fd, err := r.open("open", name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	// The name may lead elsewhere by now; O_NONBLOCK kept even that from hanging.
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		_ = unix.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.Join(err, errNotRegular)}
	}
	return os.NewFile(uintptr(fd), name), nil
}

var errNotRegular = errors.New("not a regular file")

// Stat describes the file that name leads to, links followed.
func (r *Root) Stat(name string) (unix.Stat_t, error) { return r.stat("stat", name, 0) }

// Lstat describes name itself: a link when it is one.
func (r *Root) Lstat(name string) (unix.Stat_t, error) {
	return r.stat("lstat", name, unix.O_NOFOLLOW)
}

func (r *Root) stat(op, name string, flags int) (st unix.Stat_t, err error) {
	if r.own && strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "/proc") {
		err = r.statOwn(op, name, flags, &st)
		return st, err
	}
	fd, err := r.open(op, name, unix.O_PATH|flags)
	if err != nil {
		return st, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Fstat(fd, &st); err != nil {
		return st, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return st, nil
}

// statOwn is stat with one system call for three. /proc has links that lead where
// no name does; those are for the careful way.
func (r *Root) statOwn(op, name string, flags int, st *unix.Stat_t) error {
	at := 0
	if flags&unix.O_NOFOLLOW != 0 {
		at = unix.AT_SYMLINK_NOFOLLOW
	}
	for {
		err := unix.Fstatat(unix.AT_FDCWD, name, st, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: op, Path: name, Err: err}
		}
		return nil
	}
}

// Readlink gives the text of the symbolic link name.
func (r *Root) Readlink(name string) (string, error) {
	fd, err := r.open("readlink", name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err != nil {
		if err == unix.ENOENT { // what Linux says of an empty name that is no link
			err = unix.EINVAL
		}
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

// ReadFile reads a regular file of at most limit bytes; a larger one is an
// error before anything is read.
func (r *Root) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	tooLarge := &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("larger than %d bytes", limit)}
	if info.Size() > limit {
		return nil, tooLarge
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // it may grow while it is read
	if err == nil && int64(len(data)) > limit {
		return nil, tooLarge
	}
	return data, err
}

// ReadDir lists the names in a directory, sorted; more than limit is an error.
func (r *Root) ReadDir(name string, limit int) ([]string, error) {
	d, err := r.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(limit + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(names) > limit {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fmt.Errorf("more than %d entries", limit)}
	}
	slices.Sort(names)
	return names, nil
}

// Sub is the directory name as a root of its own, which stays that directory whatever
// its name leads to later. It need not be readable. The caller closes it.
func (r *Root) Sub(name string) (*Root, error) {
	fd, err := r.open("open", name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return FromFD(fd), nil
}

// OpenDir opens a directory for reading; its descriptor serves to make files in it.
func (r *Root) OpenDir(name string) (*os.File, error) {
	fd, err := r.open("open", name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Real gives the absolute name, within the root, of the file that name leads
// to: no links and no `..` are left in it. The file must exist.
func (r *Root) Real(name string) (string, error) {
	todo := strings.Split(name, "/")
	done, links := "", 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = done[:max(strings.LastIndexByte(done, '/'), 0)]
			continue
		}
		text, err := r.Readlink(done + "/" + part)
		if errors.Is(err, syscall.EINVAL) { // no link
			done += "/" + part
			continue
		}
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: name, Err: unix.ELOOP}
		}
		if strings.HasPrefix(text, "/") {
			done = ""
		}
		todo = append(strings.Split(text, "/"), todo...)
	}
	if done == "" {
		return "/", nil
	}
	return done, nil
}

// Plain rewrites name without `..`, links before the last of them resolved, and
// leaves the rest as it is spelled. A name that leads nowhere is left as it is.
func (r *Root) Plain(name string) string {
	i := strings.LastIndex(name, "/../")
	if i < 0 {
		return name
	}
	dir, err := r.Real(name[:i+len("/..")])
	if err != nil {
		return name
	}
	return strings.TrimSuffix(dir, "/") + name[i+len("/.."):]
}
