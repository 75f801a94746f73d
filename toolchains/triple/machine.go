package triple

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
)

// A Format is a kind of object file.
type Format string

const (
	ELF     Format = "ELF"
	COFF    Format = "COFF"
	MachO   Format = "Mach-O"
	Wasm    Format = "WebAssembly"
	Bitcode Format = "LLVM bitcode" // what clang makes with -flto or -emit-llvm, for any target
)

// A Machine is the kind of object that a target has. It is comparable. The
// zero Machine with Format Bitcode checks for bitcode.
type Machine struct {
	Format Format
	Code   uint32 // ELF e_machine, COFF machine or Mach-O cputype; 0 for the others
	Bits   int    // 32 or 64
	Big    bool   // big-endian
	Target string // canonical triple, for messages
}

// HeadSize is how many bytes of a file's beginning Check looks at.
const HeadSize = 20

// Machine tells what objects a compiler for this target makes when called with
// words, those that select a target, machine or ABI (argv's TargetWords). The
// last --target or -arch among them replaces the triple. It is false where we
// do not know, and then nothing can be checked.
func (t Triple) Machine(words []string) (Machine, bool) {
	t = targeted(t, words)
	t.Arch = canonicalArch(t.Arch)
	a := archOf(t.Arch)
	if a == nil {
		return Machine{}, false
	}
	m := Machine{Format: t.format(), Bits: a.Bits, Big: a.Big, Target: t.Canonical()}
	switch t.Env { // names in which the ABI changes the class
	case "gnux32", "muslx32", "gnuabin32", "muslabin32", "gnu_ilp32", "gnuilp32":
		m.Bits = 32
	case "gnuabi64", "muslabi64":
		m.Bits = 64
	}
	code := m.Bits
	if strings.HasSuffix(t.Env, "x32") {
		code = 64
	}
	for _, w := range words {
		if !m.word(a, w, &code) {
			return Machine{}, false
		}
	}
	ok := m.setCode(a, code)
	return m, ok
}

// word applies one word; code is the class that the machine's number is of,
// which only x32 tells from the object's class. False: we can't say any more.
func (m *Machine) word(a *arch, w string, code *int) bool {
	both := func(bits int) bool { m.Bits, *code = bits, bits; return true }
	switch w {
	case "-m64":
		return both(64)
	case "-m32", "-m31", "-m16":
		return both(32)
	case "-mx32":
		m.Bits, *code = 32, 64
	case "-miamcu":
		return false // another machine number
	case "-mbig-endian", "-mbig", "-EB", "-meb", "-mb":
		m.Big = m.Big || a.Swaps
	case "-mlittle-endian", "-mlittle", "-EL", "-mel", "-ml":
		m.Big = m.Big && !a.Swaps
	}
	abi, ok := strings.CutPrefix(w, "-mabi=")
	switch {
	case !ok:
	case strings.HasPrefix(abi, "ilp32"), abi == "32", abi == "o32", abi == "n32", abi == "o64":
		return both(32)
	case strings.HasPrefix(abi, "lp64"), abi == "64", abi == "n64":
		return both(64)
	case abi == "eabi" && a.ELF[0] == elf.EM_MIPS:
		return false // 32 or 64 by the processor
	}
	return true
}

// setCode fills in the machine's number for the format, and reports whether
// there is one.
func (m *Machine) setCode(a *arch, class int) bool {
	switch m.Format {
	case ELF:
		m.Code = uint32(a.ELF[class/64])
	case COFF:
		m.Code = uint32(a.COFF)
	case MachO:
		m.Code = a.MachO
	case Wasm:
		return true
	}
	// COFF and Mach-O rows are of one class: -m32 and -m64 lead to another row.
	if m.Format != ELF && m.Bits != a.Bits {
		return m.otherRow(a)
	}
	return m.Code != 0
}

// otherRow takes the number of x86's other class; no other family has two rows
// in these formats.
func (m *Machine) otherRow(a *arch) bool {
	name := map[int]string{32: "i686", 64: "x86_64"}[m.Bits]
	if a.ELF[1] != elf.EM_X86_64 {
		return false
	}
	return m.setCode(archOf(name), m.Bits)
}

// targeted is t, or what the words put in its place.
func targeted(t Triple, words []string) Triple {
	for i, w := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		value, ok := strings.CutPrefix(w, "--target=")
		switch {
		case ok:
		case w == "-target" || w == "--target":
			value, ok = next, true
		case w == "-arch":
			t.Arch = next
		}
		if ok {
			t, _ = Parse(value) // no triple: the zero Triple, known to no row
		}
	}
	return t
}

func (t Triple) format() Format {
	switch {
	case strings.HasPrefix(t.Arch, "wasm"):
		return Wasm
	case matchAny([]string{"mingw32*", "mingw64*", "windows*", "cygwin*", "msys*", "uefi"}, t.OS):
		return COFF
	case matchAny([]string{"darwin*", "macos*", "ios*", "tvos*", "watchos*", "xros*"}, t.OS):
		return MachO
	case matchAny([]string{"aix*"}, t.OS) || t.Env == "coff":
		return "" // XCOFF and old COFF: not known to us
	}
	return ELF
}

// Check tells whether head, the first HeadSize bytes of a file or all of a
// shorter one, begins an object file of this machine. The error names what it
// is and what it should be.
func (m Machine) Check(head []byte) error {
	got, kind := readHead(head)
	got.Target = m.Target
	if got == m && kind == "object" {
		return nil
	}
	if got.Format == Wasm && m.Format == Wasm { // the beginning does not tell 32 from 64
		return nil
	}
	return fmt.Errorf("%s is %s, target %s wants %s", kind, got.describe(head), m.Target, m.describe(nil))
}

// Read is the machine of an object or a linked program with this beginning, of at
// least HeadSize bytes; the zero Machine when it is neither.
func Read(head []byte) Machine {
	m, _ := readHead(head)
	return m
}

// readHead reads what the beginning of a file says; kind is "object", or
// another word for what it is instead.
func readHead(b []byte) (Machine, string) {
	switch {
	case bytes.HasPrefix(b, []byte(elf.ELFMAG)) && len(b) >= HeadSize:
		return readELF(b)
	case bytes.HasPrefix(b, []byte("BC\xc0\xde")), bytes.HasPrefix(b, []byte("\xde\xc0\x17\x0b")):
		return Machine{Format: Bitcode}, "object"
	case bytes.HasPrefix(b, []byte("\x00asm")):
		return Machine{Format: Wasm}, "object"
	case len(b) < HeadSize:
		return Machine{}, "file"
	}
	switch binary.LittleEndian.Uint32(b) {
	case 0xfeedface:
		return Machine{Format: MachO, Code: binary.LittleEndian.Uint32(b[4:]), Bits: 32}, "object"
	case 0xfeedfacf:
		return Machine{Format: MachO, Code: binary.LittleEndian.Uint32(b[4:]), Bits: 64}, "object"
	case 0xcefaedfe: // a big-endian file: PowerPC's
		return Machine{Format: MachO, Code: binary.BigEndian.Uint32(b[4:]), Bits: 32, Big: true}, "object"
	case 0xcffaedfe:
		return Machine{Format: MachO, Code: binary.BigEndian.Uint32(b[4:]), Bits: 64, Big: true}, "object"
	case 0xffff0000: // "big" COFF of /bigobj: the machine stands behind the version
		return readCOFF(binary.LittleEndian.Uint16(b[6:]))
	}
	return readCOFF(binary.LittleEndian.Uint16(b))
}

func readELF(b []byte) (Machine, string) {
	m := Machine{Format: ELF, Bits: 32 * int(b[elf.EI_CLASS]), Big: b[elf.EI_DATA] == byte(elf.ELFDATA2MSB)}
	var order binary.ByteOrder = binary.LittleEndian
	if m.Big {
		order = binary.BigEndian
	}
	if m.Code = uint32(order.Uint16(b[18:])); m.Code == uint32(elf.EM_SPARC32PLUS) {
		m.Code = uint32(elf.EM_SPARC) // by -mcpu
	}
	switch elf.Type(order.Uint16(b[16:])) {
	case elf.ET_REL:
		return m, "object"
	case elf.ET_DYN, elf.ET_EXEC:
		return m, "linked program"
	}
	return m, "ELF file of another type"
}

// readCOFF knows a COFF object only by its machine: the format has no magic.
func readCOFF(machine uint16) (Machine, string) {
	for _, a := range arches {
		if a.COFF != 0 && a.COFF == machine {
			return Machine{Format: COFF, Code: uint32(machine), Bits: a.Bits}, "object"
		}
	}
	return Machine{}, "file"
}

// String names a machine: "aarch64 (64-bit)".
func (m Machine) String() string { return m.describe(nil) }

// describe names a machine: "aarch64 (64-bit)". head is shown where the format
// is not known.
func (m Machine) describe(head []byte) string {
	switch m.Format {
	case "":
		return fmt.Sprintf("of an unknown format (%d bytes, begins with %q)", len(head), head[:min(4, len(head))])
	case Bitcode, Wasm:
		return string(m.Format)
	}
	order := ""
	if m.Big {
		order = ", big-endian"
	}
	if m.Format == ELF {
		name := strings.ToLower(strings.TrimPrefix(elf.Machine(m.Code).String(), "EM_"))
		if name == "386" {
			name = "i386"
		}
		return fmt.Sprintf("%s (%d-bit%s)", name, m.Bits, order)
	}
	return fmt.Sprintf("%s machine %#x (%d-bit%s)", m.Format, m.Code, m.Bits, order)
}
