package files

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// grain is how long the clock of a file system can stand still: what changed
// less than that before it was looked at may have changed again without a trace.
const grain = 2 * time.Second

// A listing is the names in a directory. Compilers ask for many names that are
// not there, one directory after the other; with it a look costs no system call.
//
// One that was made when the directory had not changed for a while is settled:
// it is good for as long as the directory's times are the same, because they
// change with each name. One of a directory that changes all the time, as where
// a build puts its objects, is good for the jobs that had arrived before it was
// made.
type listing struct {
	stat    stat // of the directory, before
	tick    Tick
	settled bool
	names   map[string]struct{}
	// folded has the names that are not in lower case, in lower case: a
	// directory that does not tell a from A gives itself away by them.
	folded map[string]struct{}
}

func (l *listing) has(name string) bool {
	_, ok := l.names[name]
	return ok
}

// lacks reports whether the directory surely has no such name.
func (l *listing) lacks(name string) bool { return !l.has(name) && !l.similar(name) }

// similar reports whether a name differs from one in the directory only in case,
// or is one for which that is hard to say.
func (l *listing) similar(name string) bool {
	low, ok := fold(name)
	if !ok {
		return true
	}
	_, folded := l.folded[low]
	_, plain := l.names[low]
	return folded || plain && low != name
}

// fold is the name in lower case; false when it is not ASCII.
func fold(name string) (string, bool) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return "", false
		}
	}
	return strings.ToLower(name), true
}

// usable reports whether the directory's listing tells what is there.
func (v *View) usable(d *Dir) bool {
	return d.list != nil && (d.list.tick >= v.began || d.list.settled && d.list.stat == d.stat)
}

// rely notes that something rests on the directory not having the name.
func (v *View) rely(d *Dir, name string) {
	d.relied = v.w.epoch
	if low, ok := fold(name); ok {
		if _, known := v.w.asked[low]; !known {
			v.w.asked[low] = struct{}{}
			v.w.Spend(costName)
		}
	}
}

// asks reports whether a name may be one that somebody relied on not to be there.
func (w *World) asks(name string) bool {
	low, ok := fold(name)
	if ok {
		_, ok = w.asked[low]
		return ok
	}
	return true
}

// list brings the directory's listing up to date. When it can't be had, or has
// other names than the last one that matter, what rested on the last one is void.
func (v *View) list(d *Dir) {
	if !v.unlisted.Has(d.num) {
		old := d.list
		if v.readNames(d) {
			if old != nil && old != d.list && d.relied == v.w.epoch && v.w.differ(old, d.list) {
				v.w.turn()
			}
			return
		}
		v.unlisted.Add(d.num)
	}
	d.list = nil
	if d.relied == v.w.epoch {
		v.w.turn()
	}
}

// differ reports whether a name that was asked for is in one of them alone.
func (w *World) differ(a, b *listing) bool {
	for _, pair := range [][2]*listing{{a, b}, {b, a}} {
		for name := range pair[0].names {
			if !pair[1].has(name) && w.asks(name) {
				return true
			}
		}
	}
	return false
}

// Bounds of a listing.
const (
	maxListing = 1 << 20   // bytes of records: some 30,000 names
	direntSize = 128 << 10 // bytes that are read at once
)

// readNames makes a listing; false where none can be trusted: the directory is
// too large, or lies on a file system whose times do not tell.
func (v *View) readNames(d *Dir) bool {
	in, err := v.fd(d)
	if err != nil || !d.honest {
		return false
	}
	fd, err := unix.Openat(in, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false // searchable, but not readable
	}
	defer func() { _ = unix.Close(fd) }()
	n := &listing{stat: d.stat, tick: v.w.Now()}
	buf := v.w.c.dirents.Get().(*[]byte)
	defer v.w.c.dirents.Put(buf)
	before := v.w.c.clock()
	text, calls, err := readDirents(fd, (*buf)[:0])
	*buf = text[:0]
	if err != nil {
		return false
	}
	var st unix.Stat_t
	n.settled = before.UnixNano()-n.stat.ctime > int64(grain) && unix.Fstat(fd, &st) == nil && statOf(&st) == n.stat
	// The kernel holds the directory still in one call, but not between two.
	if !n.settled && calls > 1 {
		return false
	}
	if d.list != nil && d.list.same(text) {
		d.list.stat, d.list.tick, d.list.settled = n.stat, n.tick, n.settled
		return true
	}
	n.take(text)
	d.list = n
	v.w.Spend(costName * len(n.names))
	return true
}

// readDirents appends all records of a directory to buf, and counts the calls
// that gave any.
func readDirents(fd int, buf []byte) (text []byte, calls int, err error) {
	for {
		if cap(buf)-len(buf) < direntSize/2 {
			buf = append(buf, make([]byte, direntSize)...)[:len(buf)]
		}
		n, err := unix.Getdents(fd, buf[len(buf):cap(buf)])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return buf, calls, err
		}
		if len(buf) > maxListing {
			return buf, calls, unix.E2BIG
		}
		buf = buf[:len(buf)+n]
		calls++
	}
}

// nextName takes one name from records of getdents64: inode and offset of eight
// bytes each, two bytes for the length of the record, one for the type, and the
// name with zeros behind it.
func nextName(text []byte) (name, rest []byte) {
	const header = 19
	if len(text) < header {
		return nil, nil
	}
	size := int(binary.NativeEndian.Uint16(text[16:]))
	if size <= header || size > len(text) {
		return nil, nil
	}
	name, rest = text[header:size], text[size:]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return name, rest
}

// same reports whether the records have the listing's names and no other.
func (l *listing) same(text []byte) bool {
	n := 0
	for name, rest := nextName(text); name != nil; name, rest = nextName(rest) {
		if isDots(name) {
			continue
		}
		if _, ok := l.names[string(name)]; !ok {
			return false
		}
		n++
	}
	return n == len(l.names)
}

func isDots(name []byte) bool { return string(name) == "." || string(name) == ".." }

// take fills in the names.
func (l *listing) take(text []byte) {
	l.names, l.folded = map[string]struct{}{}, map[string]struct{}{}
	for name, rest := nextName(text); name != nil; name, rest = nextName(rest) {
		if isDots(name) {
			continue
		}
		n := string(name)
		l.names[n] = struct{}{}
		if low := strings.ToLower(n); low != n {
			l.folded[low] = struct{}{}
		}
	}
}

// isHonest tells the file systems whose directories change their times with each
// name, that list every name that can be looked up, and whose stat is never
// behind. Network, FUSE and automount file systems need not.
func isHonest(fd int) bool {
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

// Among gives those of names that are in a directory which this View has looked at,
// and "." and ".."; where no listing can be had, all of them.
func (v *View) Among(d *Dir, names map[string][]string) []string {
	if !v.usable(d) {
		v.list(d)
	}
	listed := v.usable(d)
	var out []string
	if listed && len(d.list.names) < len(names) {
		for name := range d.list.names {
			if names[name] != nil {
				out = append(out, name)
			}
		}
	} else {
		for name := range names {
			if !isDots([]byte(name)) && (!listed || d.list.has(name)) {
				out = append(out, name)
			}
		}
	}
	for _, dots := range []string{".", ".."} {
		if names[dots] != nil {
			out = append(out, dots)
		}
	}
	slices.Sort(out)
	return out
}
