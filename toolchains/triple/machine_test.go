package triple

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMachine(t *testing.T) {
	for _, tc := range []struct{ triple, words, want string }{
		{"x86_64-pc-linux-gnu", "", "x86_64 (64-bit)"},
		{"x86_64-linux-gnu", "-m32", "i386 (32-bit)"},
		{"x86_64-linux-gnu", "-m32 -m64", "x86_64 (64-bit)"},
		{"x86_64-linux-gnu", "-mx32", "x86_64 (32-bit)"},
		{"x86_64-linux-gnux32", "", "x86_64 (32-bit)"},
		{"x86_64-linux-gnux32", "-m64", "x86_64 (64-bit)"},
		{"x86_64-linux-gnu", "-mabi=ms -march=i686", "x86_64 (64-bit)"},
		{"i686-linux-gnu", "", "i386 (32-bit)"},
		{"i686-linux-gnu", "-m64", "x86_64 (64-bit)"},
		{"aarch64-linux-gnu", "-mabi=lp64", "aarch64 (64-bit)"},
		{"aarch64-linux-gnu", "-mabi=ilp32 -mbig-endian", "aarch64 (32-bit, big-endian)"},
		{"aarch64_be-linux-gnu", "-mlittle-endian", "aarch64 (64-bit)"},
		{"aarch64-linux-gnu", "-m32", "aarch64 (32-bit)"},
		{"armv7a-unknown-linux-gnueabihf", "-mbig-endian", "arm (32-bit, big-endian)"},
		{"thumbv7em-none-eabi", "-mthumb", "arm (32-bit)"},
		{"riscv64-unknown-elf", "-march=rv32imac -mabi=ilp32", "riscv (32-bit)"},
		{"riscv64-linux-gnu", "-mabi=lp64d -mbig-endian", "riscv (64-bit)"},
		{"powerpc64le-linux-gnu", "", "ppc64 (64-bit)"},
		{"powerpc64-linux-gnu", "-m32", "ppc (32-bit, big-endian)"},
		{"s390x-linux-gnu", "-m31", "s390 (32-bit, big-endian)"},
		{"mips64el-linux-gnuabi64", "-mabi=n32", "mips (32-bit)"},
		{"mips-linux-gnu", "-EL", "mips (32-bit)"},
		{"mips64el-linux-gnuabin32", "", "mips (32-bit)"},
		{"x86_64-linux-gnu", "--target=aarch64-linux-gnu", "aarch64 (64-bit)"},
		{"x86_64-linux-gnu", "-m32 -target riscv64-linux-gnu --target=x86_64-linux-gnu", "i386 (32-bit)"},
		{"x86_64-w64-mingw32", "", "COFF machine 0x8664 (64-bit)"},
		{"x86_64-w64-mingw32", "-m32", "COFF machine 0x14c (32-bit)"},
		{"aarch64-windows-msvc", "", "COFF machine 0xaa64 (64-bit)"},
		{"aarch64-apple-darwin23", "", "Mach-O machine 0x100000c (64-bit)"},
		{"aarch64-apple-darwin23", "-arch x86_64", "Mach-O machine 0x1000007 (64-bit)"},
		{"wasm32-wasi", "", "WebAssembly"},
		{"powerpc-ibm-aix7.2", "", ""}, {"vax-linux-gnu", "", ""}, {"nvptx-none", "", ""},
		{"sparc64-linux-gnu", "-m32", "sparc (32-bit, big-endian)"}, {"arm-linux-gnueabi", "-m64", ""}, {"x86_64-linux-gnu", "--target=", ""},
		{"mips-linux-gnu", "-mabi=eabi", ""}, {"i686-linux-gnu", "-miamcu", ""},
	} {
		triple, err := Parse(tc.triple)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := triple.Machine(strings.Fields(tc.words))
		if got := m.describe(nil); ok != (tc.want != "") || ok && got != tc.want {
			t.Errorf("%s %s: %s, %v, want %s", tc.triple, tc.words, got, ok, tc.want)
		}
	}
}

// What real compilers make passes the check of its own target and of no other.
func TestCheckRealObjects(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "a.c")
	if err := os.WriteFile(src, []byte("int f(int x) { return x + 1; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	kinds := []struct{ triple, compiler, words string }{
		{"x86_64-linux-gnu", "gcc-12", "-m64"},
		{"x86_64-linux-gnu", "gcc-12", "-m32"},
		{"x86_64-linux-gnu", "gcc-11", "-mx32"},
		{"aarch64-linux-gnu", "aarch64-linux-gnu-gcc-12", ""},
		{"aarch64-linux-gnu", "aarch64-linux-gnu-gcc-11", "-mabi=ilp32"},
		{"aarch64-linux-gnu", "aarch64-linux-gnu-gcc-12", "-mbig-endian"},
		{"riscv64-linux-gnu", "riscv64-linux-gnu-gcc", ""},
		{"x86_64-linux-gnu", "clang-14", "--target=arm-linux-gnueabihf"},
		{"x86_64-linux-gnu", "clang-14", "--target=powerpc64le-linux-gnu"},
		{"x86_64-linux-gnu", "clang-14", "--target=powerpc64-linux-gnu"},
		{"x86_64-linux-gnu", "clang-14", "--target=powerpc-linux-gnu"},
		{"x86_64-linux-gnu", "clang-14", "--target=s390x-linux-gnu"},
		{"x86_64-linux-gnu", "clang-14", "--target=mips64el-linux-gnuabi64"},
		{"x86_64-linux-gnu", "clang-14", "--target=mips-linux-gnu"},
		{"x86_64-linux-gnu", "clang-14", "--target=riscv32-unknown-elf"},
		{"x86_64-linux-gnu", "clang-14", "--target=avr"},
		{"x86_64-linux-gnu", "clang-14", "--target=msp430"},
		{"x86_64-linux-gnu", "clang-14", "--target=bpf"},
		{"x86_64-linux-gnu", "clang-14", "--target=hexagon"},
		{"x86_64-linux-gnu", "clang-14", "--target=x86_64-w64-mingw32"},
		{"x86_64-linux-gnu", "clang-14", "--target=i686-w64-mingw32"},
		{"x86_64-linux-gnu", "clang-14", "--target=aarch64-windows-msvc"},
		{"x86_64-linux-gnu", "clang-14", "--target=armv7-windows-msvc"},
		{"x86_64-linux-gnu", "clang-14", "--target=arm64-apple-darwin22"},
		{"x86_64-linux-gnu", "clang-14", "--target=x86_64-apple-darwin22"},
		{"x86_64-linux-gnu", "clang-14", "--target=i386-apple-darwin10"},
		{"x86_64-linux-gnu", "clang-14", "--target=wasm32-unknown-unknown"},
	}
	heads := make([][]byte, len(kinds))
	machines := make([]Machine, len(kinds))
	for i, k := range kinds {
		obj := filepath.Join(dir, "a.o")
		words := strings.Fields(k.words)
		if out, err := exec.Command(need(t, k.compiler), append(words, "-c", src, "-o", obj)...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v: %s", k.compiler, k.words, err, out)
		}
		data, err := os.ReadFile(obj)
		if err != nil {
			t.Fatal(err)
		}
		heads[i] = data[:HeadSize]
		triple, err := Parse(k.triple)
		if err != nil {
			t.Fatal(err)
		}
		var known bool
		if machines[i], known = triple.Machine(words); !known && k.words != "--target=hexagon" {
			t.Errorf("%s %s: no machine", k.compiler, k.words)
		}
	}
	for i, m := range machines {
		if m == (Machine{}) {
			continue
		}
		for j, head := range heads {
			if err := m.Check(head); (err == nil) != (i == j) {
				t.Errorf("machine of %v, object of %v: %v", kinds[i], kinds[j], err)
			}
		}
		if err := (Machine{Format: Bitcode}).Check(heads[i]); err == nil {
			t.Errorf("%v counts as bitcode", kinds[i])
		}
	}
}

func TestCheckMessages(t *testing.T) {
	triple, _ := Parse("aarch64-unknown-linux-gnu")
	m, _ := triple.Machine(nil)
	x86 := "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, tc := range []struct{ head, want string }{
		{x86 + "\x01\x00\x3e\x00", "object is x86_64 (64-bit), target aarch64-linux-gnu wants aarch64 (64-bit)"},
		{x86 + "\x03\x00\xb7\x00", "linked program is aarch64 (64-bit), target aarch64-linux-gnu wants aarch64 (64-bit)"},
		{"", `file is of an unknown format (0 bytes, begins with ""), target aarch64-linux-gnu wants aarch64 (64-bit)`},
		{"\x7fELF\x02", `file is of an unknown format (5 bytes, begins with "\x7fELF"), target aarch64-linux-gnu wants aarch64 (64-bit)`},
		{"BC\xc0\xde", "object is LLVM bitcode, target aarch64-linux-gnu wants aarch64 (64-bit)"},
		{"\x00asm\x01\x00\x00\x00", "object is WebAssembly, target aarch64-linux-gnu wants aarch64 (64-bit)"},
	} {
		if err := m.Check([]byte(tc.head)); err == nil || err.Error() != tc.want {
			t.Errorf("Check(%q) = %v, want %s", tc.head, err, tc.want)
		}
	}
	if err := (Machine{Format: Bitcode}).Check([]byte("BC\xc0\xde5\x14")); err != nil {
		t.Errorf("bitcode: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\xb7\x00"))
	f.Add([]byte("BC\xc0\xde"))
	triple, _ := Parse("aarch64-linux-gnu")
	m, _ := triple.Machine(nil)
	f.Fuzz(func(t *testing.T, head []byte) {
		if m.Check(head) == nil && (len(head) < HeadSize || string(head[:4]) != "\x7fELF") {
			t.Errorf("%q counts as an object", head)
		}
	})
}

// need fails the test when a compiler is missing, and says what to install.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install gcc-12 gcc-12-aarch64-linux-gnu gcc-riscv64-linux-gnu clang-14", program)
	}
	return path
}
