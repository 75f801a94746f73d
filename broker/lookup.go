package broker

import (
	"path"
	"strings"
)

// maxLinks bounds the links on the way to one name, as the kernel does.
const maxLinks = 40

// Lookup finds what an absolute name leads to, as a program would for which the
// tree is the whole root: links are followed, also at the end, and `..` leads
// from a directory to the one above. real is its name without links; ok is false
// where the way ends.
func (d *Dir) Lookup(name string) (real string, e Entry, ok bool) {
	at, dirs := []string{}, []*Dir{d}
	rest, links := strings.Split(name, "/"), 0
	for len(rest) > 0 {
		base := rest[0]
		rest = rest[1:]
		switch base {
		case "", ".":
			continue
		case "..":
			if len(at) > 0 {
				at, dirs = at[:len(at)-1], dirs[:len(dirs)-1]
			}
			continue
		}
		in := dirs[len(dirs)-1]
		if i, found := in.sub(base); found {
			at, dirs = append(at, base), append(dirs, in.Dirs[i].Dir)
			continue
		}
		if f := in.file(base); f != nil {
			// A file ends the way; a slash behind it would ask for a directory.
			return "/" + path.Join(append(at, base)...), Entry{File: f}, len(rest) == 0
		}
		l := in.link(base)
		if links++; l == nil || links > maxLinks {
			return "", Entry{}, false
		}
		if path.IsAbs(l.Target) {
			at, dirs = at[:0], dirs[:1]
		}
		rest = append(strings.Split(l.Target, "/"), rest...)
	}
	return "/" + path.Join(at...), Entry{Dir: dirs[len(dirs)-1]}, true
}
