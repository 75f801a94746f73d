package unpack

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// Names by which a layer removes what layers below it have (OCI image
// specification, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh." // notes that aufs kept for itself
)

// whiteout does what name says if it is no file but a whiteout; done reports that.
// It removes nothing of its own layer, in whatever order they come.
func (t *Tree) whiteout(name string) (done bool, err error) {
	dir, base := path.Dir(name), path.Base(name)
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(part, aufsPrefix) {
			return true, nil
		}
		if strings.HasPrefix(part, whiteoutPrefix) {
			return true, errors.New("a whiteout is no directory")
		}
	}
	removed, ok := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case !ok:
		return false, nil
	case base == opaqueName:
		removed = "."
	case strings.HasPrefix(base, aufsPrefix):
		return true, nil
	case removed == "" || removed == "." || removed == "..":
		return true, errors.New("a whiteout of no name")
	}
	parent, err := t.resolve(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // nothing is there to be removed
	}
	if err != nil {
		return true, err
	}
	gone := path.Join(parent, removed)
	info, err := t.root.Lstat(gone)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	if !info.IsDir() {
		if t.touched[gone] {
			return true, nil
		}
		return true, t.root.Remove(gone)
	}
	defer t.forget()
	if base == opaqueName || t.touched[gone] {
		return true, t.sweep(gone)
	}
	return true, t.root.RemoveAll(gone)
}

// sweep removes what lies in dir and is not of the present layer.
func (t *Tree) sweep(dir string) error {
	d, err := t.root.Open(dir)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err == nil {
		err = t.work(len(entries))
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case !t.touched[name]:
			err = t.root.RemoveAll(name)
		case e.IsDir():
			err = t.sweep(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
