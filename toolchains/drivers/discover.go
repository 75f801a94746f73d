package drivers

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// maxBin bounds the entries read of one directory of programs.
const maxBin = 100_000

// A searchPlace is a pattern of directories that hold compilers off PATH.
type searchPlace struct{ Pattern, Notes string }

var searchPlaces = [...]searchPlace{
	{"/usr/bin", "Debian's cross packages, Fedora's, and Gentoo crossdev's links"},
	{"/usr/local/bin", "built by hand"},
	{"/usr/lib/llvm-*/bin", "Debian's clang, all versions"},
	{"/usr/lib/llvm/*/bin", "Gentoo's clang"},
	{"/usr/*/gcc-bin/*", "Gentoo: native and crossdev compilers, each version in its own directory"},
	{"/usr/*/*/gcc-bin/*", "Gentoo: crossdev, /usr/HOST/TARGET/gcc-bin/VERSION"},
	{"/opt/x-tools/*/bin", "crosstool-ng, installed for all users"},
	{"/opt/*/bin", "ARM's, Linaro's and vendors' archives"},
}

// DefaultPrefixes are the patterns that a helper searches besides PATH when
// its configuration names none.
func DefaultPrefixes() []string {
	var list []string
	for _, p := range searchPlaces {
		list = append(list, p.Pattern)
	}
	return list
}

// masquerades are programs that stand in a compiler's place under its name.
// What they run is found by itself; asking them would ask it twice.
var masquerades = [...]string{"ccache", "distcc", "icecc", "sccache", "crosscc", "nocc", "homcc", "colorgcc", "buildcache", "gomacc", "fastbuild"}

// Discover lists the compiler drivers in root: those in the directories of
// pathVar (the text of $PATH) and of prefixes, patterns of path.Match that name
// directories with drivers in them or in a bin below, or single programs. Each file is listed once, under the name that
// it has itself when that is among those found, else under the first of its
// links; of a C and a C++ driver side by side only the C driver is listed,
// since a probe finds the other. Directories that do not exist are passed over;
// an error means a malformed pattern.
func Discover(root *rootfs.Root, pathVar string, prefixes []string) ([]string, error) {
	var names []string
	for dir := range strings.SplitSeq(pathVar, ":") {
		names = append(names, driversIn(root, dir)...)
	}
	for _, pattern := range prefixes {
		places, err := root.Glob(pattern, maxBin)
		if err != nil {
			return nil, fmt.Errorf("search for toolchains: %w", err)
		}
		for _, place := range places {
			names = append(names, driversIn(root, place)...)
			names = append(names, driversIn(root, path.Join(place, "bin"))...) // place is a prefix
		}
	}
	return onePerFile(root, names), nil
}

// driversIn lists the drivers in a directory, or the one that place itself is.
func driversIn(root *rootfs.Root, place string) []string {
	if !path.IsAbs(place) {
		return nil
	}
	if _, ok := realDriver(root, place); ok {
		return []string{place}
	}
	entries, _ := root.ReadDir(place, maxBin) // not there, or not ours to read
	var list []string
	for _, e := range entries {
		file := path.Join(place, e)
		if _, ok := realDriver(root, file); ok {
			list = append(list, file)
		}
	}
	return list
}

// realDriver resolves a compiler driver to its file; false when name is none,
// or leads to a program that only stands in a compiler's place.
func realDriver(root *rootfs.Root, name string) (string, bool) {
	d, ok := argv.ParseDriver(path.Base(name))
	if !ok || d.Standard != "" { // c99 adds words of its own to those of a compiler that is there as well
		return "", false
	}
	st, err := root.Stat(name)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return "", false
	}
	real, err := root.Real(name)
	return real, err == nil && !slices.Contains(masquerades[:], path.Base(real))
}

// onePerFile keeps one name for each file, and drops a C++ driver whose C
// driver is among the names.
func onePerFile(root *rootfs.Root, names []string) []string {
	best := map[string]string{} // file → name
	for _, name := range names {
		real, _ := realDriver(root, name)
		if old, ok := best[real]; !ok || better(name, old, real) {
			best[real] = name
		}
	}
	var list []string
	for _, name := range best {
		d, _ := argv.ParseDriver(path.Base(name))
		if d.CXX {
			d.CXX = false
			if slices.Contains(names, path.Join(path.Dir(name), d.Name())) {
				continue
			}
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// better orders the names of one file: its own, then those of C drivers (clang++
// is a link to clang), then by the alphabet.
func better(name, old, real string) bool {
	if name == real || old == real {
		return name == real
	}
	a, _ := argv.ParseDriver(path.Base(name))
	b, _ := argv.ParseDriver(path.Base(old))
	if a.CXX != b.CXX {
		return !a.CXX
	}
	return name < old
}

// FindEquivalent finds, in the directories of pathVar, a driver that d would be
// under another spelling of its target: for aarch64-unknown-linux-gnu-gcc
// /usr/bin/aarch64-linux-gnu-gcc. Family, C or C++ and suffix must be the same;
// the first directory wins.
func FindEquivalent(root *rootfs.Root, pathVar string, d argv.Driver) (string, bool) {
	if d.Prefix == "" {
		return "", false
	}
	for dir := range strings.SplitSeq(pathVar, ":") {
		for _, file := range driversIn(root, dir) {
			have, _ := argv.ParseDriver(path.Base(file))
			same := have.Prefix != "" && triple.Same(have.Prefix, d.Prefix)
			if have.Prefix = d.Prefix; same && have == d {
				return file, true
			}
		}
	}
	return "", false
}
