package headers

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers/files"
)

// A Tree is all that a compile reads, at the client's names. No name in it has a
// link or `..` on its way: those are resolved as the kernel does, and the links
// are in Links. Each list is sorted.
type Tree struct {
	Files []File
	Links []Link
	// Dirs are the directories that must exist even when nothing of the tree is
	// in them: the working directory, those of the search path, and every
	// other that a name passes through (X12). "/" is left out.
	Dirs []string
	// Words are those of package lex that occur in any file read: attributes
	// and pragmas that change code, __DATE__ and __TIME__.
	Words []string
	// NotUTF8: some name is not UTF-8, which REAPI's messages can't carry.
	NotUTF8 bool
}

// A File is a regular file.
type File struct {
	Path       string
	Digest     broker.Digest
	Executable bool
	Modified   time.Time
	// Class is 0 for a file that is alone; files with the same other number
	// are one file under several names (X11).
	Class int
}

// A Link is a symbolic link; Target is its text.
type Link = files.Link

// Has reports whether a word of package lex occurs in a file read.
func (t *Tree) Has(word string) bool {
	_, ok := slices.BinarySearch(t.Words, word)
	return ok
}

// tree puts together what a scan found.
func (s *scan) tree() *Tree {
	read := s.view.Read()
	t := &Tree{Files: make([]File, 0, len(read)), Links: s.view.Links(), Dirs: s.view.Dirs()}
	class := classes(read)
	for _, f := range read {
		digest, _ := f.Digest()
		t.Files = append(t.Files, File{
			Path: f.Path(), Digest: digest, Executable: f.Executable, Modified: f.Modified(), Class: class[f.ID()],
		})
	}
	for w := range s.words {
		t.Words = append(t.Words, w)
	}
	slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(t.Links, func(a, b Link) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(t.Dirs)
	slices.Sort(t.Words)
	t.NotUTF8 = t.notUTF8()
	return t
}

// classes numbers the inodes that several files have.
func classes(read []*files.File) map[files.Inode]int {
	seen, class := make(map[files.Inode]bool, len(read)), map[files.Inode]int{}
	for _, f := range read {
		if id := f.ID(); seen[id] && class[id] == 0 {
			class[id] = len(class) + 1
		} else {
			seen[id] = true
		}
	}
	return class
}

func (t *Tree) notUTF8() bool {
	return slices.ContainsFunc(t.Files, func(f File) bool { return !utf8.ValidString(f.Path) }) ||
		slices.ContainsFunc(t.Links, func(l Link) bool { return !utf8.ValidString(l.Path) || !utf8.ValidString(l.Target) }) ||
		slices.ContainsFunc(t.Dirs, func(d string) bool { return !utf8.ValidString(d) })
}
