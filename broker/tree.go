package broker

import (
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

// Bounds of a tree. All count expanded, as the tree would be on disk: a Dir that
// is shared counts each time, and 4.5 kB of messages can name 2^30 paths.
const (
	MaxEntries = 100_000
	MaxDepth   = 64
	MaxBytes   = 2 << 30  // of all files
	maxPaths   = 16 << 20 // bytes of all paths
	maxName    = 255      // bytes of one name, as file systems have it
	maxPath    = 4095     // bytes of one path, as Linux has it
)

// A Dir is what a directory of a job's holds; its name is its parent's to say.
// Each list is sorted by name, and no name is in it twice. A Dir may stand in
// several places of a tree; each of them is a directory of its own.
type Dir struct {
	Files []File
	Links []Link
	Dirs  []Subdir
}

// A File is a regular file. It is data: no file of a job's is ever executable.
type File struct {
	Name string
	Blob Blob
	// Modified is when its content changed last, in seconds since 1970. 0 is one
	// time that all such files share. Compilers compare the times of files with
	// equal contents (#pragma once), and nothing else of them.
	Modified int64
	// Class is 0 for a file that is alone; files with the same other number are
	// one file under several names, as hard links are.
	Class int
}

// A Link is a symbolic link; Target is its text.
type Link struct {
	Name, Target string
}

// A Subdir is a directory in another.
type Subdir struct {
	Name string
	Dir  *Dir
}

// Put adds a file at an absolute clean path; its own name is that path's last
// part. It is for who builds a tree; a file of that name is replaced.
func (d *Dir) Put(name string, f File) {
	dir, base := path.Split(name)
	f.Name = base
	in := d.Mkdir(path.Clean(dir))
	i, found := slices.BinarySearchFunc(in.Files, base, func(f File, s string) int { return strings.Compare(f.Name, s) })
	if found {
		in.Files[i] = f
		return
	}
	in.Files = slices.Insert(in.Files, i, f)
}

// Mkdir returns the directory at an absolute clean path and makes it, with those
// on the way, if it is not there. It is for who builds a tree.
func (d *Dir) Mkdir(name string) *Dir {
	for base := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if base == "" {
			continue
		}
		i, found := d.sub(base)
		if !found {
			d.Dirs = slices.Insert(d.Dirs, i, Subdir{base, new(Dir)})
		}
		d = d.Dirs[i].Dir
	}
	return d
}

func (d *Dir) sub(base string) (int, bool) {
	return slices.BinarySearchFunc(d.Dirs, base, func(s Subdir, name string) int { return strings.Compare(s.Name, name) })
}

// WithLink is d with one more symbolic link, at an absolute clean path in a directory
// that is there. d stays as it is. A name that is taken is an error.
func (d *Dir) WithLink(name, target string) (*Dir, error) {
	out := *d
	part, rest, deeper := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	i, found := d.sub(part)
	switch {
	case deeper && !found:
		return nil, fmt.Errorf("%s: no such directory", part)
	case deeper:
		sub, err := d.Dirs[i].Dir.WithLink(rest, target)
		if err != nil {
			return nil, err
		}
		out.Dirs = slices.Clone(d.Dirs)
		out.Dirs[i].Dir = sub
		return &out, nil
	case found || d.file(part) != nil || d.link(part) != nil:
		return nil, fmt.Errorf("%s is taken", part)
	}
	at, _ := slices.BinarySearchFunc(d.Links, part, func(l Link, s string) int { return strings.Compare(l.Name, s) })
	out.Links = slices.Insert(slices.Clone(d.Links), at, Link{part, target})
	return &out, nil
}

// Without is d without the file at an absolute clean path; links are not followed. d stays as it is.
func (d *Dir) Without(name string) *Dir {
	out := *d
	part, rest, deeper := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !deeper {
		out.Files = slices.DeleteFunc(slices.Clone(d.Files), func(f File) bool { return f.Name == part })
		return &out
	}
	if i, found := d.sub(part); found {
		out.Dirs = slices.Clone(d.Dirs)
		out.Dirs[i].Dir = d.Dirs[i].Dir.Without(rest)
	}
	return &out
}

// File finds the file at an absolute clean path; links are not followed.
func (d *Dir) File(name string) (File, bool) {
	dir, base := path.Split(name)
	for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if part == "" {
			continue
		}
		i, found := d.sub(part)
		if !found {
			return File{}, false
		}
		d = d.Dirs[i].Dir
	}
	if f := d.file(base); f != nil {
		return *f, true
	}
	return File{}, false
}

func (d *Dir) file(base string) *File {
	i, found := slices.BinarySearchFunc(d.Files, base, func(f File, s string) int { return strings.Compare(f.Name, s) })
	if !found {
		return nil
	}
	return &d.Files[i]
}

func (d *Dir) link(base string) *Link {
	i, found := slices.BinarySearchFunc(d.Links, base, func(l Link, s string) int { return strings.Compare(l.Name, s) })
	if !found {
		return nil
	}
	return &d.Links[i]
}

// An Entry is what a name in a tree is: one of the three is set.
type Entry struct {
	File *File
	Link *Link
	Dir  *Dir
}

// All gives each entry below d with its absolute path, a directory before what
// it holds. The order depends on the tree alone.
func (d *Dir) All() iter.Seq2[string, Entry] {
	return func(yield func(string, Entry) bool) { d.each("/", yield) }
}

func (d *Dir) each(prefix string, yield func(string, Entry) bool) bool {
	for i := range d.Files {
		if !yield(prefix+d.Files[i].Name, Entry{File: &d.Files[i]}) {
			return false
		}
	}
	for i := range d.Links {
		if !yield(prefix+d.Links[i].Name, Entry{Link: &d.Links[i]}) {
			return false
		}
	}
	for _, s := range d.Dirs {
		if !yield(prefix+s.Name, Entry{Dir: s.Dir}) || !s.Dir.each(prefix+s.Name+"/", yield) {
			return false
		}
	}
	return true
}

// Validate says what is malformed in a tree, or that it is over the bounds.
// Nothing is made or followed before that: a name is one of a file, of a link or
// of a directory, so no entry lies behind a link.
func (d *Dir) Validate() error {
	return new(census).count(d, 0, 0)
}

// A census counts a tree.
type census struct {
	entries, paths int
	bytes          int64
}

func (c *census) count(d *Dir, prefix, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("tree is deeper than %d directories", MaxDepth)
	}
	if err := d.Check(); err != nil {
		return err
	}
	for i := range d.Files {
		f := &d.Files[i]
		if !f.Blob.Digest.Valid() {
			return fmt.Errorf("file %q has no digest", f.Name)
		}
		// Not by the sum: sizes are the peer's and would overflow.
		if f.Blob.Digest.Size > MaxBytes-c.bytes {
			return fmt.Errorf("tree holds more than %d bytes", int64(MaxBytes))
		}
		c.bytes += f.Blob.Digest.Size
		if err := c.entry(prefix, f.Name); err != nil {
			return err
		}
	}
	for _, l := range d.Links {
		if l.Target == "" || len(l.Target) > maxPath || strings.ContainsRune(l.Target, 0) {
			return fmt.Errorf("link %q leads to %.300q, which is no path", l.Name, l.Target)
		}
		c.paths += len(l.Target)
		if err := c.entry(prefix, l.Name); err != nil {
			return err
		}
	}
	for _, s := range d.Dirs {
		if err := c.entry(prefix, s.Name); err != nil {
			return err
		}
		if err := c.count(s.Dir, prefix+len(s.Name)+1, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// entry counts one name whose directory's path is prefix bytes long.
func (c *census) entry(prefix int, name string) error {
	if prefix+len(name) >= maxPath {
		return fmt.Errorf("a path of the tree is longer than %d bytes", maxPath)
	}
	c.entries++
	c.paths += prefix + len(name)
	if c.entries > MaxEntries {
		return fmt.Errorf("tree has more than %d entries", MaxEntries)
	}
	if c.paths > maxPaths {
		return fmt.Errorf("paths of the tree are longer than %d bytes together", maxPaths)
	}
	return nil
}

// Check says what is malformed in the names of d itself: it holds the three lists
// against each other in one pass.
func (d *Dir) Check() error {
	f, l, s := 0, 0, 0
	last := ""
	for {
		name := ""
		var from *int
		if f < len(d.Files) {
			name, from = d.Files[f].Name, &f
		}
		if l < len(d.Links) && (from == nil || d.Links[l].Name < name) {
			name, from = d.Links[l].Name, &l
		}
		if s < len(d.Dirs) && (from == nil || d.Dirs[s].Name < name) {
			name, from = d.Dirs[s].Name, &s
		}
		if from == nil {
			return nil
		}
		if err := checkName(name, last); err != nil {
			return err
		}
		last = name
		*from++
	}
}

func checkName(name, last string) error {
	switch {
	case name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%.300q is not a file name", name)
	case name == last:
		return fmt.Errorf("name %q is given twice", name)
	case name < last:
		return fmt.Errorf("names are not sorted: %q after %q", name, last)
	}
	return nil
}

// With is a tree that has the entries of both, which stay as they are. A name that is
// not the same in both is an error, and so are classes, which are numbered in each tree
// alone.
func (d *Dir) With(o *Dir) (*Dir, error) {
	out := &Dir{Files: slices.Clone(d.Files), Links: slices.Clone(d.Links), Dirs: slices.Clone(d.Dirs)}
	for i := range d.Files {
		if d.Files[i].Class != 0 {
			return nil, fmt.Errorf("%s has several names", d.Files[i].Name)
		}
	}
	for _, f := range o.Files {
		i, found := slices.BinarySearchFunc(out.Files, f.Name, func(f File, s string) int { return strings.Compare(f.Name, s) })
		switch {
		case f.Class != 0:
			return nil, fmt.Errorf("%s has several names", f.Name)
		case !found:
			out.Files = slices.Insert(out.Files, i, f)
		case out.Files[i].Blob.Digest != f.Blob.Digest:
			return nil, fmt.Errorf("%s changed while it was read", f.Name)
		default: // a time is told where one of two with one content is older
			out.Files[i].Modified = max(out.Files[i].Modified, f.Modified)
		}
	}
	for _, l := range o.Links {
		i, found := slices.BinarySearchFunc(out.Links, l.Name, func(l Link, s string) int { return strings.Compare(l.Name, s) })
		switch {
		case !found:
			out.Links = slices.Insert(out.Links, i, l)
		case out.Links[i].Target != l.Target:
			return nil, fmt.Errorf("%s changed while it was read", l.Name)
		}
	}
	for _, s := range o.Dirs {
		i, found := out.sub(s.Name)
		if !found {
			out.Dirs = slices.Insert(out.Dirs, i, s)
			continue
		}
		sub, err := out.Dirs[i].Dir.With(s.Dir)
		if err != nil {
			return nil, err
		}
		out.Dirs[i].Dir = sub
	}
	return out, out.Check()
}
