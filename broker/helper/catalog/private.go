package catalog

import (
	"path"
	"strings"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
)

// Private are the directories of one toolchain where no file of a tree may lie:
// broker.Closed knows the system's, and this where this machine has compilers
// besides. Directories for headers in them are open.
type Private struct {
	dirs     map[string]bool // what lies below them is the toolchain's
	above    map[string]bool // the way to them
	prefixes map[string]bool // of which the programs' own parts are the toolchain's
}

// privateOf finds them from what the toolchain's programs are made of: the
// directory of each program and library, as it is spelled and as it is, and the
// prefix that it is installed in. A driver looks for its own in bin, lib, libexec,
// share and etc of the prefix, wherever that was moved to.
func privateOf(tc toolchains.Toolchain, binds []sandbox.Bind) Private {
	p := Private{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	add := func(file string) {
		dir := path.Dir(file)
		p.dirs[dir] = true
		p.prefixes[path.Dir(dir)] = true
		for d := dir; d != "/"; d = path.Dir(d) {
			p.above[d] = true
		}
	}
	for _, file := range tc.Programs {
		add(path.Clean(file))
	}
	for _, b := range binds {
		if b.Source != "" {
			add(b.Dest)
		}
	}
	return p
}

// Closed says why no file, or link, of a tree may have this absolute clean name;
// "" when it may.
func (p Private) Closed(name string, link bool) string {
	if p.above[name] {
		return "it is on the way to the toolchain's files"
	}
	part := path.Base(name)
	if link && broker.IsInclude(part) {
		return ""
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if p.dirs[dir] || p.prefixes[dir] && ownPart(part) && !broker.OfCMake(name) {
			return path.Join(dir, part) + " is the toolchain's"
		}
		if dir == "/" {
			return ""
		}
		if part = path.Base(dir); broker.IsInclude(part) {
			return ""
		}
	}
}

// ownPart reports whether a directory of this name in a toolchain's prefix is the
// toolchain's own.
func ownPart(base string) bool {
	switch base {
	case "bin", "sbin", "share", "etc":
		return true
	}
	return strings.HasPrefix(base, "lib")
}
