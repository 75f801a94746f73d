package files

import (
	"strings"

	"golang.org/x/sys/unix"
)

// DirAt finds the directory that name leads to from another; nil when there is
// none.
func (v *View) DirAt(from *Dir, name string) (*Dir, error) { return v.dirAt(from, name, maxLinks) }

func (v *View) dirAt(from *Dir, name string, links int) (*Dir, error) {
	if strings.HasPrefix(name, "/") {
		from = v.Root
	}
	for name != "" && from != nil {
		part, rest, _ := strings.Cut(name, "/")
		name = rest
		switch part {
		case "", ".":
			continue
		case "..":
			from = from.up()
			continue
		}
		e, err := v.look(from, part, true)
		if err != nil {
			return nil, err
		}
		if e.link == "" {
			from = e.dir
			continue
		}
		if links--; links < 0 {
			return nil, Unsoundf(Unreadable, "%s: too many links", e.path())
		}
		if from, err = v.dirAt(e.in, e.link, links); err != nil {
			return nil, err
		}
	}
	return from, nil
}

// Find looks a file up; the Hit has none when there is none. A directory is
// none to a compiler that looks for a header.
func (v *View) Find(from *Dir, name string) (Hit, error) {
	f, in, err := v.follow(from, name, maxLinks)
	return Hit{f, in}, err
}

func (v *View) follow(from *Dir, name string, links int) (*File, *Dir, error) {
	if len(name) >= unix.PathMax {
		return nil, nil, Unsoundf(Unreadable, "a name of %d bytes", len(name))
	}
	in, base := from, name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		var err error
		if in, err = v.dirAt(from, name[:i+1], links); err != nil || in == nil {
			return nil, nil, err
		}
		base = name[i+1:]
	}
	if base == "" || base == "." || base == ".." {
		return nil, nil, nil
	}
	e, err := v.look(in, base, false)
	switch {
	case err != nil:
		return nil, nil, err
	case e.odd:
		// Local: what can be read once must not be read by a preprocessor first.
		return nil, nil, &Unsound{Reason: Special, Text: e.path() + " is not a regular file", Local: true}
	case e.link == "":
		return e.file, in, nil
	case links == 0:
		return nil, nil, Unsoundf(Unreadable, "%s: too many links", e.path())
	}
	f, _, err := v.follow(e.in, e.link, links-1)
	return f, in, err
}

// Exists reports whether name, from a directory on, is anything at all but a
// link to nothing.
func (v *View) Exists(from *Dir, name string) (bool, error) {
	if d, err := v.DirAt(from, name); d != nil || err != nil {
		return d != nil, err
	}
	h, err := v.Find(from, name)
	return h.File != nil, err
}
