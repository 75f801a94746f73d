package views

import (
	"context"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// patch makes v show want, whose contents are in root. After an error v is of no
// use.
//
// First what goes is removed and directories and links are made, which is little
// work; what files are missing is noted on the way, and then they are copied.
func (v *View) patch(ctx context.Context, root *broker.Dir, want shown) error {
	p := &patch{pair: pair{v.shows.classes, want.classes}, ctx: ctx, view: v}
	at := &place{view: v, name: "/", fd: -1}
	defer at.close()
	if err := p.dir(at, v.shows.root, root); err != nil {
		return err
	}
	c := &copier{view: v}
	if err := c.all(ctx, p.missing); err != nil {
		return err
	}
	if err := c.classes(p.classed); err != nil {
		return err
	}
	v.shows = want
	return nil
}

// A patch is one run of View.patch.
type patch struct {
	pair
	ctx     context.Context
	view    *View
	missing []batch
	classed []batch // one file each, in the order of the tree
}

// A batch is files to make in one directory.
type batch struct {
	dir   string // its name from the view on: "/usr/include"
	files []*broker.File
}

// maxBatch is how many files of one directory are copied together: enough to
// open a directory once, few enough to share the work.
const maxBatch = 16

// dir makes the directory at show want where it shows have, but for files.
func (p *patch) dir(at *place, have, want *broker.Dir) error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	// What goes goes first: its name may come back as something else.
	if err := p.clear(at, have, want); err != nil {
		return err
	}
	p.note(at.name, have, want)
	for h, w := range both(have.Links, want.Links, linkName) {
		if w == nil || h != nil && h.Target == w.Target {
			continue
		}
		err := at.do(w.Name, func(dir int) error { return unix.Symlinkat(w.Target, dir, w.Name) })
		if err != nil {
			return err
		}
	}
	for h, w := range both(have.Dirs, want.Dirs, dirName) {
		if w == nil {
			continue
		}
		if err := p.subdir(at, h, w); err != nil {
			return err
		}
	}
	return nil
}

func (p *patch) subdir(at *place, have, want *broker.Subdir) error {
	below := at.below(want.Name)
	defer below.close()
	if have != nil {
		return p.dir(below, have.Dir, want.Dir)
	}
	err := at.do(want.Name, func(dir int) error {
		if err := unix.Mkdirat(dir, want.Name, dirMode); err != nil || !p.view.pool.masked {
			return err
		}
		return unix.Fchmodat(dir, want.Name, dirMode, 0) // made a moment ago: no link
	})
	if err != nil {
		return err
	}
	return p.dir(below, new(broker.Dir), want.Dir)
}

// note adds the files of one directory that are to be made.
func (p *patch) note(dir string, have, want *broker.Dir) {
	var b batch
	for h, w := range both(have.Files, want.Files, fileName) {
		if w == nil || h != nil && p.sameFile(h, w) {
			continue
		}
		if w.Class != 0 {
			p.classed = append(p.classed, batch{dir, []*broker.File{w}})
			continue
		}
		if b.files = append(b.files, w); len(b.files) == maxBatch {
			p.missing = append(p.missing, batch{dir, b.files})
			b.files = nil
		}
	}
	if len(b.files) > 0 {
		p.missing = append(p.missing, batch{dir, b.files})
	}
}

// clear removes what have has and want has not, or otherwise.
func (p *patch) clear(at *place, have, want *broker.Dir) error {
	for h, w := range both(have.Files, want.Files, fileName) {
		if h != nil && (w == nil || !p.sameFile(h, w)) {
			if err := at.remove(h.Name, 0); err != nil {
				return err
			}
		}
	}
	for h, w := range both(have.Links, want.Links, linkName) {
		if h != nil && (w == nil || h.Target != w.Target) {
			if err := at.remove(h.Name, 0); err != nil {
				return err
			}
		}
	}
	for h, w := range both(have.Dirs, want.Dirs, dirName) {
		if h == nil || w != nil {
			continue
		}
		below := at.below(h.Name)
		err := p.clear(below, h.Dir, new(broker.Dir))
		below.close()
		if err == nil {
			err = at.remove(h.Name, unix.AT_REMOVEDIR)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A place is a directory of a view, opened when it is first needed: one that
// stays as it is is never looked at.
type place struct {
	view *View
	name string
	fd   int // -1: not open
}

func (p *place) below(name string) *place {
	return &place{view: p.view, name: path.Join(p.name, name), fd: -1}
}

func (p *place) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
	}
}

// do has f work on an entry of the directory; f gets its descriptor.
func (p *place) do(name string, f func(dir int) error) (err error) {
	if p.fd < 0 {
		p.fd, err = p.view.open(p.name)
	}
	if err == nil {
		err = f(p.fd)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path.Join(p.name, name), err)
	}
	return nil
}

func (p *place) remove(name string, flags int) error {
	return p.do(name, func(dir int) error { return unix.Unlinkat(dir, name, flags) })
}

// open opens a directory of the view, "/" or "/usr/include", only to work in it.
// A link on the way is an error: those of a tree lead nowhere here.
func (v *View) open(name string) (int, error) {
	return unix.Openat2(v.dir, path.Clean("."+name), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
}
