package argv

import (
	"strings"
	"testing"
)

func TestCodeWords(t *testing.T) {
	for _, tc := range []struct {
		words, want string
		uncharted   bool
		family      Family
	}{
		{"-O2 -g -Wall -DX=1 -Iinc -MD -MF a.d -c a.c -o a.o", "-O2 -g", false, GCC},
		{"-O2 -c b.c -std=gnu11 -fPIC --param max-inline-insns-auto=10 -m32", "-O2 -std=gnu11 -fPIC --param max-inline-insns-auto=10 -m32", false, GCC},
		{"-g -O2 -c a.c", "-g -O2", false, GCC},
		{"-c a.c -frandom-seed=a.o -ffile-prefix-map=/a=/b -fdebug-prefix-map=/a=/b -fmacro-prefix-map=/a=/b -fno-pie", "-fno-pie", false, GCC},
		{"-c a.c -Wa,--noexecstack -pthread -nostdinc -include x.h", "-Wa,--noexecstack -pthread", false, GCC},
		{"-c a.c -fnever-heard-of", "-fnever-heard-of", false, GCC},
		{"-c a.c -fstack-usage", "", true, GCC},
		{"-c a.c --serialize-diagnostics dump -O1", "", true, Clang},
		{"-c a.c -march=native", "", true, GCC},
		{"-c a.c -march=native -march=x86-64", "-march=x86-64", false, GCC},
		{"-c a.c --target=aarch64-linux-gnu -Xclang -target-feature -Xclang +neon -O1", "--target=aarch64-linux-gnu -Xclang -target-feature -Xclang +neon -O1", false, Clang},
	} {
		c := Parse(strings.Fields(tc.words), Env{Family: tc.family})
		got, ok := c.CodeWords()
		if strings.Join(got, " ") != tc.want || ok == tc.uncharted {
			t.Errorf("%s: %q, %t, want %q, %t", tc.words, got, ok, tc.want, !tc.uncharted)
		}
	}
}
