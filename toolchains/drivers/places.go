package drivers

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
)

// clang's driver chooses directories and features by what it finds on the disk:
// the newest gcc installation, multiarch directories, libc++. What it says rests
// on all these places, absent ones too; here they are looked at. Where it may
// look elsewhere, what it says is not kept: see Asker.fleeting.

// Bounds of what is looked at for one answer. Beyond them it is not kept.
const (
	maxPlaces  = 4096  // names
	maxListing = 16384 // entries of one directory: /usr/include has thousands
	maxDepth   = 3     // of multilib directories below an installation of gcc
)

// placeWords are the options whose value is a directory below which clang's
// driver looks.
var placeWords = []string{"--sysroot", "-isysroot", "--gcc-toolchain", "-gcc-toolchain", gccInstallDir}

// gccInstallDir names an installation itself.
const gccInstallDir = "--gcc-install-dir"

// A placeWord is one of them in a command.
type placeWord struct{ option, dir string }

// placesOf finds them in words, with the directories as they are spelled.
func placesOf(words []string) []placeWord {
	var places []placeWord
	for i, w := range words {
		for _, option := range placeWords {
			switch rest, ok := strings.CutPrefix(w, option); {
			case !ok:
			case rest != "":
				places = append(places, placeWord{option, strings.TrimPrefix(rest, "=")})
			case i+1 < len(words):
				places = append(places, placeWord{option, words[i+1]})
			}
		}
	}
	return places
}

// Under gives s.Dir when words name a directory from there, for the key of an
// answer: elsewhere they name another.
func (s System) Under(words []string) string {
	if slices.ContainsFunc(placesOf(words), func(w placeWord) bool { return !path.IsAbs(w.dir) }) {
		return s.Dir
	}
	return ""
}

// Clang asks clang's driver in the C locale, and looks at everything by which it
// chooses directories and features. An error says that it could not be run.
func (a *Asker) Clang(ctx context.Context, file string, words ...string) (Output, Report, error) {
	return a.askDriver(ctx, Program{Path: file, Args: words, Env: plainEnv()})
}

// askDriver runs clang's driver and looks at everything that its answer rests
// on.
func (a *Asker) askDriver(ctx context.Context, prog Program) (Output, Report, error) {
	w := walk{Asker: a, seen: map[stamp]bool{}}
	w.before(prog)
	out, err := a.Run(ctx, prog)
	if err != nil {
		return out, Report{}, err
	}
	r := ReadReport(string(out.Stderr))
	w.after(prog.Path, out, r)
	return out, r, nil
}

// A walk looks at the places of one answer.
type walk struct {
	*Asker
	seen map[stamp]bool // directories walked: /lib may be /usr/lib
}

// before looks at what is known before the driver runs.
func (w *walk) before(prog Program) {
	w.look(prog.Path)
	for _, name := range []string{"/etc/os-release", "/etc/lsb-release", "/etc/redhat-release", "/etc/SuSE-release", "/etc/debian_version"} {
		w.look(name)
	}
	w.sysroot("")
	w.prefix(path.Dir(prog.Path) + "/..")
	for _, word := range placesOf(prog.Args) {
		dir := w.abs(word.dir)
		if word.option != gccInstallDir {
			w.sysroot(dir)
			continue
		}
		w.installation(dir, 0)
		w.prefix(dir + "/../../../..")
	}
}

// after looks at what the driver said of itself.
func (w *walk) after(driver string, out Output, r Report) {
	// An error, or a driver whose configuration names places of its own.
	w.fleeting = w.fleeting || out.Status != 0 || len(r.Configs) > 0 || !knownPlaces(r.Target)
	for line := range strings.Lines(string(out.Stderr)) {
		if dir, ok := strings.CutPrefix(line, "InstalledDir: "); ok {
			w.prefix(strings.TrimSpace(dir) + "/..")
		}
		if dir, ok := strings.CutPrefix(line, "Found candidate GCC installation: "); ok {
			dir = w.abs(strings.TrimSpace(dir))
			w.prefix(dir + "/../../../..")
			w.fleeting = w.fleeting || !w.seen[w.look(dir)] // found at a place not known here
		}
	}
	for _, c := range r.Commands {
		if len(c) < 2 || c[1] != "-cc1" {
			continue
		}
		w.look(c[0])
		w.prefix(path.Dir(c[0]) + "/..")
		for _, name := range ConfigNames(driver, c[0], r.Target) {
			w.look(name)
		}
		for i := 2; i < len(c); i++ {
			switch c[i-1] {
			case "-isysroot":
				w.sysroot(w.abs(c[i]))
			case "-resource-dir":
				w.look(w.abs(c[i]) + "/include")
			}
		}
	}
}

// ConfigNames are the files that clang reads unasked, if they exist.
func ConfigNames(driver, program, target string) []string {
	d, _ := argv.ParseDriver(path.Base(driver))
	names := []string{"clang", "clang++", target, target + "-clang", target + "-clang++", path.Base(driver), d.Prefix}
	var files []string
	for _, dir := range []string{path.Dir(driver), path.Dir(program), "/etc/clang"} {
		for _, name := range names {
			files = append(files, path.Join(dir, name+".cfg"))
		}
	}
	return files
}

// knownPlaces reports whether the driver looks for this target where walk does:
// Linux on the common machines. Android, MIPS, bare machines and other systems
// have toolchains of their own, and vendors of embedded systems a layout.
func knownPlaces(target string) bool {
	parts := strings.Split(target, "-")
	arch, last := parts[0], parts[len(parts)-1]
	known := slices.ContainsFunc([]string{"x86_64", "i386", "i486", "i586", "i686", "aarch64", "arm", "thumb", "riscv", "powerpc", "s390x", "loongarch64"},
		func(a string) bool { return strings.HasPrefix(arch, a) })
	return known && slices.Contains(parts[1:], "linux") && !slices.Contains(parts, "oe") && !slices.Contains(parts, "fsl") &&
		(last == "linux" || strings.HasPrefix(last, "gnu") || strings.HasPrefix(last, "musl"))
}

// abs is where a name leads from the working directory.
func (w *walk) abs(name string) string {
	if path.IsAbs(name) {
		return name
	}
	w.fleeting = w.fleeting || w.Dir == ""
	return w.Dir + "/" + name
}

// sysroot looks at a file system's root, "" for the one that the driver is in.
func (w *walk) sysroot(dir string) {
	w.prefix(dir)
	w.prefix(dir + "/usr")
	w.prefix(dir + "/usr/local")
	w.look(dir + "/etc/env.d/gcc") // Gentoo's choice
	for _, name := range w.list(dir + "/etc/env.d/gcc") {
		w.look(dir + "/etc/env.d/gcc/" + name)
	}
	for _, name := range w.list(dir + "/opt/rh") { // Red Hat's newer compilers
		w.prefix(dir + "/opt/rh/" + name + "/root/usr")
	}
}

// prefix looks at what is below a directory that has lib and include.
func (w *walk) prefix(dir string) {
	if w.look(dir+"/.") == (stamp{}) || w.again(dir+"/.") {
		return // absent: nothing below it can appear before it does
	}
	var triples []string
	for _, lib := range []string{"lib", "lib64", "lib32", "libx32"} {
		lib = dir + "/" + lib
		for _, name := range w.list(lib) {
			if strings.Contains(name, "-linux") { // older clangs look there
				triples = append(triples, w.installations(lib+"/"+name+"/gcc")...)
			}
		}
		triples = append(triples, w.installations(lib+"/gcc")...)
		triples = append(triples, w.installations(lib+"/gcc-cross")...)
	}
	slices.Sort(triples)
	for _, t := range slices.Compact(triples) {
		w.look(dir + "/" + t + "/include")
		w.library(dir + "/" + t + "/include/c++")
	}
	w.library(dir + "/include/c++")
	for _, name := range w.list(dir + "/include") {
		if strings.Contains(name, "-") { // a target's
			w.look(dir + "/include/" + name)
			w.library(dir + "/include/" + name + "/c++")
		}
	}
}

// library looks at the versions of a C++ library.
func (w *walk) library(dir string) {
	for _, version := range w.list(dir) {
		w.look(dir + "/" + version)
	}
}

// installations looks at the gcc installations below dir, by target and version,
// and gives the targets.
func (w *walk) installations(dir string) []string {
	triples := w.list(dir)
	for _, t := range triples {
		for _, version := range w.list(dir + "/" + t) {
			w.installation(dir+"/"+t+"/"+version, 0)
		}
	}
	return triples
}

// notLibs are directories of an installation without crtbegin.o anywhere below.
var notLibs = []string{"include", "include-fixed", "install-tools", "plugin", "adainclude", "adalib", "finclude"}

// installation looks at one: the directories below it are its multilibs.
func (w *walk) installation(dir string, depth int) {
	if w.look(dir).Mode&unix.S_IFMT != unix.S_IFDIR || w.again(dir) {
		return
	}
	if depth == maxDepth {
		return
	}
	for _, name := range w.list(dir) {
		sub := dir + "/" + name
		if !slices.Contains(notLibs, name) && stampOf(w.Root, sub).Mode&unix.S_IFMT == unix.S_IFDIR {
			w.installation(sub, depth+1)
		}
	}
}

// list looks at a directory and lists it: nothing when it is absent.
func (w *walk) list(dir string) []string {
	if w.look(dir).Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	if len(w.looks) > maxPlaces {
		w.fleeting = true
		return nil
	}
	names, err := w.Root.ReadDir(dir, maxListing)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.fleeting = true
	}
	return names
}

// again reports whether a directory was walked before, maybe by another name.
func (w *walk) again(dir string) bool {
	s := w.look(dir)
	again := w.seen[s]
	w.seen[s] = true
	return again
}
