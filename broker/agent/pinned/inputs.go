package pinned

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/thin"
	"github.com/crosscc/crosscc/broker/headers"
)

// maxNeeded bounds how far libraries of a project that need each other are followed.
const maxNeeded = 8

// inputs is the tree of a command that is no plain compile: its sources with what they
// include, and all that its linker may open.
func (p *Command) inputs() (*headers.Tree, error) {
	t := p.task
	if t.Kind == task.Question {
		return &headers.Tree{Root: new(broker.Dir)}, nil
	}
	reads, err := p.reads()
	if err != nil {
		return nil, err
	}
	return p.tree(t.Sources, reads, t.Dirs, t.Kind == task.Link || t.Kind == task.ToolRun)
}

// reads are the names that the linker may open, those that an input names too.
func (p *Command) reads() ([]string, error) {
	reads, dirs := slices.Clone(p.task.Reads), slices.Concat(p.task.Dirs, p.task.RunDirs)
	seen := map[string]bool{}
	for fresh, n := reads, 0; len(fresh) > 0 && n < maxNeeded; n++ {
		var needed []string
		for _, name := range fresh {
			libs, err := p.lookInto(name)
			if err != nil {
				return nil, err
			}
			needed = append(needed, libs...)
		}
		fresh = nil
		for _, lib := range needed {
			names := []string{lib}
			if !path.IsAbs(lib) {
				names = nil
				for _, dir := range dirs {
					names = append(names, dir+"/"+lib)
				}
			}
			for _, name := range names {
				if !seen[name] {
					seen[name] = true
					fresh, reads = append(fresh, name), append(reads, name)
				}
			}
		}
	}
	return reads, nil
}

// lookInto refuses an input that names others in a way that is not followed, and tells
// the libraries that a library needs and the files that a script names.
func (p *Command) lookInto(name string) ([]string, error) {
	full := p.s.Abs(name)
	if ofImage(full) {
		return nil, nil
	}
	f, err := p.s.Files.Open(full)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the linker looks elsewhere, or says so
	}
	if err != nil {
		return nil, p.cannot("an input can't be read: %v", err)
	}
	defer f.Close()
	var head [8]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, p.cannot("an input can't be read: %v", err)
	}
	library := strings.HasSuffix(name, ".so") || strings.Contains(path.Base(name), ".so.")
	switch text := string(head[:n]); {
	case text == thin.Magic:
		return p.members(name, io.MultiReader(bytes.NewReader(head[:n]), f))
	case p.tool != nil && p.tool.Name == "objdump":
		return p.dumped(name, f)
	case !p.links():
		return nil, nil
	case strings.HasPrefix(text, elf.ELFMAG) && library:
		e, err := elf.NewFile(f)
		if err != nil {
			return nil, nil // the linker says what it thinks of it
		}
		libs, _ := e.ImportedLibraries()
		return slices.DeleteFunc(libs, func(l string) bool { return strings.Contains(l, "/") }), nil
	case strings.HasPrefix(text, elf.ELFMAG), text == "!<arch>\n":
		return nil, p.selfContained(name, f)
	}
	return p.script(name, io.MultiReader(bytes.NewReader(head[:n]), f))
}

// dependentLibraries is the name of a section in which an object says libraries that it needs. lld looks for them in -L.
const dependentLibraries = "\x00.deplibs\x00"

// selfContained refuses objects that name libraries to the linker at hand.
func (p *Command) selfContained(name string, r io.Reader) error {
	linker, all := p.task.Asked()
	lld := strings.HasPrefix(linker, "lld") || linker == "" && p.tc.Family == argv.Clang
	if !lld || !all {
		return nil
	}
	if found, err := contains(r, dependentLibraries); err != nil || !found {
		return nil // what can't be read is found out where it is sent
	}
	return p.cannot("%s has names of libraries in it (.deplibs), which are not followed: say them with -l, and -Wl,--no-dependent-libraries", name)
}

// members are the files that a thin archive says are its members.
func (p *Command) members(name string, r io.Reader) ([]string, error) {
	text, err := io.ReadAll(io.LimitReader(r, thin.MaxSize+1))
	if err != nil {
		return nil, p.cannot("an input can't be read: %v", err)
	}
	if len(text) > thin.MaxSize {
		return nil, p.cannot("%s is a thin archive of more than %d MiB", name, thin.MaxSize>>20)
	}
	a, err := thin.Read(text)
	if err != nil {
		return nil, nil // who reads it says what it thinks of it
	}
	dir, _ := path.Split(p.s.Abs(name))
	names := a.Names
	for i, n := range names {
		if !path.IsAbs(n) {
			names[i] = dir + n // not cleaned: links and `..` are the file system's to say
		}
	}
	return names, nil
}

// links reports whether the task links: other programs open no file that an input names,
// but for members.
func (p *Command) links() bool {
	return p.tool == nil || strings.HasPrefix(p.tool.Name, "ld")
}

// maxScript bounds a text for the linker.
const maxScript = 4 << 20

// script tells the files that a script for the linker names: without those the linker
// would find others of these names in the image.
func (p *Command) script(name string, r io.Reader) ([]string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxScript+1))
	if err != nil {
		return nil, p.cannot("an input can't be read: %v", err)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, nil // the compiler's own form of an object, or nothing
	}
	if len(text) > maxScript {
		return nil, p.cannot("%s is a text of more than %d MiB", name, maxScript>>20)
	}
	files, dirs := scriptNames(text)
	for _, dir := range dirs {
		if !ofImage(p.s.Abs(dir)) {
			return nil, p.cannot("%s has SEARCH_DIR (%s), which is not followed; say -L", name, dir)
		}
	}
	for _, f := range files { // in the working directory, and newer linkers beside the script
		if !path.IsAbs(f) {
			files = append(files, p.s.Abs(f), path.Dir(p.s.Abs(name))+"/"+f)
		}
	}
	return files, nil
}

// scriptCommands are those that name files or directories (ld's manual, Commands Dealing
// with Files).
var (
	scriptComments = regexp.MustCompile(`(?s)/\*.*?\*/`)
	// scriptSections are files whose sections a script places: ld opens those that nothing else names (ld's manual, Input Section
	// Basics). Patterns are none, and what is no file is not there.
	scriptSections = regexp.MustCompile(`(?:^|[\s({};])"?([^\s(){};,:"*?\[\]]*\.[^\s(){};,:"*?\[\]]+)"?\s*\(`)
	scriptCommands = regexp.MustCompile(`\b(?:INPUT|GROUP|STARTUP)\s*\(((?:[^()]|\([^()]*\))*)\)|\bINCLUDE\s+"?([^\s";]+)|\bSEARCH_DIR\s*\(\s*"?=?([^\s")]*)`)
)

// scriptNames are the files that a script has the linker look for, and the directories
// that it has it look into.
func scriptNames(text []byte) (files, dirs []string) {
	text = scriptComments.ReplaceAll(text, []byte(" "))
	for _, m := range scriptSections.FindAllSubmatch(text, -1) {
		if name := string(m[1]); name[0] != '.' || strings.Contains(name, "/") { // .bss (NOLOAD) is an output's section
			files = append(files, name)
		}
	}
	for _, m := range scriptCommands.FindAllSubmatch(text, -1) {
		for _, name := range strings.FieldsFunc(string(m[1]), func(c rune) bool { return strings.ContainsRune(" \t\r\n,()\"", c) }) {
			lib, isLib := strings.CutPrefix(name, "-l")
			whole, isWhole := strings.CutPrefix(lib, ":")
			switch {
			case name == "AS_NEEDED":
			case isLib && isWhole:
				files = append(files, whole)
			case isLib:
				files = append(files, "lib"+lib+".so", "lib"+lib+".a")
			default:
				files = append(files, name)
			}
		}
		if len(m[2]) > 0 {
			files = append(files, string(m[2]))
		}
		if len(m[3]) > 0 {
			dirs = append(dirs, string(m[3]))
		}
	}
	return files, dirs
}
