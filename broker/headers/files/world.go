package files

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A World is the files below one root as all scans so far saw them. What is in it
// is no answer to anything: it is what a View needs to look at things once more
// and see that they are as they were. Make one with Cache.World; a View holds it
// alone, but for the time in which it reads a file.
type World struct {
	c    *Cache
	lock chan struct{} // full while a View holds the World
	tick atomic.Int64  // the last job to arrive
	cost atomic.Int64  // bytes of memory, roughly

	root  *Dir
	shown func(dir, name string) bool // which entries near the root are looked at; nil means all
	// epoch changes when something that was relied on is no longer so: a name
	// came or went, a directory or a link is another. Contents are no part of it.
	epoch int64
	// asked has, in lower case, each name that some directory was found not to
	// have in this epoch.
	asked map[string]struct{}

	entries, dirs, files int32 // numbers given so far
	inodes               map[Inode]int32
	contents             map[string]int32 // by hash
	spare                []*marks
}

// World makes an empty World for one root.
func (c *Cache) World() *World {
	w := &World{
		c: c, lock: make(chan struct{}, 1), asked: map[string]struct{}{}, inodes: map[Inode]int32{}, contents: map[string]int32{},
	}
	e := &entry{}
	e.dir = w.newDir(e, "")
	w.root = e.dir
	w.entries = 1
	return w
}

// Show keeps other entries near the root from being looked at: they are not there. dir is the
// directory's name, "" for the root; those deeper than maxShown are not asked for. It comes
// before the first View.
func (w *World) Show(shown func(dir, name string) bool) { w.shown = shown }

// maxShown is how deep the directories are that Show counts for: /usr/local/share.
const maxShown = 3

// Cost is about how many bytes of memory the World takes.
func (w *World) Cost() int64 { return w.cost.Load() }

// Spend adds what is kept along with the World to its cost.
func (w *World) Spend(bytes int) { w.cost.Add(int64(bytes)) }

// A Tick orders what happens in a World.
type Tick int64

// Arrive is called when a job begins to wait for its turn: what any View sees
// from now on is new enough for that job.
func (w *World) Arrive() Tick { return Tick(w.tick.Add(1)) }

// Now is the last job's arrival: what is looked at from here on is new enough for
// it.
func (w *World) Now() Tick { return Tick(w.tick.Load()) }

// acquire waits for the World. The error is the cause of ctx.
func (w *World) acquire(ctx context.Context) error {
	select {
	case w.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *World) release() { <-w.lock }

// turn ends the epoch.
func (w *World) turn() {
	w.epoch++
	clear(w.asked)
}

// An Inode tells a file from all others that exist.
type Inode struct{ dev, ino uint64 }

// An entry is what a name in a directory was when it was last looked at; one of
// the four below is set while it is there.
type entry struct {
	in   *Dir   // nil for the root
	name string // zeroed
	id   int32
	tick Tick // it was looked at after this one arrived
	odd8 bool // name or link is not UTF-8

	dir  *Dir
	file *File  // a regular file
	link string // the text of a symbolic link
	odd  bool   // a FIFO, a socket, a device
}

func (e *entry) path() string { return e.in.Name + "/" + e.name }

// nothing is an entry that is not there.
var nothing entry

// A Dir is a directory, once for each physical name that it is reached by. One
// that comes in its place is another Dir.
type Dir struct {
	Name string // absolute, without links; "" for the root
	ID   Inode

	entry  *entry
	num    int32
	depth  int
	stat   stat // when last looked at
	kids   map[string]*entry
	sorted []*entry // kids by name; nil: to be made
	list   *listing // perhaps too old
	relied int64    // the last epoch in which something rests on a name that is not here
	honest bool     // see isHonest
	busy   bool     // something in it was looked at when it was last looked at
}

// Number tells the Dirs of one World apart.
func (d *Dir) Number() int32 { return d.num }

// up is the directory above; the root is its own.
func (d *Dir) up() *Dir {
	if d.entry.in == nil {
		return d
	}
	return d.entry.in
}

// A File is a regular file.
type File struct {
	entry *entry
	num   int32
	stat  stat // when last looked at
	inode int32

	texts    [readings]*Text // as far as it was read in some state
	ticks    [readings]Tick  // when
	contents [readings]int32 // the numbers of their contents
}

// Path is the file's absolute name, without links.
func (f *File) Path() string { return f.entry.path() }

// Costs of what a World is made of, in bytes, with what maps and names take.
const (
	costEntry   = 200
	costFile    = 250
	costDir     = 400
	costContent = 150
	costName    = 80 // of a listing
)

func (w *World) newDir(e *entry, name string) *Dir {
	d := &Dir{Name: name, entry: e, num: w.dirs, kids: map[string]*entry{}, relied: -1}
	if e.in != nil {
		d.depth = e.in.depth + 1
	}
	w.dirs++
	w.Spend(costDir + len(name))
	return d
}

func (w *World) newFile(e *entry, st stat) *File {
	f := &File{entry: e, num: w.files}
	w.files++
	w.Spend(costFile)
	f.look(w, st)
	return f
}

// look takes in what a file is now.
func (f *File) look(w *World, st stat) {
	if f.inode == 0 || f.stat.Inode != st.Inode {
		f.inode = number(w, w.inodes, st.Inode)
	}
	f.stat = st
}

// number gives each key a number, from 1 on.
func number[K comparable](w *World, m map[K]int32, k K) int32 {
	n := m[k]
	if n == 0 {
		n = int32(len(m)) + 1
		m[k] = n
		w.Spend(costContent)
	}
	return n
}

// add makes e one of its directory's entries.
func (w *World) add(e *entry) {
	e.id = w.entries
	w.entries++
	e.odd8 = !utf8.ValidString(e.name) || !utf8.ValidString(e.link)
	e.in.kids[e.name], e.in.sorted = e, nil
	w.Spend(costEntry + 2*len(e.name) + len(e.link))
}

// lose forgets an entry that is no longer what it was.
func (w *World) lose(e *entry) {
	if e.in != nil && e.in.kids[e.name] == e {
		delete(e.in.kids, e.name)
		e.in.sorted = nil
	}
	e.dir, e.file, e.link, e.odd = nil, nil, "", false
	w.turn()
}

// inOrder are the entries of d that are known, by name.
func (d *Dir) inOrder() []*entry {
	if d.sorted == nil {
		d.sorted = make([]*entry, 0, len(d.kids))
		for _, e := range d.kids {
			d.sorted = append(d.sorted, e)
		}
		slices.SortFunc(d.sorted, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	}
	return d.sorted
}

// A RootID tells the root of one mount namespace from another.
type RootID struct {
	inode Inode
	mount uint64
}

// IDOf tells which root a descriptor is of. ok is false where the kernel (before
// 5.8) does not say enough: nothing may be kept of such a root.
func IDOf(root int) (id RootID, ok bool) {
	var st unix.Statx_t
	if err := unix.Statx(root, "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_MNT_ID, &st); err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		return RootID{}, false
	}
	return RootID{Inode{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}, st.Mnt_id}, true
}
