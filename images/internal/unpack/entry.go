package unpack

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// entry does what h says; its content is in r.
func (t *Tree) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return t.count("")
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if err := t.count(name); err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return errors.New("the image's root is no directory")
		}
		return nil
	}
	if done, err := t.whiteout(name); done || err != nil {
		return err
	}
	return t.place(h, name, r)
}

// place makes the entry h at name, in the place of what was there.
func (t *Tree) place(h *tar.Header, name string, r io.Reader) error {
	parent, err := t.resolve(path.Dir(name), true)
	if err != nil {
		return err
	}
	dir, err := t.in(parent)
	if err != nil {
		return err
	}
	base := path.Base(name)
	real := path.Join(parent, base)
	if err := fits(real); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return t.link(h, dir, real)
	}
	if h.Typeflag == tar.TypeDir && t.known[real] {
		t.touch(real)
		return nil
	}
	there, err := t.makeRoom(dir, base, h.Typeflag == tar.TypeDir)
	if err != nil {
		return err
	}
	// makeRoom may have closed dir.
	if dir, err = t.in(parent); err != nil {
		return err
	}
	t.touch(real)
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return t.file(h, dir, base, r)
	case tar.TypeDir:
		if !there {
			err = makeDir(dir, base)
		}
		t.known[real] = true
		return err
	case tar.TypeSymlink:
		if len(h.Linkname) > maxText {
			return fmt.Errorf("a symbolic link of %d bytes; %d are the limit", len(h.Linkname), maxText)
		}
		if err := t.name(h.Linkname); err != nil {
			return err
		}
		return dir.Symlink(h.Linkname, base)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		t.skipped++
		return nil
	}
	return fmt.Errorf("entries of type %q are not known", h.Typeflag)
}

// file writes a regular file. Only that it may be executed is kept of its mode.
func (t *Tree) file(h *tar.Header, dir *os.Root, base string, r io.Reader) error {
	// A sparse file is larger than its part of the archive.
	if h.Size > t.limits.Bytes-t.files {
		return fmt.Errorf("its %d bytes are too many: the files of an image may have %d", h.Size, t.limits.Bytes)
	}
	t.files += h.Size
	if err := t.reserve(onDisk(h.Size) - block); err != nil { // the entry has a block already
		return err
	}
	f, err := dir.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{f}, r, t.buf)
	if err == nil && n != h.Size {
		err = fmt.Errorf("has %d bytes instead of %d", n, h.Size)
	}
	if err == nil {
		mode := fs.FileMode(0o644)
		if h.Mode&0o111 != 0 {
			mode = 0o755
		}
		err = f.Chmod(mode) // whatever the umask is
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// #pragma once compares times.
	at := timeOf(h)
	return dir.Chtimes(base, at, at)
}

// onlyWriter hides what else a file can do, so that io.Copy uses our buffer.
type onlyWriter struct{ io.Writer }

// timeOf is when h was modified, or the epoch when that is no time that file
// systems have.
func timeOf(h *tar.Header) time.Time {
	if s := h.ModTime.Unix(); s < 0 || s > 1<<33 {
		return time.Unix(0, 0)
	}
	return h.ModTime
}

// link makes real one more name of a file that is there.
func (t *Tree) link(h *tar.Header, dir *os.Root, real string) error {
	target, err := cleanName(h.Linkname)
	if err != nil {
		return fmt.Errorf("a hard link to %.200q: %w", h.Linkname, err)
	}
	parent, err := t.resolve(path.Dir(target), false)
	var info fs.FileInfo
	if err == nil {
		target = path.Join(parent, path.Base(target))
		info, err = t.root.Lstat(target)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("a hard link to %.200q, which is not there", h.Linkname)
	}
	if err != nil {
		return fmt.Errorf("a hard link to %.200q: %w", h.Linkname, err)
	}
	if info.IsDir() {
		return fmt.Errorf("a hard link to the directory %.200q", h.Linkname)
	}
	t.touch(real)
	if target == real {
		return nil
	}
	// Not a directory: target could lie in it.
	if there, err := dir.Lstat(path.Base(real)); err == nil && there.IsDir() {
		return errors.New("a hard link in the place of a directory")
	}
	if _, err := t.makeRoom(dir, path.Base(real), false); err != nil {
		return err
	}
	return t.root.Link(target, real)
}

// makeRoom removes what has the name base, unless it is a directory and one is
// wanted: then it stays, and there is true.
func (t *Tree) makeRoom(dir *os.Root, base string, wantDir bool) (there bool, err error) {
	info, err := dir.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, dir.Remove(base)
	case wantDir:
		return true, nil
	}
	err = dir.RemoveAll(base)
	t.forget()
	return false, err
}

func makeDir(dir *os.Root, name string) error {
	if err := dir.Mkdir(name, 0o755); err != nil {
		return err
	}
	return dir.Chmod(name, 0o755) // whatever the umask is
}

// cleanName is an entry's name without a leading / or ./; one that climbs is an
// error.
func cleanName(name string) (string, error) {
	if len(name) > maxPath {
		return "", fmt.Errorf("its name has %d bytes; %d are the limit", len(name), maxPath)
	}
	var parts []string
	for p := range strings.SplitSeq(name, "/") {
		switch p {
		case "", ".":
		case "..":
			return "", errors.New("its name leads out of the image")
		default:
			parts = append(parts, p)
		}
	}
	if len(parts) > maxDepth {
		return "", fmt.Errorf("it lies %d directories deep; %d are the limit", len(parts), maxDepth)
	}
	if len(parts) == 0 {
		return ".", nil
	}
	return strings.Join(parts, "/"), nil
}

// fits refuses a name without links that is longer or deeper than an entry's own may
// be: entries that go by links could make each other's longer, and whoever walks
// through the image, to list, find or remove, would do it for hours.
func fits(real string) error {
	if len(real) > maxPath || strings.Count(real, "/") >= maxDepth {
		return fmt.Errorf("by way of symbolic links it lies in /%.200s, %d directories deep with %d bytes; %d and %d are the limits",
			path.Dir(real), strings.Count(real, "/")+1, len(real), maxDepth, maxPath)
	}
	return nil
}

// resolve returns the directory that dir leads to, without links. Links that are
// relative and stay in the image are followed, as lib -> usr/lib must be; where
// another would lead depends on what root it is followed in. With create, what is
// not there is made.
func (t *Tree) resolve(dir string, create bool) (string, error) {
	if t.known[dir] {
		return dir, nil
	}
	todo := strings.Split(dir, "/")
	done, links := ".", 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." { // of a link
			if done == "." {
				return "", errors.New("a symbolic link on the way to it leads out of the image")
			}
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		if err := fits(next); err != nil {
			return "", err
		}
		text, err := t.step(next, create)
		switch {
		case err != nil:
			return "", err
		case text == "":
			done = next
			continue
		case strings.HasPrefix(text, "/"):
			return "", fmt.Errorf("/%s on the way to it is a symbolic link to %.200q, and absolute ones are not followed", next, text)
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("more than %d symbolic links on the way to it", maxLinks)
		}
		todo = append(strings.Split(text, "/"), todo...)
	}
	return done, nil
}

// step looks at one name on the way: a directory, or a link with some text.
func (t *Tree) step(name string, create bool) (text string, err error) {
	if t.known[name] {
		return "", nil
	}
	if err := t.work(1); err != nil {
		return "", err
	}
	info, err := t.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) && create {
		// A layer need not name the directories of its files.
		if err = t.count(name); err == nil {
			err = makeDir(t.root, name)
		}
		if err == nil {
			t.known[name] = true
		}
		return "", err
	}
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		t.known[name] = true
		return "", nil
	case info.Mode()&fs.ModeSymlink != 0:
		return t.root.Readlink(name)
	}
	return "", fmt.Errorf("/%s on the way to it is no directory", name)
}
