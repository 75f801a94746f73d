package files

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// A View is one scan's look at the client's files. What it gives was so at some
// moment after the scan's job arrived: everything that is there is looked at in
// the View, or was by another one since then; what is not there is told by its
// directory's listing. One goroutine uses it, until Close, and holds the World
// meanwhile.
//
// When something turns out to be other than it was, the View is stale: what was
// found so far may not fit together, errors too. It begins again then.
type View struct {
	Root *Dir
	Cwd  *Dir // the working directory

	ctx   context.Context
	w     *World
	began Tick
	epoch int64
	root  int // the caller's
	*marks

	trail     Trail
	recording bool
	unproven  bool

	files, links, dirs, lookups int
	bytes, raw                  int64
}

// marks are what a View knows of the entries, by their numbers.
type marks struct {
	touched  Set   // entries that are as known
	fds      table // by directory: its descriptor, + 1
	open     []int32
	unlisted Set   // directories of which no listing can be had now
	found    table // by file: where it is in captured, + 1
	captured []captured
	absent   map[absent]struct{}
}

// captured is a file as the View read it.
type captured struct {
	file    *File
	stat    stat
	content int32
	texts   [readings]*Text
}

// absent is a name that the kernel says is not there.
type absent struct {
	in   *Dir
	name string
}

// A Trail is what a search met on its way.
type Trail []*entry

// A Hit is a file, or nil when there is none, with the directory that its name
// was found in, a link in the last part of it not followed: that is where a
// compiler looks for what the file names.
type Hit struct {
	File *File
	From *Dir
}

// View is for a look at the files below root, a descriptor of a directory that
// stays the caller's until Close, for a job that arrived at began. It waits for
// its turn, or for the end of ctx. Begin comes next.
func (w *World) View(ctx context.Context, began Tick, root int) (*View, error) {
	if err := w.acquire(ctx); err != nil {
		return nil, err
	}
	return &View{ctx: ctx, w: w, began: began, root: root, marks: w.takeMarks()}, nil
}

func (w *World) takeMarks() *marks {
	n := len(w.spare)
	if n == 0 {
		return &marks{absent: map[absent]struct{}{}}
	}
	m := w.spare[n-1]
	w.spare = w.spare[:n-1]
	return m
}

// Stale reports whether the View must begin again.
func (v *View) Stale() bool { return v.epoch != v.w.epoch }

// Epoch numbers the time in which no answer about names became wrong.
func (v *View) Epoch() int64 { return v.w.epoch }

// Begin finds the root and the working directory, and forgets what the View has
// seen so far; it sees things that are new enough, and need not look again.
func (v *View) Begin(cwd string) error {
	v.forget()
	v.epoch = v.w.epoch
	v.Root, v.Cwd = v.w.root, nil
	if err := v.touch(v.Root.entry); err != nil {
		return err
	}
	var err error
	v.Cwd, err = v.DirAt(v.Root, cwd)
	if err == nil && v.Cwd == nil {
		err = Unsoundf(Changed, "working directory %s does not exist", cwd)
	}
	return err
}

// forget clears the marks, but for descriptors.
func (v *View) forget() {
	v.touched.Clear()
	v.unlisted.Clear()
	for _, c := range v.captured {
		v.found.set(c.file.num, 0)
	}
	clear(v.captured)
	v.captured = v.captured[:0]
	clear(v.absent)
	v.files, v.links, v.dirs, v.lookups, v.bytes, v.raw = 0, 0, 0, 0, 0, 0
}

// Close lets go of the descriptors and the World. What the View gave stays
// valid.
func (v *View) Close() {
	v.forget()
	for _, n := range v.open {
		_ = unix.Close(int(v.fds.get(n)) - 1)
		v.fds.set(n, 0)
	}
	v.open = v.open[:0]
	v.fds.set(v.w.root.num, 0)
	v.w.spare = append(v.w.spare, v.marks)
	v.marks = nil
	v.w.release()
}

// Record begins to note what a search meets.
func (v *View) Record() { v.trail, v.recording, v.unproven = v.trail[:0], true, false }

// Recorded ends that. proven is false when the search rests on something that
// may change without a trace, and must be made each time.
func (v *View) Recorded() (t Trail, proven bool) {
	v.recording = false
	return append(Trail(nil), v.trail...), !v.unproven
}

// Again does for a search of the past what the search would do now: it makes sure
// that what it met is still there. When that is not so the View is stale.
func (v *View) Again(t Trail) error {
	for _, e := range t {
		if err := v.touch(e); err != nil {
			return err
		}
	}
	return nil
}

// Spend adds what is kept along with the World to its cost.
func (v *View) Spend(bytes int) { v.w.Spend(bytes) }

// Lookups is how many names were looked up in a directory so far.
func (v *View) Lookups() int { return v.lookups }

// Charge adds to Lookups, and bounds them.
func (v *View) Charge(n int) error {
	if v.lookups += n; v.lookups > maxLookups {
		return Unsoundf(TooLarge, "more than %d names are looked up", maxLookups)
	}
	return nil
}

// touch makes sure that what is known of e is not older than the job.
func (v *View) touch(e *entry) error {
	if !v.touched.Add(e.id) {
		return nil
	}
	if e.in != nil {
		if err := v.touch(e.in.entry); err != nil {
			return err
		}
	}
	if e.tick < v.began {
		if err := v.refresh(e); err != nil {
			return err
		}
	}
	if d := e.dir; d != nil && d.relied == v.w.epoch && !v.usable(d) {
		v.list(d)
	}
	return v.count(e)
}

// count holds the View to the bounds.
func (v *View) count(e *entry) error {
	switch {
	case e.dir != nil:
		v.dirs++
	case e.link != "":
		v.links++
	default:
		v.files++
	}
	switch {
	case v.dirs > maxDirs:
		return Unsoundf(TooLarge, "more than %d directories are looked into", maxDirs)
	case v.files > maxFiles:
		return Unsoundf(TooLarge, "more than %d files are looked at", maxFiles)
	case v.links > maxFiles:
		return Unsoundf(TooLarge, "more than %d links are followed", maxFiles)
	}
	return nil
}

// refresh looks at a known entry once more. One that is something else now is
// lost, which makes the View stale.
func (v *View) refresh(e *entry) error {
	if d := e.dir; d != nil && (d.busy || e.in == nil) {
		d.busy = false
		return v.reopen(d)
	}
	tick := v.w.Now()
	fd, err := v.fd(e.in)
	if err != nil {
		return err
	}
	if e.link != "" {
		if link, err := readLink(fd, e); err != nil || link != e.link {
			v.w.lose(e)
		}
		e.tick = tick
		return nil
	}
	st, mode, err := statAt(fd, e)
	switch {
	case err != nil && !errors.Is(err, unix.ENOENT):
		return Unsoundf(Unreadable, "%s: %v", e.path(), err)
	case err == nil && e.file != nil && mode == unix.S_IFREG:
		e.file.look(v.w, st)
	case err == nil && e.dir != nil && mode == unix.S_IFDIR && st.Inode == e.dir.ID:
		e.dir.stat = st
	default:
		v.w.lose(e)
	}
	e.tick = tick
	return nil
}

// reopen looks at a known directory once more, and keeps it open.
func (v *View) reopen(d *Dir) error {
	e := d.entry
	tick := v.w.Now()
	fd := v.root
	if e.in != nil {
		in, err := v.fd(e.in)
		if err != nil {
			return err
		}
		switch fd, err = openDir(in, e.name); {
		case isNoDir(err):
			v.w.lose(e)
			return nil
		case err != nil:
			return Unsoundf(Unreadable, "%s: %v", d.Name, err)
		}
		v.keep(d, fd)
	} else {
		v.fds.set(d.num, int32(fd)+1) // the caller's: not in open
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Unsoundf(Unreadable, "%s: %v", d.Name, err)
	}
	e.tick = tick
	now := statOf(&st)
	if e.in == nil && d.ID == (Inode{}) {
		d.ID, d.honest = now.Inode, isHonest(fd)
	}
	if now.Inode != d.ID {
		v.w.lose(e)
		return nil
	}
	d.stat = now
	return nil
}

// keep has Close close the directory's descriptor.
func (v *View) keep(d *Dir, fd int) {
	v.fds.set(d.num, int32(fd)+1)
	v.open = append(v.open, d.num)
}

// fd is the directory's descriptor.
func (v *View) fd(d *Dir) (int, error) {
	d.busy = true
	if fd := v.fds.get(d.num); fd != 0 {
		return int(fd) - 1, nil
	}
	if err := v.reopen(d); err != nil {
		return -1, err
	}
	if fd := v.fds.get(d.num); fd != 0 && d.entry.dir == d {
		return int(fd) - 1, nil
	}
	return -1, Unsoundf(Changed, "directory %s changed while it was looked at", d.Name)
}

func openDir(in int, name string) (int, error) {
	return unix.Openat(in, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// isNoDir reports whether the error of openDir says that the name is no
// directory: a link is one of these.
func isNoDir(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

func readLink(fd int, e *entry) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, e.name, buf[:])
	if err != nil || n == 0 || n == len(buf) {
		return "", Unsoundf(Changed, "link %s can't be read", e.path())
	}
	return string(buf[:n]), nil
}

// look finds one entry. Its error is an *Unsound: what a compiler would say of a
// file that can't be looked at is not known.
//
// asDir: the name stands before a slash, so that it is most likely a directory.
func (v *View) look(d *Dir, name string, asDir bool) (*entry, error) {
	if err := v.Charge(1); err != nil {
		return nil, err
	}
	if d.depth <= maxShown && v.w.shown != nil && !v.w.shown(d.Name, name) {
		return &nothing, nil
	}
	e := d.kids[name]
	var err error
	if e != nil {
		err = v.touch(e)
	} else {
		e, err = v.meet(d, name, asDir)
	}
	if v.recording && err == nil && e != &nothing {
		v.trail = append(v.trail, e)
	}
	return e, err
}

// meet looks at a name that is not known, in a directory that was touched.
func (v *View) meet(d *Dir, name string, asDir bool) (*entry, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return nil, Unsoundf(Unreadable, "the name %q has a zero byte in it", name) // C ends it there
	}
	if d.list == nil && !asDir || d.list != nil && !v.usable(d) {
		v.list(d)
	}
	if v.usable(d) && d.list.lacks(name) {
		v.rely(d, name)
		return &nothing, nil
	}
	if _, gone := v.absent[absent{d, name}]; gone {
		v.unproven = true
		return &nothing, nil
	}
	if len(name) > maxName {
		return nil, Unsoundf(Unreadable, "a name of %d bytes in %s", len(name), d.Name)
	}
	e := &entry{in: d, name: zeroed(name), tick: v.w.Now()}
	found, err := v.identify(e, asDir)
	if err != nil || !found {
		return &nothing, orElse(err, v.lacks(d, name))
	}
	v.w.add(e)
	v.touched.Add(e.id)
	return e, v.count(e)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// lacks notes that the kernel says that d has no such name.
func (v *View) lacks(d *Dir, name string) error {
	if !v.usable(d) {
		v.list(d)
	}
	if !v.usable(d) || d.list.has(name) {
		v.absent[absent{d, name}] = struct{}{}
		v.unproven = true
		return nil
	}
	v.rely(d, name)
	return nil
}

// identify asks the kernel what an entry is; false when there is none.
func (v *View) identify(e *entry, asDir bool) (bool, error) {
	fd, err := v.fd(e.in)
	if err != nil {
		return false, err
	}
	if asDir {
		if err := v.enter(fd, e); !isNoDir(err) {
			return err == nil, err
		} else if errors.Is(err, unix.ENOENT) {
			return false, nil
		}
	}
	st, mode, err := statAt(fd, e)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, Unsoundf(Unreadable, "%s: %v", e.path(), err)
	}
	switch mode {
	case unix.S_IFREG:
		e.file = v.w.newFile(e, st)
	case unix.S_IFDIR:
		if err := v.enter(fd, e); err != nil {
			return false, Unsoundf(Changed, "%s: %v", e.path(), err)
		}
	case unix.S_IFLNK:
		if e.link, err = readLink(fd, e); err != nil {
			return false, err
		}
	default:
		e.odd = true
	}
	return true, nil
}

// enter opens a directory. Its error is not an *Unsound where e is no directory.
func (v *View) enter(in int, e *entry) error {
	name := e.path()
	fd, err := openDir(in, e.name)
	switch {
	case isNoDir(err):
		return err
	case err != nil:
		return Unsoundf(Unreadable, "%s: %v", name, err)
	}
	var st unix.Stat_t
	switch err = unix.Fstat(fd, &st); {
	case err != nil:
		err = Unsoundf(Unreadable, "%s: %v", name, err)
	case e.in.depth == maxDepth || len(name) > maxPath:
		err = Unsoundf(TooLarge, "%.300s is too deep", name)
	case name == "/proc" || name == "/sys" || name == "/dev":
		err = &Unsound{Reason: Special, Text: name + " is no directory of files", Local: true}
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	e.dir = v.w.newDir(e, name)
	e.dir.stat = statOf(&st)
	e.dir.ID, e.dir.honest = e.dir.stat.Inode, isHonest(fd)
	v.keep(e.dir, fd)
	return nil
}

// Known reports whether the View read the file, in any way.
func (v *View) Known(f *File) bool { return v.found.get(f.num) != 0 }
