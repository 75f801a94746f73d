package argv

import (
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv/option"
)

// What a helper is told of native, and what the client's compiler is asked.
func TestNative(t *testing.T) {
	for _, tc := range []struct {
		family           Family
		words            string
		counts           bool
		whole, asked, be string // be: Explicit("-mX")
	}{
		{GCC, "-O2 -march=native -mavx -c a.c", true, "-O2 -march=native -mavx -c a.c -o out.o", "-march=native -mavx", "-O2 -mavx -c a.c -mX"},
		{GCC, "-march=native -march=x86-64 -mtune=native -c a.c", true, "-march=native -march=x86-64 -mtune=native -c a.c -o out.o", "-march=native -march=x86-64 -mtune=native", "-march=x86-64 -c a.c -mX"},
		{GCC, "-march=native -m32 -march=x86-64 -c a.c", false, "-m32 -march=x86-64 -c a.c -o out.o", "-march=native -m32 -march=x86-64", "-m32 -march=x86-64 -c a.c -mX"},
		{GCC, "-mcpu=native @flags -c a.c", true, "-mcpu=native -O2 -mtune=native -c a.c -o out.o", "-mcpu=native -mtune=native", "-O2 -c a.c -mX"},
		{GCC, "-march=Native -c a.c", true, "-march=Native -c a.c -o out.o", "-march=Native", "-c a.c -mX"},
		{GCC, "-march=native+sve -c a.c", true, "-march=native+sve -c a.c -o out.o", "-march=native+sve", "-c a.c -mX"},
		{Clang, "-march=native -mno-avx -c a.c", true, "-mno-avx -c a.c -o out.o", "-march=native -mno-avx", "-mno-avx -c a.c -mX"},
		{GCC, "-DX=-march=native -I -mtune=native -c a.c", false, "-DX=-march=native -I -mtune=native -c a.c -o out.o", "", "-DX=-march=native -I -mtune=native -c a.c -mX"},
	} {
		env := Env{Driver: Driver{Family: tc.family}, ReadFile: func(string) ([]byte, error) { return []byte("-O2 -mtune=native"), nil }}
		if v := Parse(strings.Fields(tc.words), env).Verdict(); v.Remote == tc.counts || tc.counts && v.Reason != option.Native {
			t.Errorf("%s, not resolved: %+v", tc.words, v)
		}
		env.Native = true
		c := Parse(strings.Fields(tc.words), env)
		if v := c.Verdict(); !v.Remote || c.Native() != tc.counts {
			t.Errorf("%s: %+v, native counts %t", tc.words, v, c.Native())
		}
		for name, pair := range map[string][2][]string{
			"whole": {c.Whole("out.o", "out.d"), strings.Fields(tc.whole)},
			"asked": {c.NativeWords(), strings.Fields(tc.asked)},
			"be":    {c.Explicit("-mX"), strings.Fields(tc.be)},
		} {
			if !slices.Equal(pair[0], pair[1]) {
				t.Errorf("%s, %s: %q, want %q", tc.words, name, pair[0], pair[1])
			}
		}
		if _, ok := c.CodeWords(); ok != (tc.family == GCC || !tc.counts) {
			t.Errorf("%s: a set of options describes it: %t", tc.words, ok)
		}
		if again := Parse(c.Explicit("-mX"), env); again.Native() || !again.Verdict().Remote {
			t.Errorf("%s: native is left in %q", tc.words, again.Words())
		}
	}
}

func TestAdmitNative(t *testing.T) {
	for _, good := range []string{
		"", "-march=skylake -mmmx -mno-avx512f -msse4.1 --param l1-cache-size=32 --param l2-cache-size=256 -mtune=skylake",
		"-march=armv8.2-a+crypto+fp16", "-mcpu=cortex-a72.cortex-a53+crc",
	} {
		if err := AdmitNative(strings.Fields(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"-O3", "-fplugin=x.so", "-march=native", "-mcpu=native", "-mtune=/x", "-m", "-m%{x:y}", "-march=%:getenv(HOME)", "-mx*", "-mx\\", "-mx;y", "-mx|y", "-mx#y",
		"-mllvm", "-mllvm=x", "-mdevices-csv-loc=x", "--param", "--param -mavx", "--param l1-cache-size=x", "--param l1=%", "l1-cache-size=32", "@x", "-mmcu=../x",
		"-march=x86-64\n*asm:", "-march=x86-64 ", "-m" + strings.Repeat("x", 200), strings.Repeat("-mavx,", 500),
	} {
		words := strings.Split(bad, " ")
		if len(bad) > 2000 {
			words = strings.Split(strings.TrimSuffix(bad, ","), ",")
		}
		if err := AdmitNative(words); err == nil {
			t.Errorf("%q was admitted", words)
		}
	}
}
