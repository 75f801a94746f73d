package calibrate

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Comparison says how two objects differ.
type Comparison struct {
	// Same: no byte differs. Equal: none but in .comment, which names the
	// compiler's revision.
	Same, Equal bool
	// Sections are the names of those that differ, or what else does.
	Sections []string
	// Functions are the symbols in them whose bytes differ, as far as that can be
	// told.
	Functions []string
}

// String says it in one line.
func (c Comparison) String() string {
	switch {
	case c.Same:
		return "the same"
	case c.Equal:
		return "the same but for .comment"
	}
	text := strings.Join(shortList(c.Sections), ", ") + " differ"
	if len(c.Functions) > 0 {
		text += " (in " + strings.Join(shortList(c.Functions), ", ") + ")"
	}
	return text
}

// shortList keeps what fits into a line.
func shortList(list []string) []string {
	const most = 4
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("%d more", len(list)-most))
}

// comment is the section that may differ.
const comment = ".comment"

// Compare compares two objects byte by byte, and ELF objects section by section:
// header, order, names and attributes of the sections, and what is in them. Both
// may be anything that a peer has sent.
func Compare(a, b []byte) Comparison {
	if bytes.Equal(a, b) {
		return Comparison{Same: true, Equal: true}
	}
	x, errX := elf.NewFile(bytes.NewReader(a))
	y, errY := elf.NewFile(bytes.NewReader(b))
	if err := errors.Join(errX, errY); err != nil {
		return Comparison{Sections: []string{"bytes of what is no object"}}
	}
	var c Comparison
	if !bytes.Equal(header(x, a), header(y, b)) {
		c.Sections = append(c.Sections, "ELF header")
	}
	for i := range max(len(x.Sections), len(y.Sections)) {
		switch {
		case i >= len(x.Sections):
			c.Sections = append(c.Sections, y.Sections[i].Name)
		case i >= len(y.Sections):
			c.Sections = append(c.Sections, x.Sections[i].Name)
		default:
			c.section(x.Sections[i], y.Sections[i], a, b)
		}
	}
	slices.SortFunc(c.Sections, func(a, b string) int { // code first: it tells most
		return cmp.Or(cmp.Compare(btoi(!strings.HasPrefix(a, ".text")), btoi(!strings.HasPrefix(b, ".text"))), cmp.Compare(a, b))
	})
	c.Sections = slices.Compact(c.Sections)
	c.Equal = len(c.Sections) == 0
	c.Functions = functions(x, y, a, b)
	return c
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// header is what an ELF header says besides where things lie.
func header(f *elf.File, content []byte) []byte {
	flags := 0x24
	if f.Class == elf.ELFCLASS64 {
		flags = 0x30
	}
	if len(content) < flags+4 {
		return nil
	}
	return fmt.Appendf(nil, "%v %v %x", f.FileHeader, len(f.Progs), content[flags:flags+4])
}

// section compares two sections that stand at one place.
func (c *Comparison) section(x, y *elf.Section, a, b []byte) {
	p, q := x.SectionHeader, y.SectionHeader
	p.Offset, q.Offset = 0, 0
	if x.Name == comment && y.Name == comment {
		p.Size, q.Size, p.FileSize, q.FileSize = 0, 0, 0, 0
		if p == q {
			return
		}
	}
	dataX, okX := raw(x, a)
	dataY, okY := raw(y, b)
	if p != q || !okX || !okY || !bytes.Equal(dataX, dataY) {
		name := x.Name
		if name != y.Name {
			name += " and " + y.Name
		}
		c.Sections = append(c.Sections, name)
	}
}

// raw is a section's content as it stands in the file, compressed or not: what a
// peer sends is not unpacked.
func raw(s *elf.Section, content []byte) ([]byte, bool) {
	if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
		return nil, true
	}
	end := s.Offset + s.FileSize
	if end < s.Offset || end > uint64(len(content)) {
		return nil, false
	}
	return content[s.Offset:end], true
}

// functions are the symbols with a size whose bytes differ or that one side
// lacks. Where code moved within a section others may be among them.
func functions(x, y *elf.File, a, b []byte) []string {
	here, there := symbols(x, a), symbols(y, b)
	var names []string
	for name, content := range here {
		if other, ok := there[name]; !ok || !bytes.Equal(content, other) {
			names = append(names, name)
		}
	}
	for name := range there {
		if _, ok := here[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// symbols maps each symbol with a size to its bytes.
func symbols(f *elf.File, content []byte) map[string][]byte {
	list, err := f.Symbols()
	if err != nil {
		return nil
	}
	out := map[string][]byte{}
	for _, s := range list {
		if s.Size == 0 || s.Name == "" || int(s.Section) >= len(f.Sections) {
			continue
		}
		data, ok := raw(f.Sections[s.Section], content)
		from := s.Value
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && f.Machine == elf.EM_ARM {
			from &^= 1 // Thumb
		}
		if end := from + s.Size; ok && end >= from && end <= uint64(len(data)) {
			out[s.Name] = data[from:end]
		}
	}
	return out
}

// macros are the strings of an object's debug information but those that name the
// compiler and its command line: with -g3 each macro is one.
func macros(object []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("macros of an object: %w", err)
	}
	var list []string
	size := ""
	for _, s := range f.Sections {
		if s.Name != ".debug_str" && s.Name != ".debug_macinfo" && s.Name != ".debug_macro" {
			continue
		}
		data, ok := raw(s, object)
		if !ok || s.Flags&elf.SHF_COMPRESSED != 0 {
			return nil, fmt.Errorf("macros of an object: section %s can't be read", s.Name)
		}
		if s.Name == ".debug_macro" {
			size = fmt.Sprintf("%d bytes of macros", len(data))
			continue
		}
		for word := range strings.SplitSeq(string(data), "\x00") {
			if !strings.HasPrefix(word, "GNU ") && !strings.Contains(word, "clang version") && word != "" {
				list = append(list, word)
			}
		}
	}
	slices.Sort(list)
	return append(list, size), nil // a macro that is named tells more
}
