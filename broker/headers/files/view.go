package files

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// A View is one scan's look at the client's files. It walks names as the kernel
// does, link by link, and looks each entry of a directory up once: what it saw
// first is what it says. One goroutine uses it, until Close.
type View struct {
	Root *Dir
	Cwd  *Dir // the working directory

	ctx     context.Context
	c       *Cache
	dirs    []*Dir
	files   []*File
	links   []*entry
	bytes   int64
	lookups int

	entrySlab []entry
	fileSlab  []File
}

// An Inode tells a file from all others that exist.
type Inode struct{ dev, ino uint64 }

// A Dir is a directory, once for each physical name that it is reached by.
type Dir struct {
	Name  string // absolute, without links; "" for the root
	ID    Inode
	up    *Dir
	depth int
	fd    int // O_PATH
	kids  map[string]*entry
	names *listing // nil: the kernel is asked for each name

	// What of it is in the tree, once it is made.
	read  []*File
	links []broker.Link
	subs  []*Dir
}

// An entry is what a name in a directory is. Those that are absent are kept too.
type entry struct {
	in   *Dir
	name string
	dir  *Dir   // a directory
	file *File  // a regular file
	link string // the text of a symbolic link
	odd  bool   // a FIFO, a socket, a device
}

func (e *entry) path() string { return e.in.Name + "/" + e.name }

// A File is a regular file.
type File struct {
	Executable bool
	in         *Dir
	base       string
	stat       stat
	digest     broker.Digest   // once one of texts is there
	texts      [readings]*Text // as far as it was read
}

// Path is the file's absolute name, without links.
func (f *File) Path() string { return f.in.Name + "/" + f.base }

// ID tells whether two files are one.
func (f *File) ID() Inode { return f.stat.Inode }

// Modified is when its content changed last.
func (f *File) Modified() time.Time { return time.Unix(0, f.stat.mtime) }

// Digest is of its content, and false as long as that was not read.
func (f *File) Digest() (broker.Digest, bool) { return f.digest, f.digest.Hash != "" }

// A Hit is a file, or nil when there is none, with the directory that its name
// was found in, a link in the last part of it not followed: that is where a
// compiler looks for what the file names.
type Hit struct {
	File *File
	From *Dir
}

// nothing is an entry that is not there.
var nothing entry

// slab is how many entries or files are allocated at once.
const slab = 64

func (v *View) newEntry(d *Dir, name string) *entry {
	if len(v.entrySlab) == 0 {
		v.entrySlab = make([]entry, slab)
	}
	e := &v.entrySlab[0]
	v.entrySlab = v.entrySlab[1:]
	e.in, e.name = d, name
	return e
}

func (v *View) newFile(e *entry, st *unix.Stat_t) *File {
	if len(v.fileSlab) == 0 {
		v.fileSlab = make([]File, slab)
	}
	f := &v.fileSlab[0]
	v.fileSlab = v.fileSlab[1:]
	f.in, f.base, f.stat = e.in, e.name, statOf(st)
	v.files = append(v.files, f)
	return f
}

// View looks at the files below root, a descriptor of a directory that stays the
// caller's, from the working directory cwd. The caller closes the View.
func (c *Cache) View(ctx context.Context, root int, cwd string) (*View, error) {
	v := &View{ctx: ctx, c: c}
	if err := v.open(root, cwd); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

func (v *View) open(root int, cwd string) error {
	fd, err := unix.FcntlInt(uintptr(root), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return Unsoundf(Unreadable, "root: %v", err)
	}
	if v.Root, err = v.newDir(nil, "", fd); err != nil {
		return err
	}
	v.Cwd, err = v.DirAt(v.Root, cwd)
	if err == nil && v.Cwd == nil {
		err = Unsoundf(Changed, "working directory %s does not exist", cwd)
	}
	return err
}

// Close lets go of the descriptors. What the View gave stays valid.
func (v *View) Close() {
	for _, d := range v.dirs {
		_ = unix.Close(d.fd)
	}
}

// newDir owns fd, also when it fails.
func (v *View) newDir(up *Dir, name string, fd int) (*Dir, error) {
	d := &Dir{up: up, fd: fd, kids: map[string]*entry{}}
	v.dirs = append(v.dirs, d)
	if up != nil {
		d.Name, d.depth = up.Name+"/"+name, up.depth+1
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, Unsoundf(Unreadable, "%s: %v", d.Name, err)
	}
	d.ID = Inode{st.Dev, st.Ino}
	switch {
	case len(v.dirs) > maxDirs:
		return nil, Unsoundf(TooLarge, "more than %d directories are looked into", maxDirs)
	case d.depth > maxDepth || len(d.Name) > maxPath:
		return nil, Unsoundf(TooLarge, "%.300s is too deep", d.Name)
	case d.Name == "/proc" || d.Name == "/sys" || d.Name == "/dev":
		return nil, Unsoundf(Special, "%s is no directory of files", d.Name)
	}
	d.names = v.c.listing(d, &st)
	return d, nil
}

// look finds one entry. Its error is an *Unsound: what a compiler would say of a
// file that can't be looked at is not known.
//
// asDir: the name stands before a slash, so that it is most likely a directory.
func (v *View) look(d *Dir, name string, asDir bool) (*entry, error) {
	if e := d.kids[name]; e != nil {
		return e, nil
	}
	if v.lookups++; v.lookups > maxLookups {
		return nil, Unsoundf(TooLarge, "more than %d names are looked up", maxLookups)
	}
	if d.names.lacks(name) {
		return &nothing, nil
	}
	e := v.newEntry(d, name)
	if len(v.files) > maxFiles {
		return nil, Unsoundf(TooLarge, "more than %d files are looked at", maxFiles)
	}
	if len(name) > maxName {
		return nil, Unsoundf(Unreadable, "a name of %d bytes in %s", len(name), d.Name)
	}
	if err := v.identify(e, asDir); err != nil {
		return nil, err
	}
	d.kids[name] = e
	return e, nil
}

// identify asks the kernel what an entry is.
func (v *View) identify(e *entry, asDir bool) error {
	if asDir {
		switch err := v.enter(e); {
		case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP): // a link is one of these
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		default:
			return err
		}
	}
	var st unix.Stat_t
	switch err := unix.Fstatat(e.in.fd, e.name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return Unsoundf(Unreadable, "%s: %v", e.path(), err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.file = v.newFile(e, &st)
	case unix.S_IFDIR:
		if err := v.enter(e); err != nil {
			return Unsoundf(Changed, "%s: %v", e.path(), err)
		}
	case unix.S_IFLNK:
		return v.readLink(e)
	default:
		e.odd = true
	}
	return nil
}

// enter opens a directory. Its error is not an *Unsound where e is no directory.
func (v *View) enter(e *entry) error {
	fd, err := unix.Openat(e.in.fd, e.name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return err
	case err != nil:
		return Unsoundf(Unreadable, "%s: %v", e.path(), err)
	}
	e.dir, err = v.newDir(e.in, e.name, fd)
	return err
}

func (v *View) readLink(e *entry) error {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(e.in.fd, e.name, buf[:])
	if err != nil || n == 0 || n == len(buf) {
		return Unsoundf(Changed, "link %s can't be read", e.path())
	}
	if len(v.links) == maxFiles {
		return Unsoundf(TooLarge, "more than %d links are followed", maxFiles)
	}
	e.link = string(buf[:n])
	v.links = append(v.links, e)
	return nil
}

// DirAt finds the directory that name leads to from another; nil when there is
// none.
func (v *View) DirAt(from *Dir, name string) (*Dir, error) { return v.dirAt(from, name, maxLinks) }

func (v *View) dirAt(from *Dir, name string, links int) (*Dir, error) {
	if strings.HasPrefix(name, "/") {
		from = v.Root
	}
	for name != "" && from != nil {
		part, rest, _ := strings.Cut(name, "/")
		name = rest
		switch part {
		case "", ".":
			continue
		case "..":
			if from.up != nil {
				from = from.up
			}
			continue
		}
		e, err := v.look(from, part, true)
		if err != nil {
			return nil, err
		}
		if e.link == "" {
			from = e.dir
			continue
		}
		if links--; links < 0 {
			return nil, Unsoundf(Unreadable, "%s: too many links", e.path())
		}
		if from, err = v.dirAt(e.in, e.link, links); err != nil {
			return nil, err
		}
	}
	return from, nil
}

// Find looks a file up; the Hit has none when there is none. A directory is
// none to a compiler that looks for a header.
func (v *View) Find(from *Dir, name string) (Hit, error) {
	f, in, err := v.follow(from, name, maxLinks)
	return Hit{f, in}, err
}

func (v *View) follow(from *Dir, name string, links int) (*File, *Dir, error) {
	if len(name) >= unix.PathMax {
		return nil, nil, Unsoundf(Unreadable, "a name of %d bytes", len(name))
	}
	in, base := from, name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		var err error
		if in, err = v.dirAt(from, name[:i+1], links); err != nil || in == nil {
			return nil, nil, err
		}
		base = name[i+1:]
	}
	if base == "" || base == "." || base == ".." {
		return nil, nil, nil
	}
	e, err := v.look(in, base, false)
	switch {
	case err != nil:
		return nil, nil, err
	case e.odd:
		return nil, nil, Unsoundf(Special, "%s is not a regular file", e.path())
	case e.link == "":
		return e.file, in, nil
	case links == 0:
		return nil, nil, Unsoundf(Unreadable, "%s: too many links", e.path())
	}
	f, _, err := v.follow(e.in, e.link, links-1)
	return f, in, err
}

// Exists reports whether name, from a directory on, is anything at all but a
// link to nothing.
func (v *View) Exists(from *Dir, name string) (bool, error) {
	if d, err := v.DirAt(from, name); d != nil || err != nil {
		return d != nil, err
	}
	h, err := v.Find(from, name)
	return h.File != nil, err
}
