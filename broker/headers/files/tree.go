package files

import (
	"errors"
	"io"
	"slices"
	"time"

	"github.com/crosscc/crosscc/broker"
)

// Open opens a file of the client's by its absolute name, which has no link in
// it.
type Open func(name string) (io.ReadCloser, error)

// Tree is what the View's names led through and to: each file of which the
// content was read, each link, each directory that was looked into. It says of
// times and inodes only what compilers can tell from them, so that a file that
// is touched and not changed gives the same tree. clean is false when some name
// is not UTF-8.
//
// The blobs are opened through open, at any time later; nil is for who never
// opens one.
func (v *View) Tree(open Open) (root *broker.Dir, clean bool, err error) {
	if open == nil {
		open = func(name string) (io.ReadCloser, error) {
			return nil, errors.New(name + ": no way to open it was given")
		}
	}
	b := builder{
		v: v, open: open,
		dirs:  make([]broker.Dir, v.dirs),
		files: make([]broker.File, 0, len(v.captured)),
		subs:  make([]broker.Subdir, v.dirs-1),
		links: make([]broker.Link, 0, v.links),
	}
	if err := b.compare(); err != nil {
		return nil, false, err
	}
	root = b.dir(v.Root)
	if b.paths > maxPaths {
		return nil, false, Unsoundf(TooLarge, "names of %d bytes", b.paths)
	}
	return root, !b.odd8, nil
}

// Settled reports whether no file that was read changed since then, as far as the
// clock of its file system tells; name is one that may have.
func (v *View) Settled(since time.Time) (name string, ok bool) {
	for i := range v.captured {
		if c := &v.captured[i]; c.stat.ctime > since.Add(-grain).UnixNano() {
			return c.file.Path(), false
		}
	}
	return "", true
}

// A builder makes a tree, in the order of broker.Dir.All.
type builder struct {
	v    *View
	open Open

	// What the tree is made of is cut from these; there are as many as needed.
	dirs  []broker.Dir
	files []broker.File
	subs  []broker.Subdir
	links []broker.Link

	paths   int // bytes of all paths
	odd8    bool
	linked  map[int32]*class  // by inode, of those that have several names
	classes int               // given so far
	times   map[int32][]int64 // of each content that several files have: the times met, in seconds
}

// A class is the names of one inode.
type class struct {
	stat   stat
	number int
}

// compare finds files that are one, or have one content.
func (b *builder) compare() error {
	var inodes, contents Set
	for i := range b.v.captured {
		c := &b.v.captured[i]
		if !contents.Add(c.content) {
			if b.times == nil {
				b.times = map[int32][]int64{}
			}
			b.times[c.content] = nil
		}
		if !inodes.Add(c.file.inode) {
			if b.linked == nil {
				b.linked = map[int32]*class{}
			}
			b.linked[c.file.inode] = &class{stat: c.stat}
		}
	}
	for i := range b.v.captured {
		c := &b.v.captured[i]
		if n := b.linked[c.file.inode]; n != nil && n.stat != c.stat {
			return Unsoundf(Changed, "%s changed while it was read", c.file.Path())
		}
	}
	return nil
}

// cut is the end of a slice, to which nobody can append in place.
func cut[T any](s []T, from int) []T {
	if from == len(s) {
		return nil
	}
	return s[from:len(s):len(s)]
}

func (b *builder) dir(d *Dir) *broker.Dir {
	out := &b.dirs[0]
	b.dirs = b.dirs[1:]
	files, links, subs := len(b.files), len(b.links), 0
	for _, e := range d.inOrder() {
		switch {
		case e.file != nil:
			if i := b.v.found.get(e.file.num); i != 0 {
				b.files = append(b.files, b.file(&b.v.captured[i-1]))
				b.note(e)
			}
		case !b.v.touched.Has(e.id):
		case e.link != "":
			b.links = append(b.links, broker.Link{Name: e.name, Target: e.link})
			b.note(e)
		case e.dir != nil:
			b.note(e)
			subs++
		}
	}
	out.Files, out.Links = cut(b.files, files), cut(b.links, links)
	out.Dirs = b.below(d, subs)
	return out
}

// below makes the directories in d, n of them.
func (b *builder) below(d *Dir, n int) []broker.Subdir {
	if n == 0 {
		return nil
	}
	out := b.subs[0:0:n]
	b.subs = b.subs[n:]
	for _, e := range d.inOrder() {
		if e.dir != nil && b.v.touched.Has(e.id) {
			out = append(out, broker.Subdir{Name: e.name, Dir: b.dir(e.dir)})
		}
	}
	return out
}

func (b *builder) note(e *entry) {
	b.paths += len(e.in.Name) + 1 + len(e.name) + len(e.link)
	b.odd8 = b.odd8 || e.odd8
}

func (b *builder) file(c *captured) broker.File {
	f, open := c.file, b.open
	return broker.File{
		Name: f.entry.name, Modified: b.modified(c), Class: b.class(f.inode),
		Blob: broker.FileBlob(c.digest(), func() (io.ReadCloser, error) { return open(f.Path()) }),
	}
}

func (c *captured) digest() broker.Digest {
	for _, t := range c.texts {
		if t != nil {
			return t.digest
		}
	}
	return broker.Digest{}
}

// class numbers the inodes that have several names in the tree.
func (b *builder) class(inode int32) int {
	n := b.linked[inode]
	if n == nil {
		return 0
	}
	if n.number == 0 {
		b.classes++
		n.number = b.classes
	}
	return n.number
}

// laterTime stands for the first time that differs in a group of files.
const laterTime = 1_000_000_001

// modified tells times apart among files of one content. gcc takes two such
// files for one (#pragma once, #import) when st_mtime is the same, which is in
// whole seconds (has_unique_contents in its libcpp/files.cc); no compiler asks
// for more. It compares what it read without a byte order mark.
func (b *builder) modified(c *captured) int64 {
	times, several := b.times[c.content]
	if !several {
		return 0
	}
	seconds := floorSeconds(c.stat.mtime)
	i := slices.Index(times, seconds)
	if i < 0 {
		i = len(times)
		b.times[c.content] = append(times, seconds)
	}
	if i == 0 {
		return 0
	}
	return laterTime + int64(i) - 1
}

// floorSeconds is the st_mtime of a time in nanoseconds.
func floorSeconds(ns int64) int64 {
	s := ns / 1e9
	if ns%1e9 < 0 {
		s--
	}
	return s
}
