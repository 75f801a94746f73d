package broker

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// This file is where no file of a job in tree form may lie. It is the tree form's
// [Hidden], and finer: headers lie among the compilers.
//
// The attack: a compiler that starts reads more than what it is told to. The
// loader reads its preload list and looks for libraries in directories of many
// kinds, gcc for files named specs in four places beside itself (X20) and for a
// precompiled header, an image of its memory, beside each header; clang reads
// configuration files, the C library catalogues of messages and tables of
// converters that are libraries. All of them are names in a tree, and a tree's
// names are the client's choice. What lies there would be run, or nearly so.
//
// So two things are closed: places where such files are looked for, and names
// that such files have, wherever they lie. Who builds a tree sends none of them,
// and a helper refuses them.

// closedTops are the directories of a root where nothing of a tree may be, no
// directory either: the kernel's, the configuration of the system, and what the
// sandbox makes for itself. Names that begin with .crosscc are closed as well.
var closedTops = [...]string{"proc", "dev", "sys", "etc", "run"}

// openBelow are directories below /usr where people keep what they compile.
var openBelow = [...]string{"/usr/src", "/usr/obj", "/usr/local/src"}

// cmakeFiles are the directories below which CMake has sources that it compiles to learn
// what a compiler is. No program looks for anything in there but CMake.
var cmakeFiles = regexp.MustCompile(`^/usr/(local/)?share/cmake(-[0-9.]+)?/Modules/`)

// OfCMake reports whether a file of this absolute clean name is one of CMake's own sources.
func OfCMake(name string) bool { return cmakeFiles.MatchString(name) }

// Shown reports whether an entry of a directory of a root is the client's to send where an
// image defines the compile. dir is absolute and clean, "" for the root.
func Shown(dir, name string) bool {
	switch dir {
	case "":
		return !OfImage(name) || name == "usr"
	case "/usr":
		return name == "share" || name == "local"
	case "/usr/local":
		return name == "share"
	case "/usr/share", "/usr/local/share":
		return cmakeFiles.MatchString(dir + "/" + name + "/Modules/")
	}
	return true
}

// OfImage reports whether what lies below a top-level directory of this name is an
// image's, where an image defines the compile: the client's is not looked at.
func OfImage(top string) bool {
	switch top {
	case "usr", "bin", "sbin", "etc", "opt":
		return true
	}
	return strings.HasPrefix(top, "lib")
}

// mergedUsr are the links of a root whose programs are all in /usr, and what they
// may lead to.
var mergedUsr = map[string][]string{
	"/bin": {"usr/bin"}, "/sbin": {"usr/sbin", "usr/bin"}, "/usr/sbin": {"bin"},
	"/lib": {"usr/lib"}, "/lib32": {"usr/lib32"}, "/libx32": {"usr/libx32"},
	"/lib64": {"usr/lib64", "usr/lib"}, "/usr/lib64": {"lib"},
}

// closedNames are names that programs look for by themselves.
var closedNames = [...]string{
	"specs",                                // gcc
	"gconv-modules", "gconv-modules.cache", // the C library: converters between character sets
	"locale.alias", "locale-archive", // the C library: names of locales, and locales
}

// closedSuffixes are what such names end with.
var closedSuffixes = [...]string{
	".so",          // what the loader loads; ".so." in a name counts as well
	".gch", ".pch", // gcc and clang: precompiled headers
	".spec", ".specs", // gcc: included by its specs
	".cfg", // clang
	".mo",  // gettext: messages, whose formats a compiler believes
}

// Closed says why no file of a tree may have this absolute clean name; "" when it
// may. A link of that name is judged by ClosedLink.
func Closed(name string) string {
	if why := closedName(name); why != "" {
		return why
	}
	return closedPlace(name, false)
}

// ClosedLink is Closed for a symbolic link with the text target.
func ClosedLink(name, target string) string { return closedLink(name, target, closedName) }

func closedLink(name, target string, byName func(string) string) string {
	if slices.Contains(mergedUsr[name], target) {
		return ""
	}
	if why := byName(name); why != "" {
		return why
	}
	if why := closedPlace(name, true); why != "" {
		return why
	}
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(name), target)
	}
	if why := closedPlace(path.Clean(target), true); why != "" {
		return "it leads to where " + why
	}
	return ""
}

// ClosedDir is Closed for a directory. One that is empty is of no use to anybody
// but as a part of a path ("x/../y"), so it may nearly be anywhere.
func ClosedDir(name string) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if slices.Contains(closedTops[:], top) || strings.HasPrefix(top, ".crosscc") {
		return fmt.Sprintf("/%s is not the client's", top)
	}
	return ""
}

// Closed says which entry of a tree is closed, and why; "" when none is.
func (d *Dir) Closed() (name, why string) { return d.closed(closedName) }

// ClosedToLinks is Closed for a tree that is linked: the libraries in it are inputs.
// They are data to the linker, and a loader finds none of them, since it looks in closed
// places only.
func (d *Dir) ClosedToLinks() (name, why string) {
	return d.closed(func(name string) string {
		if base := path.Base(name); strings.HasSuffix(base, ".so") || strings.Contains(base, ".so.") {
			return ""
		}
		return closedName(name)
	})
}

func (d *Dir) closed(byName func(string) string) (name, why string) {
	for name, e := range d.All() {
		switch {
		case e.File != nil:
			if why = byName(name); why == "" {
				why = closedPlace(name, false)
			}
		case e.Link != nil:
			why = closedLink(name, e.Link.Target, byName)
		default:
			why = ClosedDir(name)
		}
		if why != "" {
			return name, why
		}
	}
	return "", ""
}

// closedPlace judges a place; whole says that its last part counts as a directory,
// as that of a link does.
func closedPlace(name string, whole bool) string {
	if why := ClosedDir(name); why != "" {
		return why
	}
	top, below, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if top != "usr" && top != "bin" && top != "sbin" && !strings.HasPrefix(top, "lib") {
		return ""
	}
	for _, open := range openBelow {
		if strings.HasPrefix(name, open+"/") || whole && name == open {
			return ""
		}
	}
	if OfCMake(name) {
		return ""
	}
	for below != "" {
		part, rest, isDir := strings.Cut(below, "/")
		if (isDir || whole) && IsInclude(part) {
			return ""
		}
		below = rest
	}
	return fmt.Sprintf("/%s has programs and what they read, and no directory for headers is in the name", top)
}

// IsInclude reports whether a directory of this name holds headers, and nothing
// that a program looks for by itself: include, include-fixed, include64.
func IsInclude(base string) bool { return strings.HasPrefix(base, "include") || base == "sys-include" }

// closedName judges the parts of a name, wherever it lies.
func closedName(name string) string {
	base := path.Base(name)
	switch {
	case slices.Contains(closedNames[:], base),
		strings.Contains(base, ".so."),
		slices.ContainsFunc(closedSuffixes[:], func(s string) bool { return strings.HasSuffix(base, s) }):
		return fmt.Sprintf("programs look for files with a name like %s by themselves", base)
	}
	// gcc takes each file of a directory "x.h.gch" for a precompiled header.
	if strings.Contains(name, ".gch/") || strings.Contains(name, ".pch/") {
		return "a directory of its is one of precompiled headers"
	}
	return ""
}
