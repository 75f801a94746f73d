package argv

import (
	"regexp"
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// Family is a compiler's kin: what decides how a command line is read.
type Family = option.Family

// The families. Unknown is what a name like cc leaves open.
const (
	Unknown = option.Unknown
	GCC     = option.GCC
	Clang   = option.Clang
)

// Driver is what the base name of a compiler driver says: aarch64-linux-gnu-g++-12.
type Driver struct {
	Prefix   string // target triple in front, as written; "" without one
	Family   Family // Unknown for cc, c++, c89, c99
	CXX      bool   // compiles and links as C++ by default
	Standard string // "c89" or "c99" for POSIX's two drivers, scripts that add words of their own; else ""
	Suffix   string // what follows the last dash: version ("12", "13.2.0"), thread model ("posix"), or both; else ""
}

// drivers are the bare names. Nothing else is a driver: gcc-ar, clang-format, clang-cl and cpp are other programs.
var drivers = []struct {
	name string
	Driver
}{
	{"gcc", Driver{Family: GCC}},
	{"g++", Driver{Family: GCC, CXX: true}},
	{"clang", Driver{Family: Clang}},
	{"clang++", Driver{Family: Clang, CXX: true}},
	{"cc", Driver{}},
	{"c++", Driver{CXX: true}},
	{"c89", Driver{Standard: "c89"}},
	{"c99", Driver{Standard: "c99"}},
}

// architectures are the first parts of triples. A prefix that begins with none of them is somebody's wrapper
// (musl-gcc, afl-clang, ccache-gcc), which may add words or instrument, and is not taken for a plain driver.
var architectures = regexp.MustCompile(`^(aarch64|alpha|amdgcn|arc|arm|avr|bfin|bpf|c6x|cris|csky|epiphany|frv|ft32|h8300|hppa|i[3-7]86|ia64|lm32|loongarch|m32r|m68k|mcore|microblaze|mips|mmix|mn10300|moxie|msp430|nds32|nios2|nvptx|or1k|pdp11|powerpc|ppc|pru|riscv|rl78|rx|s390|sh[0-9]?|sparc|thumb|tilegx|v850|vax|visium|wasm|x86_64|xstormy16|xtensa)([a-z0-9_.]*)(-[A-Za-z0-9_.]+)*$`)

// suffixes are versions and, on Debian's mingw compilers, thread models.
var suffixes = regexp.MustCompile(`^(\d+(\.\d+)*(-(posix|win32))?|posix|win32)$`)

// ParseDriver reads the base name of a program; false when it is no compiler driver's. Only what it accepts is ever
// probed by being run.
func ParseDriver(base string) (Driver, bool) {
	for i := 0; i <= len(base); i++ {
		if i > 0 && base[i-1] != '-' {
			continue
		}
		if d, ok := driverAt(base, i); ok {
			return d, true
		}
	}
	return Driver{}, false
}

// driverAt reads base as a prefix that ends before i, a bare name, and a suffix.
func driverAt(base string, i int) (Driver, bool) {
	prefix := strings.TrimSuffix(base[:i], "-")
	if i > 0 && !architectures.MatchString(prefix) {
		return Driver{}, false
	}
	for _, row := range drivers {
		rest, ok := strings.CutPrefix(base[i:], row.name)
		if !ok {
			continue
		}
		d := row.Driver
		d.Prefix = prefix
		if rest == "" {
			return d, true
		}
		if d.Suffix, ok = strings.CutPrefix(rest, "-"); ok && suffixes.MatchString(d.Suffix) {
			return d, true
		}
	}
	return Driver{}, false
}

// Name is the base name again: ParseDriver(d.Name()) is d.
func (d Driver) Name() string {
	name := ""
	for _, row := range drivers {
		if row.Family == d.Family && row.CXX == d.CXX && row.Standard == d.Standard {
			name = row.name
		}
	}
	if d.Prefix != "" {
		name = d.Prefix + "-" + name
	}
	if d.Suffix != "" {
		name += "-" + d.Suffix
	}
	return name
}
