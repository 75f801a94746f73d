package files

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/broker"
)

// Open opens a file of the client's by its absolute name, which has no link in
// it.
type Open func(name string) (io.ReadCloser, error)

// Tree is what the View's names led through and to: each file of which the
// content was read, each link, each directory that was looked into. It says of
// times and inodes only what compilers can tell from them, so that a file that
// is touched and not changed gives the same tree.
//
// The blobs are opened through open, at any time later; nil is for who never
// opens one.
func (v *View) Tree(open Open) (*broker.Dir, error) {
	if open == nil {
		open = func(name string) (io.ReadCloser, error) {
			return nil, errors.New(name + ": no way to open it was given")
		}
	}
	b := builder{open: open, dirs: make([]broker.Dir, len(v.dirs)), inodes: make(map[Inode]*inode, len(v.files)), times: map[string][]int64{}}
	for _, d := range v.dirs[1:] {
		d.up.subs = append(d.up.subs, d)
	}
	for _, e := range v.links {
		e.in.links = append(e.in.links, broker.Link{Name: e.name, Target: e.link})
	}
	for _, f := range v.files {
		if f.digest.Hash == "" {
			continue
		}
		f.in.read = append(f.in.read, f)
		if err := b.count(f); err != nil {
			return nil, err
		}
	}
	root := b.dir(v.Root)
	if b.paths > maxPaths {
		return nil, Unsoundf(TooLarge, "names of %d bytes", b.paths)
	}
	return root, nil
}

// A builder makes a tree, in the order of broker.Dir.All.
type builder struct {
	open   Open
	dirs   []broker.Dir // those that are left to use
	paths  int          // bytes of all paths
	inodes map[Inode]*inode
	class  int                // the last one given
	times  map[string][]int64 // by hash: the times of files with this content, in seconds
}

// An inode is a file under its names.
type inode struct {
	stat  stat
	names int
	class int
}

func (b *builder) count(f *File) error {
	n := b.inodes[f.ID()]
	if n == nil {
		n = &inode{stat: f.stat}
		b.inodes[f.ID()] = n
	}
	if n.names++; n.stat != f.stat {
		return Unsoundf(Changed, "%s changed while it was read", f.Path())
	}
	return nil
}

func (b *builder) dir(d *Dir) *broker.Dir {
	out := &b.dirs[0]
	b.dirs = b.dirs[1:]
	slices.SortFunc(d.read, func(x, y *File) int { return strings.Compare(x.base, y.base) })
	slices.SortFunc(d.links, func(x, y broker.Link) int { return strings.Compare(x.Name, y.Name) })
	slices.SortFunc(d.subs, func(x, y *Dir) int { return strings.Compare(x.Name, y.Name) })
	out.Files, out.Links, out.Dirs = make([]broker.File, 0, len(d.read)), d.links, make([]broker.Subdir, 0, len(d.subs))
	for _, f := range d.read {
		b.paths += len(d.Name) + 1 + len(f.base)
		out.Files = append(out.Files, b.file(f))
	}
	for _, l := range d.links {
		b.paths += len(d.Name) + 1 + len(l.Name) + len(l.Target)
	}
	for _, s := range d.subs {
		b.paths += len(s.Name)
		out.Dirs = append(out.Dirs, broker.Subdir{Name: s.Name[len(d.Name)+1:], Dir: b.dir(s)})
	}
	return out
}

func (b *builder) file(f *File) broker.File {
	open := b.open
	return broker.File{
		Name: f.base, Modified: b.modified(f), Class: b.classOf(f),
		Blob: broker.FileBlob(f.digest, func() (io.ReadCloser, error) { return open(f.Path()) }),
	}
}

// classOf numbers the inodes that have several names in the tree.
func (b *builder) classOf(f *File) int {
	n := b.inodes[f.ID()]
	if n.class == 0 && n.names > 1 {
		b.class++
		n.class = b.class
	}
	return n.class
}

// laterTime stands for the first time that differs in a group of files.
const laterTime = 1_000_000_001

// modified tells times apart among files of one content. gcc takes two such
// files for one (#pragma once, #import) when st_mtime is the same, which is in
// whole seconds (check_file_against_entries in its libcpp/files.cc); no compiler
// asks for more.
func (b *builder) modified(f *File) int64 {
	seconds := f.Modified().Unix()
	times := b.times[f.digest.Hash]
	i := slices.Index(times, seconds)
	if i < 0 {
		i = len(times)
		b.times[f.digest.Hash] = append(times, seconds)
	}
	if i == 0 {
		return 0
	}
	return laterTime + int64(i) - 1
}
