package drivers

import (
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		` /usr/lib/cc1 -quiet "-mtune=generic" -o /tmp/a.s`: {"/usr/lib/cc1", "-quiet", "-mtune=generic", "-o", "/tmp/a.s"},
		` "a b" "" "c\"d\\e\$f" g`:                          {"a b", "", `c"d\e$f`, "g"},
		` x"y z"w "open`:                                    {"xy zw", "open"},
		``:                                                  nil,
		`   `:                                               nil,
		` "a\`:                                              {`a\`},
	} {
		if got := splitWords(line); !slices.Equal(got, want) {
			t.Errorf("splitWords(%s) = %q, want %q", line, got, want)
		}
	}
}

func TestReadReport(t *testing.T) {
	for _, tc := range []struct {
		line   string
		want   Report
		reason string
	}{
		{"gcc version 12.2.0 (Debian 12.2.0-14+deb12u1) ", Report{Family: argv.GCC, Version: "12.2.0", Package: "Debian 12.2.0-14+deb12u1"}, ""},
		{"gcc version 12.3.1 20230526 (Gentoo 12.3.1_p20230526 p2) ", Report{Family: argv.GCC, Version: "12.3.1 20230526", Package: "Gentoo 12.3.1_p20230526 p2"}, "a snapshot"},
		{"gcc version 12.3.1 20230508 (Red Hat 12.3.1-1) (GCC) ", Report{Family: argv.GCC, Version: "12.3.1 20230508", Package: "Red Hat 12.3.1-1) (GCC"}, "Fedora"},
		{"gcc version 14.0.1 20240411 (experimental) (GCC) ", Report{Family: argv.GCC, Version: "14.0.1 20240411", Package: "experimental) (GCC"}, "a trunk build"},
		{"Debian clang version 14.0.6", Report{Family: argv.Clang, Version: "14.0.6", Package: "Debian 14.0.6"}, ""},
		{"Ubuntu clang version 14.0.0-1ubuntu1.1", Report{Family: argv.Clang, Version: "14.0.0", Package: "Ubuntu 14.0.0-1ubuntu1.1"}, ""},
		{"clang version 15.0.7 (https://github.com/llvm/llvm-project.git 8dfdcc7b)", Report{Family: argv.Clang, Version: "15.0.7", Package: "15.0.7 (https://github.com/llvm/llvm-project.git 8dfdcc7b)"}, ""},
		{"Apple clang version 15.0.0 (clang-1500.3.9.4)", Report{Family: argv.Clang, Version: "Apple 15.0.0", Package: "15.0.0 (clang-1500.3.9.4)"}, "its own numbers"},
		{"x.c:1: clang version 3.0", Report{}, "a message is no version"},
		{"Target: riscv64-linux-gnu", Report{Target: "riscv64-linux-gnu"}, ""},
		{"Reading specs from /opt/x/specs", Report{Specs: []string{"/opt/x/specs"}}, ""},
	} {
		got := ReadReport(tc.line + "\n (in-process)\n")
		if got.Family != tc.want.Family || got.Version != tc.want.Version || got.Package != tc.want.Package ||
			got.Target != tc.want.Target || !slices.Equal(got.Specs, tc.want.Specs) || len(got.Commands) > 0 {
			t.Errorf("%s: %+v, want %+v (%s)", tc.line, got, tc.want, tc.reason)
		}
	}
}

// Where a compiler is installed, and how its driver was called, is no default.
func TestDefaultWords(t *testing.T) {
	for _, tc := range []struct{ words, want string }{
		{"cc1 -quiet -imultiarch x86_64-linux-gnu - -dumpbase - -march=x86-64 -o /tmp/cc1.s", "-quiet -imultiarch x86_64-linux-gnu - -march=x86-64"},
		{"/opt/bin/../libexec/cc1 -quiet -iprefix /opt/bin/../lib/gcc/ -isysroot /opt/sys - -mabi=lp64", "-quiet - -mabi=lp64"},
		{"cc1 -imultilib . -fPIE -specs=/x/y", "-imultilib . -fPIE"},
		{"clang -cc1 -triple aarch64-unknown-linux-gnu -target-feature +neon -target-feature +outline-atomics -fcoverage-compilation-dir=/w -resource-dir /r -o -.o -x c -", "-cc1 -target-feature +neon -x c -"},
		{"cc1 -o", ""},
	} {
		if got := strings.Join(DefaultWords(strings.Fields(tc.words)), " "); got != tc.want {
			t.Errorf("DefaultWords(%s) = %s, want %s", tc.words, got, tc.want)
		}
	}
}

func TestOptionRow(t *testing.T) {
	for line, want := range map[string]string{
		"  -mabi=                      \t\tsysv\n":                          "sysv",
		"  -fPIE                       \t\t[enabled]\n":                     "[enabled]",
		"  -Wlarger-than=<byte-size>   \t\t9223372036854775807 bytes\n":     "9223372036854775807 bytes",
		"  -iplugindir=<dir>           \t\t/usr/lib/gcc\n":                  "",
		"  -frtti                      \t\t[available in C++, D, ObjC++]\n": "",
		"  -fdiagnostics-urls=[never|always|auto] \tauto\n":                 "",
		"  Known valid arguments for -march= option:\n":                     "",
		"    i386 i486 native\n":                                            "",
		"  -mcpu=                      \t\t\n":                              "",
	} {
		if _, got := OptionRow(line); got != want {
			t.Errorf("OptionRow(%q) = %q, want %q", line, got, want)
		}
	}
}

func FuzzReadReport(f *testing.F) {
	f.Add("gcc version 12.2.0 (Debian 12.2.0-14) \nTarget: a\n /x/cc1 \"-a\\\"\" b\n as -o -\n")
	f.Add("Debian clang version 14.0.6\n \"/usr/bin/clang\" \"-cc1\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := ReadReport(text)
		for _, c := range r.Commands {
			if len(c) < 2 {
				t.Errorf("a command of %d words", len(c))
			}
			DefaultWords(c)
		}
		_ = r.Assembler()
	})
}
