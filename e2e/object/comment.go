package object

import (
	"bytes"
	"debug/elf"
	"fmt"
)

// comment is where a compiler says who it is. Two revisions that make the same
// objects differ in it and, since it has a length, in what is where in the file.
const comment = ".comment"

// ButComment says where two relocatable ELF files differ in anything but
// .comment and the places of sections in the file. a and b are their names for
// the error.
func ButComment(a string, x []byte, b string, y []byte) error {
	if bytes.Equal(x, y) {
		return nil
	}
	f, err := elf.NewFile(bytes.NewReader(x))
	if err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	g, err := elf.NewFile(bytes.NewReader(y))
	if err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	if f.FileHeader != g.FileHeader || !bytes.Equal(flagsOf(x), flagsOf(y)) {
		return fmt.Errorf("the ELF headers of %s and %s differ: %+v, %+v", a, b, f.FileHeader, g.FileHeader)
	}
	if len(f.Sections) != len(g.Sections) {
		return fmt.Errorf("%s has %d sections, %s has %d", a, len(f.Sections), b, len(g.Sections))
	}
	for i, s := range f.Sections {
		if err := sameSection(x, s, y, g.Sections[i]); err != nil {
			return fmt.Errorf("%s and %s: %w", a, b, err)
		}
	}
	return nil
}

// sameSection compares the bytes as they lie in the files, compressed or not.
func sameSection(x []byte, s *elf.Section, y []byte, t *elf.Section) error {
	if s.Name != t.Name {
		return fmt.Errorf("%s stands where %s does", s.Name, t.Name)
	}
	if s.Name == comment {
		return nil
	}
	one, other := s.SectionHeader, t.SectionHeader
	one.Offset, other.Offset = 0, 0
	if one != other {
		return fmt.Errorf("the headers of %s differ: %+v, %+v", s.Name, one, other)
	}
	if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
		return nil
	}
	if max(s.Offset, t.Offset)+s.FileSize > uint64(min(len(x), len(y))) {
		return fmt.Errorf("%s is cut short", s.Name)
	}
	if !bytes.Equal(x[s.Offset:s.Offset+s.FileSize], y[t.Offset:t.Offset+t.FileSize]) {
		return fmt.Errorf("%s differs", s.Name)
	}
	return nil
}

// flagsOf is e_flags, which debug/elf does not tell: the ABI, on many machines.
func flagsOf(x []byte) []byte {
	at := 48
	if x[elf.EI_CLASS] == byte(elf.ELFCLASS32) {
		at = 36
	}
	return x[at : at+4]
}
