package headers

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/broker"
)

// maxDeps bounds the text of a list of dependencies. It comes from a helper.
const maxDeps = 64 << 20

// Missed names the files of a compiler's own dependency list (the text of -MD or
// -M) that the tree does not have, so that the scan missed them or another file
// was found: none, as long as the scan is right. dir is the directory that the
// compiler ran in, with its links. The error says that text is no such list.
//
// Two kinds of names can't be told from such a list and may be given without
// cause: clang writes a backslash as a slash and a tab as it is, and gcc a name
// that ends in a backslash together with the next. Names of the compiler's own
// files, as clang's lists for sanitizers, are given too.
func (t *Tree) Missed(text []byte, dir string) ([]string, error) {
	names, err := dependencies(text)
	if err != nil {
		return nil, err
	}
	w := walker{links: maxLinks}
	at, _ := w.walk([]*broker.Dir{t.Root}, dir)
	if at == nil {
		return nil, fmt.Errorf("the tree has no directory %s", dir)
	}
	var missed []string
	for _, name := range names {
		w.links = maxLinks
		if _, file := w.walk(at, name); !file && !slices.Contains(missed, name) {
			missed = append(missed, name)
		}
	}
	return missed, nil
}

// Told reads the text of -M for Source.Told. Names that such a list can't say are
// an error.
func Told(text []byte) ([]string, error) {
	names, err := dependencies(text)
	if err != nil {
		return nil, err
	}
	if len(names) > maxTold {
		return nil, fmt.Errorf("a dependency list of %d names", len(names))
	}
	seen := make(map[string]bool, len(names))
	names = slices.DeleteFunc(names, func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	})
	if i := slices.IndexFunc(names, func(name string) bool { return strings.Contains(name, `\`) }); i >= 0 {
		return nil, fmt.Errorf("the dependency list has the name %q, which may be another", names[i])
	}
	return names, nil
}

// maxTold bounds the files that one compile says it reads.
const maxTold = 100_000

// dependencies are the names behind the colons of a makefile's rules.
func dependencies(text []byte) ([]string, error) {
	if len(text) > maxDeps {
		return nil, fmt.Errorf("a dependency list of %d bytes", len(text))
	}
	var names []string
	r := depsReader{text: text}
	for r.i < len(text) {
		start, targets := r.i, 0
		r.colon = false
		for {
			word, more := r.word()
			if word != "" && r.colon {
				names = append(names, word)
			} else if word != "" {
				targets++
			}
			if r.ended {
				r.ended, r.colon = false, true
			}
			if !more {
				break
			}
		}
		if !r.colon && targets > 0 {
			return nil, fmt.Errorf("dependency list has a line without a colon: %.100q", text[start:min(r.i, len(text))])
		}
	}
	return names, nil
}

// A depsReader takes words off a makefile, as gcc and clang quote them
// (libcpp/mkdeps.cc; clang's lib/Frontend/DependencyFile.cpp).
type depsReader struct {
	text  []byte
	i     int
	colon bool // of this rule was seen
	ended bool // the word that was taken last ended in the rule's colon
}

// at is a byte of the text, and a newline behind its end.
func (r *depsReader) at(i int) byte {
	if i < len(r.text) {
		return r.text[i]
	}
	return '\n'
}

// endsLine tells the place behind a newline at i, or 0.
func (r *depsReader) endsLine(i int) int {
	if r.at(i) == '\n' {
		return i + 1
	}
	if r.at(i) == '\r' && r.at(i+1) == '\n' {
		return i + 2
	}
	return 0
}

// word takes a word, which may be empty; false when the line ends behind it.
func (r *depsReader) word() (string, bool) {
	var b strings.Builder
	for {
		if end := r.endsLine(r.i); end > 0 {
			r.i = end
			return b.String(), false
		}
		switch c := r.text[r.i]; {
		case c == ' ' || c == '\t':
			r.i++
			return b.String(), true
		case c == '\\':
			if r.backslashes(&b) {
				return b.String(), true
			}
			continue
		case c == '$' && r.at(r.i+1) == '$':
			r.i++
			b.WriteByte(c)
		case c == ':' && !r.colon && r.breaks(r.i+1):
			r.i++
			r.ended = true
			return b.String(), true
		default:
			b.WriteByte(c)
		}
		r.i++
	}
}

// breaks reports whether white space stands at i.
func (r *depsReader) breaks(i int) bool {
	if r.at(i) == '\\' {
		i++
		return r.endsLine(i) > 0
	}
	return r.at(i) == ' ' || r.at(i) == '\t' || r.endsLine(i) > 0
}

// backslashes reads a row of them and what they quote; true when the word ends
// there. 2n+1 before a blank are n and the blank, 2n are n and the end of a
// word; one goes before a # and before a newline; others are themselves.
func (r *depsReader) backslashes(b *strings.Builder) bool {
	n := len(r.text[r.i:]) - len(bytes.TrimLeft(r.text[r.i:], `\`))
	r.i += n
	switch c := r.at(r.i); {
	case r.endsLine(r.i) > 0 && r.i < len(r.text):
		r.i = r.endsLine(r.i)
		write(b, n-1)
		return true
	case c == ' ' || c == '\t':
		write(b, n/2)
		if n%2 == 0 {
			return true
		}
		b.WriteByte(c)
		r.i++
	case c == '#':
		write(b, n-1)
		b.WriteByte(c)
		r.i++
	default:
		write(b, n)
	}
	return false
}

func write(b *strings.Builder, backslashes int) {
	for range backslashes {
		b.WriteByte('\\')
	}
}

// maxLinks is the kernel's bound of the links on one way.
const maxLinks = 40

// A walker walks names in a tree as the kernel does.
type walker struct {
	links int // that may still be followed
}

// walk goes from a directory, given with those above it, to where name leads: a
// directory with those above, or a file; nil and false when it is not there.
func (w *walker) walk(at []*broker.Dir, name string) ([]*broker.Dir, bool) {
	if strings.HasPrefix(name, "/") {
		at = at[:1]
	}
	for name != "" {
		part, rest, below := strings.Cut(name, "/")
		name = rest
		switch part {
		case "", ".":
			continue
		case "..":
			at = at[:max(len(at)-1, 1)]
			continue
		}
		file := false
		if at, file = w.step(at, part); file {
			return nil, !below
		}
		if at == nil {
			return nil, false
		}
	}
	return at, false
}

// step goes to one entry of a directory.
func (w *walker) step(at []*broker.Dir, name string) ([]*broker.Dir, bool) {
	d := at[len(at)-1]
	if i, ok := slices.BinarySearchFunc(d.Dirs, name, func(s broker.Subdir, n string) int { return strings.Compare(s.Name, n) }); ok {
		return append(at[:len(at):len(at)], d.Dirs[i].Dir), false
	}
	if _, ok := slices.BinarySearchFunc(d.Files, name, func(f broker.File, n string) int { return strings.Compare(f.Name, n) }); ok {
		return nil, true
	}
	i, ok := slices.BinarySearchFunc(d.Links, name, func(l broker.Link, n string) int { return strings.Compare(l.Name, n) })
	if w.links--; !ok || w.links < 0 {
		return nil, false
	}
	return w.walk(at, d.Links[i].Target)
}
