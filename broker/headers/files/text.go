package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers/lex"
)

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
	stat    stat       // of the file
	digest  broker.Digest
	twin    string // the hash of the content without a byte order mark
	settled bool   // the file was old enough when it was read
}

// Text reads a file in one way, or knows it from before; first tells whether it
// is new to this View.
func (v *View) Text(f *File, as Reading) (t *Text, first bool, err error) {
	c := v.capture(f)
	if t := c.texts[as]; t != nil {
		return t, false, nil
	}
	if err := v.ctx.Err(); err != nil {
		return nil, false, err
	}
	if err := v.weigh(f, c.stat.size, as); err != nil {
		return nil, false, err
	}
	t = f.texts[as]
	if t == nil || t.stat != c.stat || !t.settled && f.ticks[as] < v.began {
		if t, err = v.text(f, c.stat, as); err != nil {
			return nil, false, err
		}
		c = v.capture(f) // it may have moved
	}
	for _, other := range c.texts {
		if other != nil && other.digest != t.digest {
			return nil, false, Unsoundf(Changed, "%s changed while it was read", f.Path())
		}
	}
	c.texts[as], c.content = t, f.contents[as]
	return t, true, nil
}

// weigh counts a file that is about to be read. What nothing is looked for in is read in
// pieces, so that it may be larger.
func (v *View) weigh(f *File, size int64, as Reading) error {
	sum, each, all := &v.bytes, int64(maxFile), int64(maxBytes)
	if as == AsBytes {
		sum, each, all = &v.raw, maxRaw, maxRaws
	}
	if *sum += size; size > each || *sum > all {
		return Unsoundf(TooLarge, "%s has %d bytes", f.Path(), size)
	}
	return nil
}

// capture is what the View read of a file.
func (v *View) capture(f *File) *captured {
	i := v.found.get(f.num)
	if i == 0 {
		v.captured = append(v.captured, captured{file: f, stat: f.stat})
		i = int32(len(v.captured))
		v.found.set(f.num, i)
	}
	return &v.captured[i-1]
}

// text reads a file, or knows it from another World, and keeps what it says. The
// World is free for others meanwhile.
func (v *View) text(f *File, st stat, as Reading) (*Text, error) {
	in, err := v.fd(f.entry.in)
	if err != nil {
		return nil, err
	}
	tick := v.w.Now()
	t, err := v.apart(place{in, f.entry}, st, as)
	if err != nil {
		return nil, err
	}
	f.texts[as], f.ticks[as], f.contents[as] = t, tick, number(v.w, v.w.contents, t.twin)
	v.w.Spend(t.cost())
	return t, nil
}

// apart reads while others may have the World.
func (v *View) apart(at place, st stat, as Reading) (*Text, error) {
	v.w.release()
	defer func() { v.w.lock <- struct{}{} }()
	return v.w.c.text(at, st, as)
}

func (t *Text) cost() int {
	if t.Facts == nil {
		return 300
	}
	return 300 + t.Facts.Size()
}

// A place is where a file is read.
type place struct {
	in int // its directory
	*entry
}

// text is the file's text in the state st.
func (c *Cache) text(at place, st stat, as Reading) (*Text, error) {
	key := textKey{st, as}
	old, ok := c.texts.get(key)
	if ok && old.settled {
		return old, nil
	}
	// Many jobs begin at once and want the same headers: one reads.
	lock := &c.reading[st.ino%uint64(len(c.reading))]
	lock.Lock()
	defer lock.Unlock()
	if old, ok = c.texts.get(key); ok && old.settled {
		return old, nil
	}
	return c.read(at, key, old)
}

// read reads a file; old is what was known of it, or nil.
func (c *Cache) read(at place, key textKey, old *Text) (*Text, error) {
	settled := c.clock().UnixNano()-key.ctime > int64(grain)
	buffer := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buffer)
	t := &Text{stat: key.stat, settled: settled}
	if key.as == AsBytes {
		if err := at.digest(t, buffer); err != nil {
			return nil, err
		}
	} else if err := at.facts(t, old, key.as, buffer); err != nil {
		return nil, err
	}
	c.reads.Add(1)
	c.texts.put(key, t, t.cost())
	return t, nil
}

// byteOrderMark is what compilers pass over at the beginning of a text.
const byteOrderMark = "\xef\xbb\xbf"

// facts fills in what a text says; old is what was known of it, or nil.
func (p place) facts(t, old *Text, as Reading, buffer *[]byte) error {
	var data []byte
	err := p.open(t.stat, func(fd int) (int64, error) {
		// One byte more shows that it grew, and is room for the scanner's newline.
		*buffer = slices.Grow((*buffer)[:0], int(t.stat.size)+1)
		n, err := readFull(fd, (*buffer)[:t.stat.size+1])
		data = (*buffer)[:n]
		return int64(n), err
	})
	if err != nil {
		return err
	}
	t.digest = broker.DigestOf(data)
	t.twin = t.digest.Hash
	if bare, ok := bytes.CutPrefix(data, []byte(byteOrderMark)); ok {
		t.twin = broker.DigestOf(bare).Hash
	}
	if old != nil && old.digest == t.digest {
		t.Facts = old.Facts
	} else {
		t.Facts = lex.File(data, lex.Language(as))
	}
	return nil
}

// pieceSize is how much of a file is in memory of which only the digest is wanted.
const pieceSize = 256 << 10

// digest fills in the digests of a content of any size.
func (p place) digest(t *Text, buffer *[]byte) error {
	all, bare := sha256.New(), sha256.New()
	marked := false
	var size int64
	err := p.open(t.stat, func(fd int) (int64, error) {
		*buffer = slices.Grow((*buffer)[:0], pieceSize)
		for size <= t.stat.size {
			n, err := readFull(fd, (*buffer)[:pieceSize])
			if err != nil || n == 0 {
				return size, err
			}
			piece := (*buffer)[:n]
			_, _ = all.Write(piece)
			if size == 0 {
				piece, marked = bytes.CutPrefix(piece, []byte(byteOrderMark))
			}
			if marked {
				_, _ = bare.Write(piece)
			}
			size += int64(n)
		}
		return size, nil
	})
	if err != nil {
		return err
	}
	t.digest = broker.Digest{Hash: hex.EncodeToString(all.Sum(nil)), Size: size}
	if t.twin = t.digest.Hash; marked {
		t.twin = hex.EncodeToString(bare.Sum(nil))
	}
	return nil
}

// open has a file read, which must be what it was when it was looked at, before and after.
// read says how many bytes there were.
func (p place) open(st stat, read func(fd int) (int64, error)) error {
	fd, err := unix.Openat(p.in, p.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Unsoundf(Unreadable, "%s: %v", p.path(), err)
	}
	defer func() { _ = unix.Close(fd) }()
	changed := Unsoundf(Changed, "%s changed while it was read", p.path())
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil || statOf(&now) != st {
		return changed
	}
	n, err := read(fd)
	if err != nil {
		return Unsoundf(Unreadable, "%s: %v", p.path(), err)
	}
	if err := unix.Fstat(fd, &now); err != nil || statOf(&now) != st || n != st.size {
		return changed
	}
	return nil
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
