package triple

import (
	"debug/elf"
	"strings"
)

// An arch is what we know of one family of architectures: how its objects are
// marked, and by which words a compiler moves within the family.
type arch struct {
	Names []string       // canonical names; one that ends in '*' is a prefix
	LLVM  string         // name in clang's --print-targets; "" when LLVM has none
	ELF   [2]elf.Machine // machine of 32-bit and of 64-bit objects; EM_NONE: there are none
	Bits  int            // 32 or 64: class of its objects when no word says otherwise
	Big   bool           // big-endian when no word says otherwise
	Swaps bool           // has words for the other byte order
	March bool           // its names differ in the default -march only
	COFF  uint16         // IMAGE_FILE_MACHINE_*; 0: none
	MachO uint32         // CPU_TYPE_*; 0: none
	Notes string
}

// arches is searched from the top: a name before the prefix that covers it.
var arches = [...]arch{
	{Names: []string{"x86_64"}, LLVM: "x86-64", ELF: [2]elf.Machine{elf.EM_386, elf.EM_X86_64}, Bits: 64, COFF: 0x8664, MachO: 0x01000007,
		Notes: "-m32 makes i386 objects, -mx32 32-bit objects of machine x86_64"},
	{Names: []string{"i386", "i486", "i586", "i686"}, LLVM: "x86", ELF: [2]elf.Machine{elf.EM_386, elf.EM_X86_64}, Bits: 32, March: true, COFF: 0x14c, MachO: 7,
		Notes: "a bi-arch i686 gcc takes -m64"},
	{Names: []string{"aarch64"}, LLVM: "aarch64", ELF: [2]elf.Machine{elf.EM_AARCH64, elf.EM_AARCH64}, Bits: 64, Swaps: true, COFF: 0xaa64, MachO: 0x0100000c,
		Notes: "32-bit with -mabi=ilp32"},
	{Names: []string{"aarch64_be"}, LLVM: "aarch64_be", ELF: [2]elf.Machine{elf.EM_AARCH64, elf.EM_AARCH64}, Bits: 64, Big: true, Swaps: true,
		Notes: "what -mbig-endian makes, by default"},
	{Names: []string{"aarch64_32", "arm64_32"}, LLVM: "aarch64_32", ELF: [2]elf.Machine{elf.EM_AARCH64, 0}, Bits: 32, MachO: 0x0200000c,
		Notes: "Apple's watches"},
	{Names: []string{"armeb*", "thumbeb*"}, LLVM: "armeb", ELF: [2]elf.Machine{elf.EM_ARM, 0}, Bits: 32, Big: true, Swaps: true, March: true,
		Notes: "big-endian ARM, any version behind the name"},
	{Names: []string{"arm", "armv*", "thumb", "thumbv*"}, LLVM: "arm", ELF: [2]elf.Machine{elf.EM_ARM, 0}, Bits: 32, Swaps: true, March: true, COFF: 0x1c4, MachO: 12,
		Notes: "armv6l, armv7a, thumbv7em differ in default -march only"},
	{Names: []string{"riscv64*"}, LLVM: "riscv64", ELF: [2]elf.Machine{elf.EM_RISCV, elf.EM_RISCV}, Bits: 64,
		Notes: "riscv64gc is Rust's spelling; -mabi=ilp32… makes 32-bit objects"},
	{Names: []string{"riscv32*", "riscv"}, LLVM: "riscv32", ELF: [2]elf.Machine{elf.EM_RISCV, elf.EM_RISCV}, Bits: 32,
		Notes: "riscv-none-elf (xPack) is multilib with 32 bits by default"},
	{Names: []string{"powerpc64le"}, LLVM: "ppc64le", ELF: [2]elf.Machine{elf.EM_PPC, elf.EM_PPC64}, Bits: 64, Swaps: true,
		Notes: "-mbig turns it round"},
	{Names: []string{"powerpc64"}, LLVM: "ppc64", ELF: [2]elf.Machine{elf.EM_PPC, elf.EM_PPC64}, Bits: 64, Big: true, Swaps: true, MachO: 0x01000012,
		Notes: "-m32 makes powerpc objects"},
	{Names: []string{"powerpc"}, LLVM: "ppc32", ELF: [2]elf.Machine{elf.EM_PPC, elf.EM_PPC64}, Bits: 32, Big: true, Swaps: true, MachO: 0x12,
		Notes: "SPE (gnuspe) has the same machine"},
	{Names: []string{"powerpcle"}, LLVM: "ppc32le", ELF: [2]elf.Machine{elf.EM_PPC, elf.EM_PPC64}, Bits: 32, Swaps: true,
		Notes: "boot loaders"},
	{Names: []string{"s390x"}, LLVM: "systemz", ELF: [2]elf.Machine{elf.EM_S390, elf.EM_S390}, Bits: 64, Big: true,
		Notes: "one machine for both classes; -m31 makes 32-bit objects"},
	{Names: []string{"s390"}, ELF: [2]elf.Machine{elf.EM_S390, elf.EM_S390}, Bits: 32, Big: true,
		Notes: "31-bit; LLVM never had it"},
	{Names: []string{"mips64el", "mipsisa64*el"}, LLVM: "mips64el", ELF: [2]elf.Machine{elf.EM_MIPS, elf.EM_MIPS}, Bits: 64, Swaps: true,
		Notes: "Debian's mips64el; gnuabin32 in the name or -mabi=n32 makes 32-bit objects"},
	{Names: []string{"mips64", "mipsisa64*"}, LLVM: "mips64", ELF: [2]elf.Machine{elf.EM_MIPS, elf.EM_MIPS}, Bits: 64, Big: true, Swaps: true,
		Notes: "big-endian; the ABI decides the class"},
	{Names: []string{"mipsel", "mipsisa32*el"}, LLVM: "mipsel", ELF: [2]elf.Machine{elf.EM_MIPS, elf.EM_MIPS}, Bits: 32, Swaps: true,
		Notes: "OpenWrt and Debian's mipsel"},
	{Names: []string{"mips", "mipsisa32*"}, LLVM: "mips", ELF: [2]elf.Machine{elf.EM_MIPS, elf.EM_MIPS}, Bits: 32, Big: true, Swaps: true,
		Notes: "big-endian unless -EL"},
	{Names: []string{"loongarch64"}, LLVM: "loongarch64", ELF: [2]elf.Machine{elf.EM_LOONGARCH, elf.EM_LOONGARCH}, Bits: 64,
		Notes: "-mabi=ilp32… makes 32-bit objects"},
	{Names: []string{"sparc64"}, LLVM: "sparcv9", ELF: [2]elf.Machine{elf.EM_SPARC, elf.EM_SPARCV9}, Bits: 64, Big: true,
		Notes: "-m32 makes sparc objects"},
	{Names: []string{"sparc"}, LLVM: "sparc", ELF: [2]elf.Machine{elf.EM_SPARC, elf.EM_SPARCV9}, Bits: 32, Big: true,
		Notes: "v8+ (SPARC32PLUS) by -mcpu, which is taken for the same machine"},
	{Names: []string{"hppa"}, ELF: [2]elf.Machine{elf.EM_PARISC, 0}, Bits: 32, Big: true, Notes: "Debian port"},
	{Names: []string{"hppa64"}, ELF: [2]elf.Machine{0, elf.EM_PARISC}, Bits: 64, Big: true, Notes: "kernels only"},
	{Names: []string{"m68k"}, LLVM: "m68k", ELF: [2]elf.Machine{elf.EM_68K, 0}, Bits: 32, Big: true, Notes: "Debian port"},
	{Names: []string{"sh4"}, ELF: [2]elf.Machine{elf.EM_SH, 0}, Bits: 32, Swaps: true, Notes: "Debian port; -mb turns it round"},
	{Names: []string{"alpha*"}, ELF: [2]elf.Machine{0, elf.EM_ALPHA}, Bits: 64, Notes: "Debian port; alphaev56 and kin with it"},
	{Names: []string{"ia64"}, ELF: [2]elf.Machine{0, elf.EM_IA_64}, Bits: 64, Notes: "gcc up to 14"},
	{Names: []string{"avr"}, LLVM: "avr", ELF: [2]elf.Machine{elf.EM_AVR, 0}, Bits: 32, Notes: "gcc-avr"},
	{Names: []string{"msp430"}, LLVM: "msp430", ELF: [2]elf.Machine{elf.EM_MSP430, 0}, Bits: 32, Notes: "gcc-msp430"},
	{Names: []string{"xtensa"}, ELF: [2]elf.Machine{elf.EM_XTENSA, 0}, Bits: 32, Notes: "ESP chips, little-endian (lx106, esp32)"},
	{Names: []string{"or1k"}, ELF: [2]elf.Machine{elf.EM_OPENRISC, 0}, Bits: 32, Big: true, Notes: "Debian has a cross gcc's parts"},
	{Names: []string{"bpf", "bpfel"}, LLVM: "bpf", ELF: [2]elf.Machine{0, elf.EM_BPF}, Bits: 64, Notes: "clang's bpf follows its host; all hosts with users are little-endian"},
	{Names: []string{"wasm32", "wasm64"}, LLVM: "wasm32", Notes: "no ELF: WebAssembly's own format"},
}

// archOf finds the row of a canonical architecture name; nil when there is none.
func archOf(name string) *arch {
	for i := range arches {
		for _, pattern := range arches[i].Names {
			if matchName(pattern, name) {
				return &arches[i]
			}
		}
	}
	return nil
}

// matchName compares a name with a pattern of at most one '*'.
func matchName(pattern, name string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	return len(name) >= len(head)+len(tail) && strings.HasPrefix(name, head) && strings.HasSuffix(name, tail)
}
