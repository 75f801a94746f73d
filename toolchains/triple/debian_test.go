package triple

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// debianCompilers are the compilers that Debian 12 has for the rows of the table,
// as `make e2e-targets` found them: what each answers to -dumpmachine, words, the
// canonical target, and the kind of its object. Rows without one are in notMade.
var debianCompilers = []struct{ dump, words, canonical, object string }{
	{"x86_64-linux-gnu", "", "x86_64-linux-gnu", "x86_64 (64-bit)"},
	{"x86_64-linux-gnu", "-m32", "x86_64-linux-gnu", "i386 (32-bit)"},
	{"x86_64-linux-gnu", "-mx32", "x86_64-linux-gnu", "x86_64 (32-bit)"},
	{"x86_64-linux-gnux32", "", "x86_64-linux-gnux32", "x86_64 (32-bit)"},
	{"x86_64-w64-mingw32", "", "x86_64-w64-mingw32", "COFF machine 0x8664 (64-bit)"},
	{"i686-w64-mingw32", "", "i686-w64-mingw32", "COFF machine 0x14c (32-bit)"},
	{"i686-linux-gnu", "", "i686-linux-gnu", "i386 (32-bit)"},
	{"i686-linux-gnu", "-m64", "i686-linux-gnu", "x86_64 (64-bit)"},
	{"aarch64-linux-gnu", "", "aarch64-linux-gnu", "aarch64 (64-bit)"},
	{"aarch64-linux-gnu", "-mbig-endian", "aarch64-linux-gnu", "aarch64 (64-bit, big-endian)"},
	{"aarch64-linux-gnu", "-mabi=ilp32", "aarch64-linux-gnu", "aarch64 (32-bit)"},
	{"arm-linux-gnueabihf", "", "arm-linux-gnueabihf", "arm (32-bit)"},
	{"arm-linux-gnueabihf", "-mbig-endian", "arm-linux-gnueabihf", "arm (32-bit, big-endian)"},
	{"arm-linux-gnueabi", "", "arm-linux-gnueabi", "arm (32-bit)"},
	{"arm-none-eabi", "", "arm-none-eabi", "arm (32-bit)"},
	{"riscv64-linux-gnu", "", "riscv64-linux-gnu", "riscv (64-bit)"},
	{"riscv64-unknown-elf", "", "riscv64-none-elf", "riscv (64-bit)"},
	{"riscv64-unknown-elf", "-march=rv32imac -mabi=ilp32", "riscv64-none-elf", "riscv (32-bit)"},
	{"powerpc64le-linux-gnu", "", "powerpc64le-linux-gnu", "ppc64 (64-bit)"},
	{"powerpc64-linux-gnu", "", "powerpc64-linux-gnu", "ppc64 (64-bit, big-endian)"},
	{"powerpc64-linux-gnu", "-m32", "powerpc64-linux-gnu", "ppc (32-bit, big-endian)"},
	{"powerpc-linux-gnu", "", "powerpc-linux-gnu", "ppc (32-bit, big-endian)"},
	{"s390x-linux-gnu", "", "s390x-linux-gnu", "s390 (64-bit, big-endian)"},
	{"s390x-linux-gnu", "-m31", "s390x-linux-gnu", "s390 (32-bit, big-endian)"},
	{"mips64el-linux-gnuabi64", "", "mips64el-linux-gnuabi64", "mips (64-bit)"},
	{"mips64el-linux-gnuabi64", "-mabi=n32", "mips64el-linux-gnuabi64", "mips (32-bit)"},
	{"mips64-linux-gnuabi64", "", "mips64-linux-gnuabi64", "mips (64-bit, big-endian)"},
	{"mipsel-linux-gnu", "", "mipsel-linux-gnu", "mips (32-bit)"},
	{"mips-linux-gnu", "", "mips-linux-gnu", "mips (32-bit, big-endian)"},
	{"mips-linux-gnu", "-EL", "mips-linux-gnu", "mips (32-bit)"},
	{"mipsisa32r6-linux-gnu", "", "mipsisa32r6-linux-gnu", "mips (32-bit, big-endian)"},
	{"mipsisa32r6el-linux-gnu", "", "mipsisa32r6el-linux-gnu", "mips (32-bit)"},
	{"mipsisa64r6-linux-gnuabi64", "", "mipsisa64r6-linux-gnuabi64", "mips (64-bit, big-endian)"},
	{"mipsisa64r6el-linux-gnuabi64", "", "mipsisa64r6el-linux-gnuabi64", "mips (64-bit)"},
	{"sparc64-linux-gnu", "", "sparc64-linux-gnu", "sparcv9 (64-bit, big-endian)"},
	{"sparc64-linux-gnu", "-m32", "sparc64-linux-gnu", "sparc (32-bit, big-endian)"},
	{"hppa-linux-gnu", "", "hppa-linux-gnu", "parisc (32-bit, big-endian)"},
	{"hppa64-linux-gnu", "", "hppa64-linux-gnu", "parisc (64-bit, big-endian)"},
	{"m68k-linux-gnu", "", "m68k-linux-gnu", "68k (32-bit, big-endian)"},
	{"sh4-linux-gnu", "", "sh4-linux-gnu", "sh (32-bit)"},
	{"sh4-linux-gnu", "-mb", "sh4-linux-gnu", "sh (32-bit, big-endian)"},
	{"alpha-linux-gnu", "", "alpha-linux-gnu", "alpha (64-bit)"},
	{"avr", "", "avr", "avr (32-bit)"},
	{"xtensa-lx106-elf", "", "xtensa-lx106-elf", "xtensa (32-bit)"},
	{"or1k-elf", "", "or1k-none-elf", "openrisc (32-bit, big-endian)"},
	{"bpf", "", "bpf", "bpf (64-bit)"},
	// clang 14's names.
	{"aarch64_be-unknown-linux-gnu", "", "aarch64_be-linux-gnu", "aarch64 (64-bit, big-endian)"},
	{"arm64_32-apple-watchos", "", "arm64_32-apple-watchos", "Mach-O machine 0x200000c (32-bit)"},
	{"armeb-unknown-linux-gnueabi", "", "armeb-linux-gnueabi", "arm (32-bit, big-endian)"},
	{"armv7a-unknown-linux-gnueabihf", "", "armv7a-linux-gnueabihf", "arm (32-bit)"},
	{"riscv32-unknown-unknown-elf", "", "riscv32-none-elf", "riscv (32-bit)"},
	{"powerpcle-unknown-linux-gnu", "", "powerpcle-linux-gnu", "ppc (32-bit)"},
	{"sparc-unknown-linux-gnu", "", "sparc-linux-gnu", "sparc (32-bit, big-endian)"},
	{"msp430", "", "msp430", "msp430 (32-bit)"},
	{"wasm32-unknown-unknown", "", "wasm32", "WebAssembly"},
}

// notMade are the rows that no compiler of Debian 12 makes objects for.
var notMade = []string{"s390", "loongarch64", "ia64"}

func TestEachRowHasCompiler(t *testing.T) {
	used := make(map[*arch]bool)
	for _, name := range notMade {
		used[archOf(name)] = true
	}
	for _, c := range debianCompilers {
		triple, err := Parse(c.dump)
		if err != nil {
			t.Fatal(err)
		}
		used[archOf(canonicalArch(triple.Arch))] = true
		if got := triple.Canonical(); got != c.canonical {
			t.Errorf("%s is %s, want %s", c.dump, got, c.canonical)
		}
		if m, ok := triple.Machine(strings.Fields(c.words)); !ok || m.String() != c.object {
			t.Errorf("%s %s makes %v, %t, want %s", c.dump, c.words, m, ok, c.object)
		}
	}
	for i := range arches {
		if !used[&arches[i]] {
			t.Errorf("no compiler is named for the row of %v", arches[i].Names)
		}
	}
}

// Each gcc on this machine has the target that its name says, and makes the kind
// of object that the table has for it.
func TestInstalledCompilers(t *testing.T) {
	dir := t.TempDir()
	source, object := filepath.Join(dir, "a.c"), filepath.Join(dir, "a.o")
	if err := os.WriteFile(source, []byte("int f(int x) { return x + 1; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob("/usr/bin/*-gcc")
	if err != nil {
		t.Fatal(err)
	}
	targets := make(map[string]bool)
	for _, program := range found {
		dump, err := exec.Command(program, "-dumpmachine").Output()
		if err != nil {
			t.Errorf("%s: %v", program, err)
			continue
		}
		triple, err := Parse(strings.TrimSpace(string(dump)))
		if err != nil {
			t.Errorf("%s: %v", program, err)
			continue
		}
		targets[triple.Canonical()] = true
		prefix := strings.TrimSuffix(filepath.Base(program), "-gcc")
		if name, err := Parse(prefix); err == nil && archOf(canonicalArch(name.Arch)) != nil && !Same(prefix, triple.String()) {
			t.Errorf("%s is for %v", program, triple)
		}
		if out, err := exec.Command(program, "-c", source, "-o", object).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", program, err, out)
			continue
		}
		head, err := os.ReadFile(object)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := triple.Machine(nil); !ok || m.Check(head[:HeadSize]) != nil {
			t.Errorf("%s: the table says %v, %t, and its object begins with %x", program, m, ok, head[:HeadSize])
		}
	}
	for _, name := range []string{"x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu"} {
		if !targets[name] {
			t.Errorf("no gcc for %s is installed: apt-get install gcc gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu", name)
		}
	}
}
