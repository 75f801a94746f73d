package argv

import "testing"

func TestDriver(t *testing.T) {
	for base, want := range map[string]Driver{
		"gcc":                               {Family: GCC},
		"cc":                                {},
		"c++":                               {CXX: true},
		"c99":                               {Standard: "c99"},
		"g++-12":                            {Family: GCC, CXX: true, Suffix: "12"},
		"clang-14":                          {Family: Clang, Suffix: "14"},
		"clang++":                           {Family: Clang, CXX: true},
		"x86_64-linux-gnu-gcc-12":           {Prefix: "x86_64-linux-gnu", Family: GCC, Suffix: "12"},
		"aarch64-unknown-linux-gnu-g++":     {Prefix: "aarch64-unknown-linux-gnu", Family: GCC, CXX: true},
		"x86_64-pc-linux-gnu-clang++-19":    {Prefix: "x86_64-pc-linux-gnu", Family: Clang, CXX: true, Suffix: "19"},
		"riscv64-unknown-elf-gcc-13.2.0":    {Prefix: "riscv64-unknown-elf", Family: GCC, Suffix: "13.2.0"},
		"x86_64-w64-mingw32-gcc-12-posix":   {Prefix: "x86_64-w64-mingw32", Family: GCC, Suffix: "12-posix"},
		"x86_64-w64-mingw32-g++-win32":      {Prefix: "x86_64-w64-mingw32", Family: GCC, CXX: true, Suffix: "win32"},
		"armv7a-unknown-linux-gnueabihf-cc": {Prefix: "armv7a-unknown-linux-gnueabihf"},
		"avr-gcc":                           {Prefix: "avr", Family: GCC},
	} {
		got, ok := ParseDriver(base)
		if !ok || got != want {
			t.Errorf("ParseDriver(%q) = %+v, %v, want %+v", base, got, ok, want)
		}
		if got.Name() != base {
			t.Errorf("%q comes back as %q", base, got.Name())
		}
	}
	for _, base := range []string{"", "rm", "gcc-ar", "gcc-nm-12", "gcc-ranlib", "clang-tidy", "clang-format-14", "clang-cl", "clang-cpp",
		"cpp", "gfortran", "musl-gcc", "afl-clang", "ccache-gcc", "x86_64-linux-gnu-gcc-ar", "-gcc", "gcc-", "gccgo", "g++12", "/usr/bin/gcc",
		"../x86_64-gcc", "x86_64-../x-gcc", "git-cc"} {
		if d, ok := ParseDriver(base); ok {
			t.Errorf("ParseDriver(%q) = %+v, want no driver", base, d)
		}
	}
}

func TestLanguage(t *testing.T) {
	for _, tc := range []struct {
		driver, name, x string
		want            Language
		preprocessed    string
	}{
		{"gcc", "a.c", "", C, ".i"}, {"gcc", "a.C", "", CXX, ".ii"}, {"g++", "a.c", "", CXX, ".ii"}, {"g++", "a.m", "", ObjC, ".mi"},
		{"gcc", "a.M", "", ObjCXX, ".mii"}, {"gcc", "a.i", "", CPPOutput, ".i"}, {"g++", "a.i", "", CXXCPPOutput, ".ii"},
		{"g++", "a.cc", "c", C, ".i"}, {"clang", "a.C++", "", CXX, ".ii"}, {"gcc", "d.c/a.b.c++", "", CXX, ".ii"},
		{"gcc", "a.cc", "none", CXX, ".ii"},
	} {
		d, _ := ParseDriver(tc.driver)
		l, r := languageOf(tc.name, tc.x, d.CXX, d.Family)
		if l != tc.want || r != "" || l.Preprocessed().Suffix() != tc.preprocessed {
			t.Errorf("%s -x %q %s: %v (%s)", tc.driver, tc.x, tc.name, l, r)
		}
	}
	for l := C; l <= Asm; l++ {
		if got, _ := namedLanguage(l.XName()); got != l || l.String() == "" {
			t.Errorf("language %d is named %q, which reads as %v", l, l.XName(), got)
		}
		if p := l.Preprocessed(); !p.IsPreprocessed() || NoLanguage.IsPreprocessed() {
			t.Errorf("%v preprocessed is %v", l, p)
		}
	}
}
