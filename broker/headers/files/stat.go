package files

import "golang.org/x/sys/unix"

// A stat is what proves that a file is as it was.
type stat struct {
	Inode
	size, mtime, ctime int64
}

func statOf(st *unix.Stat_t) stat {
	return stat{Inode{st.Dev, st.Ino}, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

// statAt looks at an entry of the directory in; mode is what kind of file it is.
// Compilers open files, and then a network file system asks its server whether
// they changed; to stat it answers from memory unless told otherwise.
func statAt(in int, e *entry) (st stat, mode uint32, err error) {
	if e.in.honest {
		var s unix.Stat_t
		err := fstatat(in, e.name, &s)
		return statOf(&s), s.Mode & unix.S_IFMT, err
	}
	var s unix.Statx_t
	err = unix.Statx(in, e.name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &s)
	return stat{
		Inode: Inode{unix.Mkdev(s.Dev_major, s.Dev_minor), s.Ino},
		size:  int64(s.Size), mtime: nanos(s.Mtime), ctime: nanos(s.Ctime),
	}, uint32(s.Mode) & unix.S_IFMT, err
}

func nanos(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// zeroed is a copy of a name with a zero byte behind it, where the kernel looks
// for one.
func zeroed(name string) string { return (name + "\x00")[:len(name)] }
