package views

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/crosscc/crosscc/broker"
)

// A Malformed is what is wrong with a tree.
type Malformed struct{ text string }

func (m *Malformed) Error() string { return m.text }

// shown is a tree without the contents of its files: what a view holds, or will.
type shown struct {
	root    *broker.Dir
	classes classes
	entries int
	bytes   int64 // on disk, as Options.Bytes counts
}

func empty() shown { return shown{root: new(broker.Dir)} }

// block is what the smallest entry takes on disk, about.
const block = 4096

// shownOf describes a valid tree, without keeping anything of its blobs.
func shownOf(root *broker.Dir) (shown, error) {
	s := shown{bytes: block}
	members := map[int]*member{}
	for name, e := range root.All() {
		s.entries++
		s.bytes += block
		if e.File == nil {
			continue
		}
		s.bytes += max(0, e.File.Blob.Digest.Size-1) / block * block
		if e.File.Class == 0 {
			continue
		}
		m := members[e.File.Class]
		if m == nil {
			m = &member{file: e.File}
			members[e.File.Class] = m
		}
		if m.file.Blob.Digest != e.File.Blob.Digest || m.file.Modified != e.File.Modified {
			return shown{}, &Malformed{fmt.Sprintf("%s is a hard link of another file and has other content or another time", name)}
		}
		m.names.WriteString(name)
		m.names.WriteByte(0)
	}
	for class, m := range members {
		if s.classes == nil {
			s.classes = classes{}
		}
		s.classes[class] = sha256.Sum256([]byte(m.names.String()))
	}
	s.root = bare(root)
	return s, nil
}

// classes are the hard-link classes of one tree: number to digest of the names
// that are in it. The numbers of two trees say nothing to each other.
type classes map[int][sha256.Size]byte

type member struct {
	file  *broker.File
	names strings.Builder
}

// bare copies a tree without contents: blobs may be in memory.
func bare(d *broker.Dir) *broker.Dir {
	out := &broker.Dir{Files: make([]broker.File, len(d.Files)), Links: d.Links, Dirs: make([]broker.Subdir, len(d.Dirs))}
	for i, f := range d.Files {
		f.Blob = broker.Blob{Digest: f.Blob.Digest}
		out.Files[i] = f
	}
	for i, s := range d.Dirs {
		out.Dirs[i] = broker.Subdir{Name: s.Name, Dir: bare(s.Dir)}
	}
	return out
}

// A pair is two trees that are held against each other.
type pair struct{ have, want classes }

// sameFile reports whether a file need not be made again. A hard link stays only
// with all of its names, so that no name of it stands for the old inode and
// another for a new one.
func (p pair) sameFile(have, want *broker.File) bool {
	return have.Blob.Digest == want.Blob.Digest && have.Modified == want.Modified && p.have[have.Class] == p.want[want.Class]
}

// changes counts the entries that must go or come to make want of have, up to
// limit.
func changes(have, want shown, limit int) int {
	c := &counter{pair: pair{have.classes, want.classes}, limit: limit}
	c.dir(have.root, want.root)
	return c.n
}

type counter struct {
	pair
	n, limit int
}

func (c *counter) dir(have, want *broker.Dir) {
	for h, w := range both(have.Files, want.Files, fileName) {
		if h == nil || w == nil || !c.sameFile(h, w) {
			c.n++
		}
	}
	for h, w := range both(have.Links, want.Links, linkName) {
		if h == nil || w == nil || h.Target != w.Target {
			c.n++
		}
	}
	for h, w := range both(have.Dirs, want.Dirs, dirName) {
		if c.n >= c.limit {
			return
		}
		switch {
		case h == nil:
			c.n++
			c.dir(new(broker.Dir), w.Dir)
		case w == nil:
			c.n++
			c.dir(h.Dir, new(broker.Dir))
		default:
			c.dir(h.Dir, w.Dir)
		}
	}
}

func fileName(f *broker.File) string  { return f.Name }
func linkName(l *broker.Link) string  { return l.Name }
func dirName(s *broker.Subdir) string { return s.Name }

// both walks two sorted lists at once; nil stands for a name that one lacks.
func both[T any](have, want []T, name func(*T) string) func(yield func(h, w *T) bool) {
	return func(yield func(h, w *T) bool) {
		for len(have) > 0 || len(want) > 0 {
			order := 0
			switch {
			case len(have) == 0:
				order = 1
			case len(want) == 0:
				order = -1
			default:
				order = strings.Compare(name(&have[0]), name(&want[0]))
			}
			var h, w *T
			if order <= 0 {
				h, have = &have[0], have[1:]
			}
			if order >= 0 {
				w, want = &want[0], want[1:]
			}
			if !yield(h, w) {
				return
			}
		}
	}
}
