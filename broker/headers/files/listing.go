package files

import (
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// grain is how long the clock of a file system can stand still: what changed
// less than that before it was looked at may have changed again without a trace.
const grain = 2 * time.Second

// A listing is the names in a directory. Compilers ask for many names that are
// not there, one directory after the other; with it a look costs no system call.
// It is trusted for as long as the directory's times prove that no name came or
// went.
type listing struct {
	stat  stat
	names map[string]struct{}
	// folded has the names that are not in lower case, in lower case: a
	// directory that does not tell a from A gives itself away by them.
	folded map[string]struct{}
}

// lacks reports whether the directory surely has no such name. A nil listing
// knows nothing.
func (l *listing) lacks(name string) bool {
	if l == nil {
		return false
	}
	if _, ok := l.names[name]; ok {
		return false
	}
	return !l.similar(name)
}

// similar reports whether a name differs from one in the directory only in case,
// or is one for which that is hard to say.
func (l *listing) similar(name string) bool {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return true
		}
	}
	low := strings.ToLower(name)
	_, folded := l.folded[low]
	_, plain := l.names[low]
	return folded || plain && low != name
}

// maxListing is how many names a directory may have to be listed at all.
const maxListing = 20000

// listing gives the listing of a directory whose stat is st; nil where none can
// be trusted: the directory changed lately, is too large, or lies on a file
// system whose times do not tell.
func (c *Cache) listing(d *Dir, st *unix.Stat_t) *listing {
	now := statOf(st)
	if old, ok := c.listings.get(d.ID); ok && old.stat == now {
		if old.names == nil {
			return nil
		}
		return old
	}
	if c.clock().UnixNano()-now.ctime < int64(grain) {
		return nil
	}
	n := &listing{stat: now}
	n.read(d.fd)
	c.listings.put(d.ID, n, 200+40*len(n.names))
	if n.names == nil {
		return nil
	}
	return n
}

// read fills in the names, or leaves them nil.
func (l *listing) read(dirfd int) {
	fd, err := unix.Openat(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // searchable, but not readable
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	var st unix.Stat_t
	if !honest(fd) {
		return
	}
	names, err := f.Readdirnames(maxListing)
	if err != nil && err != io.EOF || len(names) == maxListing {
		return
	}
	if err := unix.Fstat(fd, &st); err != nil || statOf(&st) != l.stat {
		return
	}
	l.names, l.folded = make(map[string]struct{}, len(names)), map[string]struct{}{}
	for _, n := range names {
		l.names[n] = struct{}{}
		if low := strings.ToLower(n); low != n {
			l.folded[low] = struct{}{}
		}
	}
}

// honest reports whether the file system is one whose directories change their
// times with each name, and list every name that can be looked up. Network,
// FUSE and automount file systems need not.
func honest(fd int) bool {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
		unix.F2FS_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1, unix.RAMFS_MAGIC, unix.ISOFS_SUPER_MAGIC,
		unix.REISERFS_SUPER_MAGIC, 0x2fc12fc1 /* zfs */, 0xca451a4e /* bcachefs */ :
		return true
	}
	return false
}
