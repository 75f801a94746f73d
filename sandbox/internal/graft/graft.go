// Package graft shows one directory's files in another: by hard links where that
// can be, else by copies. Start with [Onto].
package graft

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Onto makes target show what source is: a file, a link, or a directory with all
// below it, readable for any uid. Files are linked where that can be, so who sees
// them must not be able to write to them. Nobody may change either meanwhile. An
// error may leave a part.
func Onto(source, target string) error {
	return (&graft{link: true, copied: map[inode]string{}}).onto(source, target)
}

// Copy is Onto that copies all files, and so changes nothing of source, not even how
// many names it has.
func Copy(source, target string) error {
	return (&graft{copied: map[inode]string{}}).onto(source, target)
}

type inode struct{ dev, ino uint64 }

// A graft remembers what it copied, so that one file of several names stays one.
type graft struct {
	link   bool
	copied map[inode]string
}

func (g *graft) onto(source, target string) error {
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return g.file(source, target, info)
	case info.Mode()&fs.ModeSymlink != 0:
		text, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(text, target)
	case !info.IsDir():
		return fmt.Errorf("%s is neither file, directory nor link", source)
	}
	if err := Dir(target); err != nil {
		return err
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := g.onto(filepath.Join(source, e.Name()), filepath.Join(target, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (g *graft) file(source, target string, info fs.FileInfo) error {
	if g.link && info.Mode().Perm()&0o4 != 0 {
		err := os.Link(source, target)
		// Another file system, a file of somebody else's, or too many names.
		if err == nil || !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EMLINK) {
			return err
		}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no inode", source)
	}
	id := inode{uint64(st.Dev), st.Ino}
	if first := g.copied[id]; first != "" {
		return os.Link(first, target)
	}
	g.copied[id] = target
	if err := File(target, info.Mode().Perm()|0o444, func(f *os.File) error {
		from, err := os.Open(source)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(f, from)
		return err
	}); err != nil {
		return err
	}
	return os.Chtimes(target, info.ModTime(), info.ModTime())
}

// Dir makes a directory for another uid to read, whatever our umask says.
func Dir(name string) error {
	if err := os.Mkdir(name, 0o755); err != nil {
		return err
	}
	return os.Chmod(name, 0o755) //nolint:gosec // for another uid
}

// File makes a file of this mode, whatever our umask says, with what fill writes.
func File(target string, mode fs.FileMode, fill func(*os.File) error) error {
	f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
