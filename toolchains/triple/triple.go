// Package triple knows what a target's name means: which spellings are one
// target, and what kind of object file each target has. Adding a target is adding
// a row. Start with Parse and Triple.Canonical; machine.go checks objects.
package triple

import (
	"fmt"
	"strings"
)

// A Triple is a target's name in its parts, as written: nothing is folded yet.
type Triple struct {
	Arch   string // "aarch64", "armv7a", "amd64"
	Vendor string // "pc", "unknown", "w64"; empty when the name has none
	OS     string // "linux", "mingw32", "none" when the name has no system
	Env    string // "gnu", "musleabihf", "elf"; empty when the name has none
}

// maxTriple bounds a triple's length: doors and command lines give it.
const maxTriple = 128

// Parse reads a target's name in the forms that config.sub and LLVM
// accept, of one to four parts. It accepts architectures and systems that it
// does not know, since new ones come every year; an error means that the name
// cannot be a triple at all.
func Parse(s string) (Triple, error) {
	if len(s) > maxTriple {
		return Triple{}, fmt.Errorf("triple of %d bytes is longer than %d", len(s), maxTriple)
	}
	parts := strings.Split(s, "-")
	for _, p := range parts {
		if p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789_.+") != "" {
			return Triple{}, fmt.Errorf("triple %q: part %q is not of letters a to z, digits, '_', '.', '+'", s, p)
		}
	}
	t := Triple{Arch: parts[0]}
	switch {
	case len(parts) == 1:
		t.OS = "none"
	case len(parts) == 2:
		t.OS, t.Env = system(parts[1])
	case len(parts) == 3 && takesEnv(parts[1]):
		t.OS, t.Env = parts[1], parts[2]
	case len(parts) == 3:
		t.Vendor = parts[1]
		t.OS, t.Env = system(parts[2])
	case len(parts) == 4:
		t.Vendor, t.OS, t.Env = parts[1], parts[2], parts[3]
	default:
		return Triple{}, fmt.Errorf("triple %q has %d parts, at most 4 are known", s, len(parts))
	}
	return t, nil
}

// system reads the last part of a short triple: a system, or an object format
// or ABI of a machine without one.
func system(part string) (os, env string) {
	switch part {
	case "elf", "eabi", "eabihf", "coff":
		return "none", part
	}
	return part, ""
}

// takesEnv reports whether os is a system whose name is followed by a library.
func takesEnv(os string) bool {
	return os == "linux" || os == "windows" || os == "kfreebsd" || os == "nto"
}

// String writes the triple with the parts it has.
func (t Triple) String() string {
	s := t.Arch
	for _, p := range []string{t.Vendor, t.OS, t.Env} {
		if p != "" {
			s += "-" + p
		}
	}
	return s
}

// Canonical gives the one spelling that all names of one target share. It
// follows config.sub, but for the vendor, which is left out wherever it says
// nothing about the code: "aarch64-linux-gnu", "arm-none-eabi",
// "x86_64-w64-mingw32". Parsed again it gives itself, and clang takes it as the
// value of --target.
//
// Targets that differ in their library or ABI (gnu, musl, gnueabihf) or in the
// default -march (i586, i686; arm, armv7a) stay apart.
func (t Triple) Canonical() string {
	t.Arch = canonicalArch(t.Arch)
	for _, r := range systemRules {
		if r.matches(t) {
			t = r.apply(t)
		}
	}
	if t.OS == "none" && (t.Env == "" || t.Vendor != "") {
		t.OS = "" // "avr", and "xtensa-esp32-elf" with the vendor in its place
	}
	return t.String()
}

func canonicalArch(name string) string {
	for _, r := range archAliases {
		if r.From == name {
			return r.To
		}
	}
	return name
}

// Same reports whether two names mean one target. A name that is no triple is
// the same as nothing.
func Same(a, b string) bool {
	x, errx := Parse(a)
	y, erry := Parse(b)
	return errx == nil && erry == nil && x.Canonical() == y.Canonical()
}

// Kin reports whether two names mean one target but for the -march that a compiler
// for it has unasked: armv7a-unknown-linux-gnueabihf and arm-linux-gnueabihf, i586
// and i686. A compiler for one makes what one for the other makes when that word is
// said, and the others of its defaults.
func Kin(a, b string) bool {
	x, errx := Parse(Canonical(a))
	y, erry := Parse(Canonical(b))
	if errx != nil || erry != nil {
		return false
	}
	row := archOf(x.Arch)
	if row != nil && row.March && row == archOf(y.Arch) {
		x.Arch, y.Arch = "", ""
	}
	return x == y
}

// LLVM is the name that clang's --print-targets has for the architecture; "" when
// LLVM has none, or we don't know it.
func (t Triple) LLVM() string {
	if a := archOf(canonicalArch(t.Arch)); a != nil {
		return a.LLVM
	}
	return ""
}

// Canonical is the Canonical of a triple's text; text that is no triple is its
// own canonical form, so that it still equals itself.
func Canonical(s string) string {
	t, err := Parse(s)
	if err != nil {
		return s
	}
	return t.Canonical()
}

// An aliasRule gives an architecture its canonical name.
type aliasRule struct{ From, To, Notes string }

var archAliases = [...]aliasRule{
	{"amd64", "x86_64", "BSD and Debian's name of the architecture"},
	{"x86-64", "x86_64", "LLVM's name in --print-targets"},
	{"x64", "x86_64", "Microsoft's name"},
	{"arm64", "aarch64", "Apple, Linux and Debian's name of the architecture"},
	{"arm64_be", "aarch64_be", "LLVM takes both"},
	{"aarch64eb", "aarch64_be", "clang's older name"},
	{"ppc", "powerpc", "LLVM and the BSDs"},
	{"ppcle", "powerpcle", "LLVM"},
	{"ppc64", "powerpc64", "Fedora: ppc64-redhat-linux"},
	{"ppc64le", "powerpc64le", "Fedora: ppc64le-redhat-linux; config.sub agrees"},
	{"ppc64el", "powerpc64le", "Debian's name of the architecture"},
	{"sparcv9", "sparc64", "Solaris"},
	{"parisc", "hppa", "Linux's own name"},
	{"systemz", "s390x", "LLVM's name in --print-targets"},
	{"mipseb", "mips", "config.sub: big-endian is mips"},
	{"mips64eb", "mips64", "config.sub: big-endian is mips64"},
	{"loong64", "loongarch64", "Debian and Go's name of the architecture"},
	{"i786", "i686", "config.sub"},
}

// A systemRule rewrites a triple whose parts match; an empty list matches all,
// a word that ends in '*' a prefix. The rules are applied in order, each to
// what the one before it left.
type systemRule struct {
	OS, Env, Vendor []string
	Set             Triple // fields that are not empty replace; "-" empties
	Notes           string
}

var systemRules = [...]systemRule{
	{OS: []string{"linux"}, Env: []string{""}, Set: Triple{Env: "gnu"},
		Notes: "Red Hat, SUSE and Yocto write x86_64-redhat-linux: no library named means glibc"},
	{OS: []string{"linux"}, Set: Triple{Vendor: "-"},
		Notes: "pc, unknown, redhat, suse, alt, gentoo, cros, buildroot, none: on Linux it tells who built the compiler, not what it makes"},
	{OS: []string{"freebsd*", "netbsd*", "openbsd*", "dragonfly*", "gnu", "hurd", "kfreebsd", "haiku*", "fuchsia"}, Set: Triple{Vendor: "-"},
		Notes: "portbld and unknown on FreeBSD; the version behind the name stays, headers differ"},
	{OS: []string{"solaris*", "aix*", "hpux*", "cygwin*", "msys*", "rtems*", "vxworks*", "nto"}, Set: Triple{Vendor: "-"},
		Notes: "sun, ibm, pc: one vendor each"},
	{OS: []string{"darwin*", "macos*", "ios*", "tvos*", "watchos*", "xros*"}, Set: Triple{Vendor: "apple"},
		Notes: "always apple; the version behind the name stays, it goes into each object"},
	{OS: []string{"windows"}, Env: []string{"gnu"}, Set: Triple{Vendor: "w64", OS: "mingw32", Env: "-"},
		Notes: "LLVM's name of what gcc calls x86_64-w64-mingw32"},
	{OS: []string{"windows"}, Set: Triple{Vendor: "-"},
		Notes: "x86_64-pc-windows-msvc"},
	{OS: []string{"mingw32*", "mingw64*"}, Vendor: []string{"", "unknown"}, Set: Triple{Vendor: "pc"},
		Notes: "config.sub: MinGW without a vendor is pc; w64 stays apart, its run-time library is another"},
	{OS: []string{"wasi*", "emscripten", "uefi", "amdhsa", "cuda"}, Set: Triple{Vendor: "-"},
		Notes: "wasm32-unknown-wasi, amdgcn-amd-amdhsa, nvptx64-nvidia-cuda: one vendor each"},
	{OS: []string{"unknown"}, Env: []string{"", "elf", "eabi", "eabihf", "coff"}, Set: Triple{OS: "none"},
		Notes: "what clang makes of wasm32 and riscv32-unknown-elf: wasm32-unknown-unknown, riscv32-unknown-unknown-elf"},
	{OS: []string{"none"}, Vendor: []string{"", "unknown", "none", "pc"}, Set: Triple{Vendor: "-"},
		Notes: "bare metal: riscv64-unknown-elf, riscv-none-elf, arm-unknown-none-eabi; a chip's name (xtensa-esp32-elf) stays, the code differs"},
}

func (r systemRule) matches(t Triple) bool {
	return matchAny(r.OS, t.OS) && matchAny(r.Env, t.Env) && matchAny(r.Vendor, t.Vendor)
}

func matchAny(list []string, s string) bool {
	for _, p := range list {
		if prefix, ok := strings.CutSuffix(p, "*"); p == s || ok && strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return len(list) == 0
}

func (r systemRule) apply(t Triple) Triple {
	set := func(field *string, v string) {
		switch v {
		case "":
		case "-":
			*field = ""
		default:
			*field = v
		}
	}
	set(&t.Vendor, r.Set.Vendor)
	set(&t.OS, r.Set.OS)
	set(&t.Env, r.Set.Env)
	return t
}
