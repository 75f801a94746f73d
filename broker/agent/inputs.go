package agent

import (
	"debug/elf"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers"
)

// maxNeeded bounds how far libraries of a project that need each other are followed.
const maxNeeded = 8

// inputs is the tree of a command that is no plain compile: its sources with what they
// include, and all that its linker may open.
func (p *pinned) inputs() (*headers.Tree, error) {
	t := p.task
	if t.Kind == argv.TaskQuestion {
		return &headers.Tree{Root: new(broker.Dir)}, nil
	}
	reads, dirs := slices.Clone(t.Reads), slices.Clone(t.Dirs)
	for dir := range strings.SplitSeq(p.s.getenv("LIBRARY_PATH"), ":") {
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	seen := map[string]bool{}
	for fresh, n := reads, 0; len(fresh) > 0 && n < maxNeeded; n++ {
		var needed []string
		for _, name := range fresh {
			libs, err := p.lookInto(name)
			if err != nil {
				return nil, err
			}
			needed = append(needed, libs...)
		}
		fresh = nil
		for _, lib := range needed {
			for _, dir := range dirs {
				if name := dir + "/" + lib; !seen[name] {
					seen[name] = true
					fresh, reads = append(fresh, name), append(reads, name)
				}
			}
		}
	}
	return p.tree(t.Sources, reads, dirs, t.Kind == argv.TaskLink)
}

// lookInto refuses an input that names others in a way that is not followed, and tells
// the libraries that a library needs.
func (p *pinned) lookInto(name string) ([]string, error) {
	full := p.s.abs(name)
	if ofImage(full) {
		return nil, nil
	}
	f, err := p.s.root.Open(full)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the linker looks elsewhere, or says so
	}
	if err != nil {
		return nil, p.cannot("an input can't be read: %v", err)
	}
	defer f.Close()
	var head [8]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, p.cannot("an input can't be read: %v", err)
	}
	library := strings.HasSuffix(name, ".so") || strings.Contains(path.Base(name), ".so.")
	switch text := string(head[:n]); {
	case text == "!<thin>\n":
		return nil, p.cannot("%s is a thin archive, whose members are not followed; make it without T", name)
	case strings.HasPrefix(text, elf.ELFMAG) && library:
		e, err := elf.NewFile(f)
		if err != nil {
			return nil, nil // the linker says what it thinks of it
		}
		libs, _ := e.ImportedLibraries()
		return slices.DeleteFunc(libs, func(l string) bool { return strings.Contains(l, "/") }), nil
	case strings.HasPrefix(text, elf.ELFMAG), text == "!<arch>\n":
	case library || strings.HasSuffix(name, ".a"):
		return nil, p.cannot("%s is no library but a text, which may name other files", name)
	}
	return nil, nil
}
