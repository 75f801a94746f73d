package probe

import (
	"debug/elf"
	"path"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/toolchains/triple"
)

// Bounds on what is read of a program's headers and the loader's configuration.
const (
	maxLibraries = 128
	maxLoaderDir = 256
	maxLdConf    = 64 << 10
)

// runtimes are the C library's own files. Their bytes change with each update
// of the system and do not show in what a compiler writes; where they do (libm
// and clang), Identity.Libm tells.
var runtimes = [...]string{"ld-*", "libc.so*", "libc.musl*", "libm.so*", "libdl.so*", "libpthread.so*", "librt.so*", "libgcc_s.so*", "libstdc++.so*", "libc++*"}

func isRuntime(name string) bool {
	return slices.ContainsFunc(runtimes[:], func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

// libraries finds what a program is linked with, by name, all the way down, as
// the loader would: beneath the Root and without running anything. What is not
// found is left out; what is no ELF program has none.
func (p *prober) libraries(program string) map[string]string {
	found := map[string]string{}
	queue := []string{program}
	var dirs []string
	for len(queue) > 0 && len(found) < maxLibraries {
		file := queue[0]
		queue = queue[1:]
		head, ok := p.linked(file)
		if !ok {
			continue
		}
		if dirs == nil {
			dirs = p.loaderDirs()
		}
		for _, name := range head.needed {
			if found[name] != "" || isRuntime(name) {
				continue
			}
			if lib := p.findLibrary(name, slices.Concat(head.runpath, dirs), head.machine); lib != "" {
				found[name] = lib
				queue = append(queue, lib)
			}
		}
	}
	return found
}

// A linkage is what an ELF file says to the loader.
type linkage struct {
	needed, runpath []string
	machine         elf.Machine
}

func (p *prober) linked(file string) (l linkage, ok bool) {
	if file == "" {
		return l, false
	}
	f, err := p.Root.Open(file)
	if err != nil {
		return l, false
	}
	defer func() { _ = f.Close() }()
	e, err := elf.NewFile(f)
	if err != nil {
		return l, false
	}
	l.machine = e.Machine
	l.needed, _ = e.ImportedLibraries() // none: a static program
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, _ := e.DynString(tag)
		for _, v := range values {
			l.runpath = append(l.runpath, p.expand(v, file)...)
		}
	}
	return l, true
}

// expand splits a RUNPATH and puts the program's own directory for $ORIGIN.
func (p *prober) expand(runpath, file string) []string {
	origin, err := p.Root.Real(file)
	if err != nil {
		return nil
	}
	r := strings.NewReplacer("$ORIGIN", path.Dir(origin), "${ORIGIN}", path.Dir(origin))
	return strings.Split(r.Replace(runpath), ":")
}

// findLibrary takes the first file of that name for the program's machine.
func (p *prober) findLibrary(name string, dirs []string, machine elf.Machine) string {
	for _, dir := range dirs {
		file := path.Join(dir, name)
		if path.IsAbs(dir) && p.isMachine(file, machine) {
			return file
		}
	}
	return ""
}

func (p *prober) isMachine(file string, machine elf.Machine) bool {
	f, err := p.Root.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, triple.HeadSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return false
	}
	m := triple.Read(head)
	return m.Format == triple.ELF && m.Code == uint32(machine)
}

// loaderDirs lists where a loader of any C library looks: the directories of
// ld.so.conf, then the usual ones, multiarch's among them.
func (p *prober) loaderDirs() []string {
	dirs := p.ldConf("/etc/ld.so.conf")
	for _, d := range []string{"/lib", "/usr/lib"} {
		names, _ := p.Root.ReadDir(d, 1<<16) // absent, or too large to be one
		for _, n := range names {
			if strings.Contains(n, "-linux-") {
				dirs = append(dirs, d+"/"+n)
			}
		}
	}
	return append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
}

// ldConf reads the loader's configuration and the files that it includes, which
// include no more.
func (p *prober) ldConf(name string) []string {
	var dirs []string
	text, _ := p.Root.ReadFile(name, maxLdConf) // absent where there is no glibc
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.SplitN(line, "#", 2)[0])
		switch {
		case len(fields) == 2 && fields[0] == "include" && name == "/etc/ld.so.conf":
			files, _ := p.Root.Glob(path.Join("/etc", fields[1]), maxLoaderDir)
			if path.IsAbs(fields[1]) {
				files, _ = p.Root.Glob(fields[1], maxLoaderDir)
			}
			for _, f := range files {
				dirs = append(dirs, p.ldConf(f)...)
			}
		case len(fields) == 1:
			dirs = append(dirs, fields[0])
		}
	}
	return dirs
}
