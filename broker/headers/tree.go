package headers

import (
	"slices"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers/files"
)

// A Tree is all that a compile reads, at the client's names. No name in it has a
// link or `..` on its way: those are resolved as the kernel does, and the links
// are in it.
type Tree struct {
	// Root holds the source and every file that it may lead to, the links on
	// the way, and the directories that must exist even when nothing of the
	// tree is in them: the working directory, those of the search path, and
	// every other that a name passes through (X12). It is within the bounds of
	// broker.Dir. Times and classes are made alike (X11).
	Root *broker.Dir
	// Words are those of package lex that occur in any file read: attributes
	// and pragmas that change code, __DATE__ and __TIME__. Sorted.
	Words []string
	// NotUTF8: some name is not UTF-8, which REAPI's messages can't carry.
	NotUTF8 bool
	// Told: the compiler itself was asked what it reads (Source.Told).
	Told bool
}

// Has reports whether a word of package lex occurs in a file read.
func (t *Tree) Has(word string) bool {
	_, ok := slices.BinarySearch(t.Words, word)
	return ok
}

// Paths are the absolute names of all files of the tree, sorted. It is for tests
// and for people.
func (t *Tree) Paths() []string {
	var out []string
	for name, e := range t.Root.All() {
		if e.File != nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// tree puts together what a scan found.
func (s *scan) tree() (*Tree, error) {
	if name, ok := s.view.Settled(s.src.Asked); len(s.src.Told) > 0 && !ok {
		return nil, files.Unsoundf(Changed, "%s changed shortly before the compiler was asked what it reads, or since", name)
	}
	root, clean, err := s.view.Tree(s.src.Open)
	if err != nil {
		return nil, err
	}
	t := &Tree{Root: root, NotUTF8: !clean, Told: len(s.src.Told) > 0}
	for w := range s.words {
		t.Words = append(t.Words, w)
	}
	slices.Sort(t.Words)
	return t, nil
}

// With is a tree that has what either has, of scans of one root at one time. Files that
// are one under several names can't be put together from two scans: an error.
func (t *Tree) With(o *Tree) (*Tree, error) {
	root, err := t.Root.With(o.Root)
	if err != nil {
		return nil, err
	}
	words := slices.Concat(t.Words, o.Words)
	slices.Sort(words)
	return &Tree{Root: root, Words: slices.Compact(words), NotUTF8: t.NotUTF8 || o.NotUTF8}, nil
}
