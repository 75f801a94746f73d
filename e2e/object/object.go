// Package object compares object files by what a program made of them would do.
// The end-to-end tests and the demo use it where two objects may differ in debug
// info but in nothing else. Start with SameCode.
package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Kind names the machine and the class of an ELF file as readelf's reader would
// say them in short: "aarch64", "riscv", "x86_64", "386"; 32 or 64.
func Kind(path string) (machine string, class int, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	class = 64
	if f.Class == elf.ELFCLASS32 {
		class = 32
	}
	return strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_")), class, nil
}

// SameCode says where the code or data of two relocatable ELF files differ: the
// sections that are loaded, what relocates them, and the symbols defined in
// them or wanted by them. Debug info and notes on the compiler may differ.
func SameCode(a, b string) error {
	x, err := os.ReadFile(a)
	if err != nil {
		return err
	}
	y, err := os.ReadFile(b)
	if err != nil {
		return err
	}
	return SameCodeOf(a, x, b, y)
}

// SameCodeOf is SameCode of files that were read already; a and b are their names
// for the error.
func SameCodeOf(a string, x []byte, b string, y []byte) error {
	want, err := readParts(a, x)
	if err != nil {
		return err
	}
	have, err := readParts(b, y)
	if err != nil {
		return err
	}
	if len(want) == 0 {
		return fmt.Errorf("%s has no code and no data", a)
	}
	for i := range max(len(want), len(have)) {
		switch {
		case i >= len(have):
			return fmt.Errorf("%s has %s, %s has not", a, want[i].name, b)
		case i >= len(want):
			return fmt.Errorf("%s has %s, %s has not", b, have[i].name, a)
		case want[i].name != have[i].name:
			return fmt.Errorf("%s has %s where %s has %s", a, want[i].name, b, have[i].name)
		case !bytes.Equal(want[i].content, have[i].content):
			return fmt.Errorf("%s of %s and %s differ", want[i].name, a, b)
		}
	}
	return nil
}

// A part is one piece of an object that counts, in a form that compares by bytes.
type part struct {
	name    string
	content []byte
}

func readParts(path string, content []byte) ([]part, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := reader{f: f, symbols: symbols}
	parts, err := r.sections()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return append(parts, part{"symbol table", r.symbolTable()}), nil
}

// A reader makes parts of one open object.
type reader struct {
	f       *elf.File
	symbols []elf.Symbol // without the null symbol that the file begins with
}

// sections are those that are loaded, each followed by its relocations.
func (r reader) sections() ([]part, error) {
	var parts []part
	for _, s := range r.f.Sections {
		switch {
		case s.Flags&elf.SHF_ALLOC != 0:
			text := fmt.Appendf(nil, "%v %v align %d size %d\n", s.Type, s.Flags, s.Addralign, s.Size)
			if s.Type != elf.SHT_NOBITS {
				data, err := s.Data()
				if err != nil {
					return nil, fmt.Errorf("section %s: %w", s.Name, err)
				}
				text = append(text, data...)
			}
			parts = append(parts, part{"section " + s.Name, text})
		case r.relocatesLoaded(s):
			text, err := r.relocations(s)
			if err != nil {
				return nil, fmt.Errorf("section %s: %w", s.Name, err)
			}
			parts = append(parts, part{"section " + s.Name, text})
		}
	}
	return parts, nil
}

func (r reader) relocatesLoaded(s *elf.Section) bool {
	if s.Type != elf.SHT_REL && s.Type != elf.SHT_RELA {
		return false
	}
	return int(s.Info) < len(r.f.Sections) && r.f.Sections[s.Info].Flags&elf.SHF_ALLOC != 0
}

// relocations writes one line for each: symbols by what they stand for, since
// their numbers change with debug info.
func (r reader) relocations(s *elf.Section) ([]byte, error) {
	data, err := s.Data()
	if err != nil {
		return nil, err
	}
	word := 8
	if r.f.Class == elf.ELFCLASS32 {
		word = 4
	}
	size := word * 2
	if s.Type == elf.SHT_RELA {
		size += word
	}
	var text []byte
	for entry := range slices.Chunk(data, size) {
		if len(entry) < size {
			return nil, errors.New("cut short")
		}
		var fields [3]uint64
		for i := range size / word {
			fields[i] = uint64At(r.f.ByteOrder, entry[i*word:(i+1)*word])
		}
		kind, symbol := fields[1]&0xffffffff, fields[1]>>32
		if word == 4 {
			kind, symbol = fields[1]&0xff, fields[1]>>8
		}
		text = fmt.Appendf(text, "%x type %d %s + %x\n", fields[0], kind, r.symbolNumber(symbol), fields[2])
	}
	return text, nil
}

func uint64At(order binary.ByteOrder, b []byte) uint64 {
	if len(b) == 4 {
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

func (r reader) symbolNumber(n uint64) string {
	if n == 0 || n > uint64(len(r.symbols)) {
		return "no symbol"
	}
	return r.symbol(r.symbols[n-1])
}

// symbol says what a symbol stands for: local labels by place, all others by
// name as well.
func (r reader) symbol(s elf.Symbol) string {
	section := s.Section.String()
	if int(s.Section) < len(r.f.Sections) && s.Section != elf.SHN_UNDEF {
		section = r.f.Sections[s.Section].Name
	}
	name := s.Name
	if isLabel(s) {
		name = ""
	}
	return fmt.Sprintf("%q %s+%x size %d info %x other %x", name, section, s.Value, s.Size, s.Info, s.Other)
}

// symbolTable is every symbol that code or data define or want. Labels are left
// out: line tables make them, and what uses them says where they are.
func (r reader) symbolTable() []byte {
	var lines []string
	for _, s := range r.symbols {
		loaded := int(s.Section) >= len(r.f.Sections) || s.Section == elf.SHN_UNDEF ||
			r.f.Sections[s.Section].Flags&elf.SHF_ALLOC != 0
		if loaded && !isLabel(s) {
			lines = append(lines, r.symbol(s))
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// isLabel reports whether s is a compiler's local label, as RISC-V objects keep
// them: their number follows the line table.
func isLabel(s elf.Symbol) bool {
	return elf.ST_BIND(s.Info) == elf.STB_LOCAL && strings.HasPrefix(s.Name, ".L")
}
