package pinned

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// This file finds what objdump opens though no word of its command names it: files with
// debug information that an object leads to (GDB's manual, Debugging Information in Separate Files, and BFD's
// opncls.c), and with -S the sources.

// Names of sections that lead elsewhere, as they stand in a table of names.
const (
	debugLink    = "\x00.gnu_debuglink\x00"
	debugAltLink = "\x00.gnu_debugaltlink\x00"
)

// dumped are the files that objdump may open for one of its inputs.
func (p *Command) dumped(name string, f *os.File) ([]string, error) {
	e, err := elf.NewFile(f)
	if err != nil {
		return nil, p.dumpedWhole(name, f)
	}
	if p.task.Quotes && e.Section(".stab") != nil {
		return nil, p.cannot("objdump -S: %s has debug information of a form (stabs) in which names of sources are not looked for", name)
	}
	if e.Section(".gnu_debugaltlink") != nil {
		return nil, p.cannot("%s leads to another file (.gnu_debugaltlink), which is not followed", name)
	}
	files := debugFiles(path.Dir(p.s.Abs(name)), p.s.Request.Dir, e)
	if !p.task.Quotes {
		return files, nil
	}
	sources, err := sourceFiles(e)
	if err != nil {
		return nil, p.cannot("objdump -S: the names of the sources of %s can't be read: %v", name, err)
	}
	for _, source := range sources {
		files = append(files, p.s.Abs(source)) // a prefix map may leave one that starts at the working directory
	}
	return files, nil
}

// dumpedWhole refuses what is no object of ELF where objdump may open further files for it: archives, Windows' objects and programs.
func (p *Command) dumpedWhole(name string, f *os.File) error {
	for _, mark := range []string{debugLink, debugAltLink} {
		if found, err := contains(io.NewSectionReader(f, 0, 1<<62), mark); err != nil || found {
			return p.cannot("%s leads to other files (%s), which are not followed", name, strings.Trim(mark, "\x00"))
		}
	}
	if p.task.Quotes && slices.Contains(p.task.Reads, name) { // and no source that was found
		return p.cannot("objdump -S of %s, which is no object of ELF: its sources are not looked for; take objects out of an archive", name)
	}
	return nil
}

// debugFiles are where BFD looks for debug information of an object in a directory, but for
// its own places, which are the image's: a file by its name, or by the object's ID from the working directory.
func debugFiles(dir, working string, e *elf.File) []string {
	var files []string
	if s := e.Section(".gnu_debuglink"); s != nil {
		data := leading(s)
		if link, _, _ := strings.Cut(string(data), "\x00"); link != "" {
			files = append(files, dir+"/"+link, dir+"/.debug/"+link)
		}
	}
	const head = 16 // of a note whose name is GNU
	if s := e.Section(".note.gnu.build-id"); s != nil {
		if data := leading(s); len(data) > head+1 {
			id := ".build-id/" + hex.EncodeToString(data[head:head+1]) + "/" + hex.EncodeToString(data[head+1:]) + ".debug"
			files = append(files, working+"/"+id, working+"/.debug/"+id)
		}
	}
	return files
}

// leading is the beginning of a section that has a name or an ID.
func leading(s *elf.Section) []byte {
	data, _ := io.ReadAll(io.LimitReader(s.Open(), maxLeading))
	return data
}

const (
	// maxLeading is more than a file's name has, or a note with an ID, in bytes.
	maxLeading = 64 << 10
	// maxDebug bounds the debug information that is read for names of sources, in bytes and
	// unpacked: a small file may say a terabyte.
	maxDebug = 1 << 30
)

// readable refuses debug information that is too large to be read here.
func readable(e *elf.File) error {
	var sum uint64
	for _, s := range e.Sections {
		if !strings.HasPrefix(s.Name, ".debug_") && !strings.HasPrefix(s.Name, ".zdebug_") {
			continue
		}
		_ = s.Open() // of .zdebug sections the size is known then
		if sum += min(s.Size, maxDebug+1); sum > maxDebug {
			return fmt.Errorf("it has more than %d MiB of debug information", maxDebug>>20)
		}
	}
	return nil
}

// sourceFiles are the sources that an object's lines are of.
func sourceFiles(e *elf.File) ([]string, error) {
	if e.Section(".debug_info") == nil && e.Section(".zdebug_info") == nil {
		return nil, nil
	}
	if err := readable(e); err != nil {
		return nil, err
	}
	d, err := e.DWARF()
	if err != nil {
		return nil, err
	}
	var files []string
	seen := map[string]bool{}
	units := d.Reader()
	for {
		unit, err := units.Next()
		if err != nil || unit == nil {
			return files, err
		}
		units.SkipChildren()
		lines, err := d.LineReader(unit)
		if err != nil {
			return nil, err
		}
		if lines == nil {
			continue
		}
		dir, _ := unit.Val(dwarf.AttrCompDir).(string)
		for _, f := range lines.Files() {
			if f == nil || f.Name == "" {
				continue
			}
			name := f.Name
			if !path.IsAbs(name) && dir != "" {
				name = dir + "/" + name
			}
			if !seen[name] {
				seen[name] = true
				files = append(files, name)
			}
		}
	}
}

// contains reports whether a text has a mark in it.
func contains(r io.Reader, mark string) (bool, error) {
	buf := make([]byte, 64<<10)
	for kept := 0; ; {
		n, err := r.Read(buf[kept:])
		if strings.Contains(string(buf[:kept+n]), mark) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		end := max(kept+n-len(mark), 0)
		kept = copy(buf, buf[end:kept+n])
	}
}
