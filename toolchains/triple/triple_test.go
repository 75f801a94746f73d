package triple

import (
	"debug/elf"
	"strings"
	"testing"
)

// canonicalForms has a line for each target: its canonical name, then others.
var canonicalForms = []string{
	"x86_64-linux-gnu x86_64-pc-linux-gnu x86_64-unknown-linux-gnu x86_64-redhat-linux x86_64-suse-linux x86_64-alt-linux amd64-linux-gnu x86_64-linux x86_64-pc-linux x86_64-multilib-linux-gnu",
	"x86_64-linux-gnux32 x86_64-pc-linux-gnux32",
	"x86_64-linux-musl x86_64-alpine-linux-musl x86_64-pc-linux-musl",
	"i686-linux-gnu i686-pc-linux-gnu i686-redhat-linux",
	"i586-linux-gnu i586-suse-linux",
	"aarch64-linux-gnu aarch64-unknown-linux-gnu arm64-linux-gnu aarch64-none-linux-gnu aarch64-redhat-linux aarch64-poky-linux",
	"aarch64_be-linux-gnu aarch64_be-none-linux-gnu",
	"aarch64-linux-musl aarch64-openwrt-linux-musl",
	"arm-linux-gnueabihf arm-none-linux-gnueabihf arm-unknown-linux-gnueabihf arm-buildroot-linux-gnueabihf",
	"arm-linux-gnueabi arm-unknown-linux-gnueabi",
	"armv7a-linux-gnueabihf armv7a-unknown-linux-gnueabihf armv7a-cros-linux-gnueabihf",
	"armv7l-linux-gnueabihf armv7l-unknown-linux-gnueabihf",
	"armv6l-linux-musleabihf armv6l-unknown-linux-musleabihf",
	"arm-linux-androideabi", "aarch64-linux-android21", "aarch64-linux-android",
	"arm-none-eabi arm-unknown-eabi arm-eabi arm-unknown-none-eabi arm-none-none-eabi",
	"arm-none-elf arm-elf arm-unknown-elf",
	"riscv64-linux-gnu riscv64-unknown-linux-gnu",
	"riscv64-none-elf riscv64-unknown-elf riscv64-elf riscv64-unknown-unknown-elf",
	"riscv-none-elf riscv-unknown-elf",
	"xtensa-esp32-elf", "xtensa-esp32s2-elf", "xtensa-lx106-elf",
	"powerpc64le-linux-gnu ppc64le-redhat-linux ppc64el-linux-gnu powerpc64le-unknown-linux-gnu",
	"powerpc-linux-gnu ppc-linux-gnu powerpc-unknown-linux-gnu",
	"s390x-linux-gnu s390x-ibm-linux-gnu systemz-linux-gnu",
	"mips64el-linux-gnuabi64 mips64el-unknown-linux-gnuabi64", "mipsel-linux-gnu",
	"loongarch64-linux-gnu loong64-linux-gnu loongarch64-unknown-linux-gnu",
	"sparc64-linux-gnu sparcv9-unknown-linux-gnu", "hppa-linux-gnu parisc-linux-gnu",
	"i686-gnu i686-pc-gnu i686-unknown-gnu",
	"x86_64-w64-mingw32 x86_64-pc-windows-gnu x86_64-w64-windows-gnu x86_64-windows-gnu",
	"i686-pc-mingw32 i686-mingw32 i686-unknown-mingw32",
	"x86_64-windows-msvc x86_64-pc-windows-msvc",
	"x86_64-cygwin x86_64-pc-cygwin",
	"x86_64-apple-darwin22 x86_64-darwin22", "aarch64-apple-darwin23 arm64-apple-darwin23", "aarch64-apple-macosx14.0",
	"x86_64-freebsd14.1 amd64-unknown-freebsd14.1 x86_64-portbld-freebsd14.1", "x86_64-freebsd13.2",
	"x86_64-solaris2.11 x86_64-pc-solaris2.11", "powerpc-aix7.2 powerpc-ibm-aix7.2",
	"avr avr-unknown-unknown avr-none avr-unknown-none", "bpf bpf-unknown-none",
	"wasm32 wasm32-unknown-unknown wasm32-none", "wasm32-wasi wasm32-unknown-wasi",
	"amdgcn-amdhsa amdgcn-amd-amdhsa", "nvptx64-cuda nvptx64-nvidia-cuda",
}

func TestCanonical(t *testing.T) {
	owner := map[string]string{}
	for _, line := range canonicalForms {
		names := strings.Fields(line)
		for _, name := range names {
			triple, err := Parse(name)
			if got := triple.Canonical(); err != nil || got != names[0] {
				t.Errorf("%s is %s, %v, want %s", name, got, err, names[0])
			}
			if owner[name] != "" {
				t.Errorf("%s stands for %s and %s", name, owner[name], names[0])
			}
			owner[name] = names[0]
			if !Same(name, names[0]) {
				t.Errorf("%s and %s are not the same", name, names[0])
			}
		}
	}
	for name, target := range owner { // whatever has another canonical form is another target
		if other := strings.Fields(canonicalForms[0])[0]; target != other && Same(name, other) {
			t.Errorf("%s and %s are the same", name, other)
		}
	}
}

func TestKin(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		kin  bool
	}{
		{"armv7a-unknown-linux-gnueabihf", "arm-linux-gnueabihf", true},
		{"armv6l-unknown-linux-gnueabihf", "armv7a-hardfloat-linux-gnueabihf", true},
		{"arm-linux-gnueabihf", "arm-linux-gnueabihf", true},
		{"i586-suse-linux", "i686-pc-linux-gnu", true},
		{"armebv7a-linux-gnueabi", "armeb-linux-gnueabi", true},
		{"armv7a-linux-gnueabihf", "arm-linux-gnueabi", false},
		{"armv7a-linux-musleabihf", "arm-linux-gnueabihf", false},
		{"armv7a-linux-gnueabi", "armeb-linux-gnueabi", false},
		{"armv7a-none-eabi", "arm-linux-gnueabi", false},
		{"i686-linux-gnu", "x86_64-linux-gnu", false},
		{"i686-w64-mingw32", "i686-linux-gnu", false},
		{"mipsisa32r6el-linux-gnu", "mipsel-linux-gnu", false},
		{"aarch64-linux-gnu", "aarch64_be-linux-gnu", false},
		{"", "", false},
	} {
		if Kin(tc.a, tc.b) != tc.kin || Kin(tc.b, tc.a) != tc.kin {
			t.Errorf("kin of %s and %s is not %t", tc.a, tc.b, tc.kin)
		}
	}
}

func TestTripleTables(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range archAliases {
		if r.From == r.To || r.Notes == "" || seen[r.From] || canonicalArch(r.To) != r.To {
			t.Errorf("alias %+v: needs a note, one row for each name, and a canonical name on the right", r)
		}
		if seen[r.From] = true; archOf(r.To) == nil {
			t.Errorf("alias %s leads to %s, which has no row in arches", r.From, r.To)
		}
	}
	for i, r := range systemRules {
		if r.Notes == "" || len(r.OS) == 0 || r.Set == (Triple{}) {
			t.Errorf("system rule %d: %+v: needs a note, a system and an effect", i, r)
		}
	}
	for _, a := range arches {
		for _, name := range a.Names {
			plain := strings.ReplaceAll(name, "*", "")
			if a.Notes == "" || seen[name] || archOf(plain) == nil || canonicalArch(plain) != plain {
				t.Errorf("arch %s: needs a note, one row for each name, canonical names", name)
			}
			seen[name] = true
		}
		if wasm := a.Names[0] == "wasm32"; !wasm && (a.Bits != 32 && a.Bits != 64 || a.ELF[a.Bits/64] == elf.EM_NONE) {
			t.Errorf("arch %s: no ELF machine for its own class", a.Names[0])
		}
	}
}

func TestParseTripleErrors(t *testing.T) {
	for _, s := range []string{"", "-", "x86_64-", "a--b", "a-b-c-d-e", "x86_64-linux-gnu/../..", "X86_64-linux-gnu", "a b-c", strings.Repeat("a", 200), "x86_64-linux-gnu\n", "é-linux-gnu"} {
		if triple, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %+v", s, triple)
		}
	}
	if Same("", "") || Same("x86_64-linux-gnu", "") {
		t.Error("nothing is the same as something")
	}
}

func FuzzParseTriple(f *testing.F) {
	for _, line := range canonicalForms {
		f.Add(line[:strings.IndexByte(line+" ", ' ')])
	}
	f.Fuzz(func(t *testing.T, s string) {
		triple, err := Parse(s)
		if err != nil {
			return
		}
		c := triple.Canonical()
		again, err := Parse(c)
		if err != nil || again.Canonical() != c {
			t.Errorf("%q is %q, and that is %q, %v", s, c, again.Canonical(), err)
		}
	})
}
