package files

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers/lex"
)

// A stat is what proves that a file is as it was.
type stat struct {
	Inode
	size, mtime, ctime int64
}

func statOf(st *unix.Stat_t) stat {
	return stat{Inode{st.Dev, st.Ino}, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

// A Reading is what a file is read as.
type Reading uint8

// The readings.
const (
	AsSource    = Reading(lex.Source)
	AsAsmSource = Reading(lex.AsmSource)
	AsAsm       = Reading(lex.Asm)
	AsBytes     = AsAsm + 1 // its content travels, nothing in it is looked for
	readings    = AsBytes + 1
)

// A textKey is a file in one state, read in one way. What is in it never
// changes, but for files that were too young when they were read.
type textKey struct {
	stat
	as Reading
}

// A Text is what is known of a file's content.
type Text struct {
	Facts   *lex.Facts // nil for AsBytes
	digest  broker.Digest
	settled bool // the file was old enough when it was read
}

// Text reads a file in one way, or knows it from before; first tells whether it
// is new to this View.
func (v *View) Text(f *File, as Reading) (t *Text, first bool, err error) {
	if t := f.texts[as]; t != nil {
		return t, false, nil
	}
	if t, err = v.text(f, as); err != nil {
		return nil, false, err
	}
	if f.digest.Hash != "" && f.digest != t.digest {
		return nil, false, Unsoundf(Changed, "%s changed while it was read", f.Path())
	}
	f.digest, f.texts[as] = t.digest, t
	return t, true, nil
}

func (v *View) text(f *File, as Reading) (*Text, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, err
	}
	if v.bytes += f.stat.size; f.stat.size > maxFile || v.bytes > maxBytes {
		return nil, Unsoundf(TooLarge, "%s has %d bytes", f.Path(), f.stat.size)
	}
	key := textKey{f.stat, as}
	old, ok := v.c.texts.get(key)
	if ok && old.settled {
		return old, nil
	}
	// Many jobs begin at once and want the same headers: one reads.
	lock := &v.c.reading[f.stat.ino%uint64(len(v.c.reading))]
	lock.Lock()
	defer lock.Unlock()
	if old, ok = v.c.texts.get(key); ok && old.settled {
		return old, nil
	}
	return v.read(f, key, old)
}

// read reads a file; old is what was known of it, or nil.
func (v *View) read(f *File, key textKey, old *Text) (*Text, error) {
	settled := v.c.clock().UnixNano()-f.stat.ctime > int64(grain)
	buffer, _ := v.c.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer v.c.buffers.Put(buffer)
	data, err := f.content(buffer)
	if err != nil {
		return nil, err
	}
	v.c.reads.Add(1)
	sum := sha256.Sum256(data)
	t := &Text{settled: settled, digest: broker.Digest{Hash: hex.EncodeToString(sum[:]), Size: int64(len(data))}}
	cost := 300
	if key.as != AsBytes {
		if old != nil && old.digest == t.digest {
			t.Facts = old.Facts
		} else {
			t.Facts = lex.File(data, lex.Language(key.as))
		}
		cost += t.Facts.Size()
	}
	v.c.texts.put(key, t, cost)
	return t, nil
}

// content reads all of a file, which must be what it was when it was looked at,
// before and after. The content lies in the buffer, which grows as needed.
func (f *File) content(buffer *[]byte) ([]byte, error) {
	fd, err := unix.Openat(f.in.fd, f.base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, Unsoundf(Unreadable, "%s: %v", f.Path(), err)
	}
	defer func() { _ = unix.Close(fd) }()
	changed := Unsoundf(Changed, "%s changed while it was read", f.Path())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || statOf(&st) != f.stat {
		return nil, changed
	}
	// One byte more shows that it grew, and is room for the scanner's newline.
	*buffer = slices.Grow((*buffer)[:0], int(f.stat.size)+1)
	n, err := readFull(fd, (*buffer)[:f.stat.size+1])
	if err != nil {
		return nil, Unsoundf(Unreadable, "%s: %v", f.Path(), err)
	}
	if err := unix.Fstat(fd, &st); err != nil || statOf(&st) != f.stat || int64(n) != f.stat.size {
		return nil, changed
	}
	return (*buffer)[:n], nil
}

// readFull reads until b is full or the file ends.
func readFull(fd int, b []byte) (int, error) {
	for n := 0; ; {
		m, err := unix.Read(fd, b[n:])
		switch n += max(m, 0); {
		case err == unix.EINTR:
		case err != nil || m == 0 || n == len(b):
			return n, err
		}
	}
}
