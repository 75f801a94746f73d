package headers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers/files"
	"github.com/crosscc/crosscc/broker/headers/lex"
)

// Where an image defines the compile, the compiler finds its own headers in the image,
// and those may include what the client has: <config.h>, in a directory of -I. The
// client can't read them. So whoever has the image makes a list of all names that any
// header of it includes, once; and each of them that exists in a directory that is
// searched is taken into the tree, and followed. A name too many does no harm: the
// compiler searches the same directories in the same order.

// Names are those that the headers of an image include.
type Names struct {
	below  map[string][]string // whole names by their first part
	macros []string            // that stand for a name
}

// Bounds of what is read of an image, and of the list.
const (
	maxImageFile  = 8 << 20 // bytes; larger ones include nothing
	maxImageFiles = 500_000
	maxImageNames = 12 << 20 // bytes
)

// NamesOf makes the list of an image whose root directory is dir. It has a line for
// each name, sorted: "n" and the name, or "m" and a macro that stands for one.
func NamesOf(ctx context.Context, dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("headers of an image: %w", err)
	}
	defer root.Close()
	c := &collector{root: root, lines: map[string]struct{}{}}
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && errors.Is(err, fs.ErrPermission):
			return nil // nor does a compiler see it
		case err != nil || !e.Type().IsRegular() || !mayBeHeader(name):
			return err
		}
		return c.file(name)
	})
	if err != nil {
		return nil, fmt.Errorf("headers of an image: %w", err)
	}
	return c.text(), nil
}

// mayBeHeader reports whether a file of an image may be included: it lies in a
// directory for headers, or is called like one.
func mayBeHeader(name string) bool {
	dir, base := path.Split(name)
	switch path.Ext(base) {
	case ".h", ".hh", ".hpp", ".hxx", ".H", ".h++", ".inc", ".inl", ".ipp", ".tcc", ".def":
		return true
	}
	return slices.ContainsFunc(strings.Split(dir, "/"), broker.IsInclude)
}

// A collector gathers the lines.
type collector struct {
	root  *os.Root
	lines map[string]struct{}
	files int
	size  int
}

func (c *collector) file(name string) error {
	if c.files++; c.files > maxImageFiles {
		return fmt.Errorf("it has more than %d headers", maxImageFiles)
	}
	f, err := c.root.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxImageFile+1))
	if err != nil || len(data) > maxImageFile || bytes.IndexByte(data[:min(len(data), 512)], 0) >= 0 { // no text
		return err
	}
	facts := lex.File(data, lex.Source)
	for _, r := range facts.Refs {
		switch {
		case r.Kind > lex.ProbeNext: // read by name, or by the assembler
		case isMacro(r):
			c.add('m', r.Name)
		default:
			c.add('n', r.Name)
		}
	}
	for _, t := range facts.Texts {
		if len(t.Body) > 2 && (t.Body[0] == '"' || t.Body[0] == '<') {
			c.add('n', t.Body[1:len(t.Body)-1])
		}
	}
	if c.size > maxImageNames {
		return fmt.Errorf("its headers include names of more than %d bytes", maxImageNames)
	}
	return nil
}

func (c *collector) add(kind byte, name string) {
	line := string(kind) + name
	if _, seen := c.lines[line]; seen || name == "" || name[0] == '/' || strings.ContainsAny(name, "\n\x00") {
		return
	}
	c.lines[line] = struct{}{}
	c.size += len(line) + 1
}

func (c *collector) text() []byte {
	var all []string
	for line := range c.lines {
		all = append(all, line)
	}
	slices.Sort(all)
	return []byte(strings.Join(all, "\n"))
}

// ReadNames reads what NamesOf made, which comes from a helper.
func ReadNames(text []byte) (*Names, error) {
	if len(text) > maxImageNames+maxImageFile {
		return nil, fmt.Errorf("a list of names of %d bytes", len(text))
	}
	n := &Names{below: map[string][]string{}}
	for line := range strings.SplitSeq(string(text), "\n") {
		switch {
		case len(line) > 1 && line[0] == 'n':
			// What climbs is looked for from each directory.
			first, _, _ := strings.Cut(line[1:], "/")
			n.below[first] = append(n.below[first], line[1:])
		case len(line) > 1 && line[0] == 'm':
			n.macros = append(n.macros, line[1:])
		case line != "":
			return nil, fmt.Errorf("a list of names has the line %.80q", line)
		}
	}
	return n, nil
}

// ofImage takes in what headers of the image may find in the client's directories.
func (s *scan) ofImage() error {
	if s.src.Names == nil {
		return nil
	}
	for _, m := range s.src.Names.macros {
		st := state{From: s.view.Cwd, index: direct, as: s.language()}
		s.macros = append(s.macros, pending{state: st, ref: lex.Ref{Kind: lex.Include, Form: lex.Macro, Name: m}, image: true})
	}
	for i, d := range s.search.dirs {
		for _, first := range s.view.Among(d, s.src.Names.below) {
			for _, name := range s.src.Names.below[first] {
				p, err := s.place(query{nil, i, name})
				if err != nil {
					return err
				}
				if err := s.follow(kid{p, s.language()}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// imageRoot refuses a root for headers that is the client's: what a compiler would
// search there is not known.
func (r *wordReader) imageRoot() error {
	top, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(r.sysroot), "/"), "/")
	if r.sysroot != "" && (!path.IsAbs(r.sysroot) || path.Clean(r.sysroot) != "/" && !broker.OfImage(top)) {
		return files.Unsoundf(Option, "the sysroot %s is not the image's", r.sysroot)
	}
	return nil
}
