package argv

import (
	"slices"
	"testing"
)

func TestFailsOnLost(t *testing.T) {
	for _, tc := range []struct {
		words []string
		want  bool
	}{
		{nil, false},
		{[]string{"-Wall"}, false},
		{[]string{"-Werror"}, true},
		{[]string{"-Werror", "-Wno-error"}, false},
		{[]string{"-Werror=return-type"}, false},
		{[]string{"-Werror=misleading-indentation"}, true},
		{[]string{"-Werror=all"}, true},
	} {
		c := Parse(append(tc.words, "-c", "a.c"), Env{Driver: Driver{Family: GCC}})
		if got := c.FailsOnLost(); got != tc.want {
			t.Errorf("%q: %t, want %t", tc.words, got, tc.want)
		}
	}
}

// clang chooses features by the installation that it finds, so these words are
// part of the question; nothing else of the search path is.
func TestFeatureWords(t *testing.T) {
	args := []string{"--target=aarch64-linux-gnu", "--gcc-toolchain=/none", "--sysroot", "/s", "-Iinc", "-O2", "-c", "a.c"}
	c := Parse(args, Env{Driver: Driver{Family: Clang}})
	want := []string{"--target=aarch64-linux-gnu", "-O2", "--gcc-toolchain=/none", "--sysroot", "/s"}
	if got := c.FeatureWords(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Distributions' specs ask for linker words where they choose what cc1 gets.
func TestLinkerWordsReachGCC(t *testing.T) {
	for _, word := range []string{"-nostdlib", "-nodefaultlibs", "-nostartfiles", "-static-libgcc", "-s"} {
		c := Parse([]string{word, "-c", "a.c"}, Env{Driver: Driver{Family: GCC}})
		sent := c.Compile("in.i", "out.o")
		if !slices.Contains(sent, word) {
			t.Errorf("%s is not in %q", word, sent)
		}
		if err := Admit(Parse(sent, Env{Driver: Driver{Family: GCC}})); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestEnvironmentOfTheCompiler(t *testing.T) {
	for kv, remote := range map[[2]string]bool{
		{"LD_PRELOAD", "/usr/lib/libfakeroot/libfakeroot-sysv.so"}: true,
		{"LD_PRELOAD", "libfakeroot-sysv.so:/tmp/x.so"}:            false,
		{"GLIBC_TUNABLES", "glibc.cpu.hwcaps=-FMA"}:                false,
		{"IPHONEOS_DEPLOYMENT_TARGET", "12"}:                       false,
		{"HOME", "/root"}:                                          true,
	} {
		c := Parse([]string{"-c", "a.c"}, Env{Driver: Driver{Family: GCC}, Getenv: func(k string) string {
			if k == kv[0] {
				return kv[1]
			}
			return ""
		}})
		if got := c.Verdict().Remote; got != remote {
			t.Errorf("%s=%s: remote %t, want %t", kv[0], kv[1], got, remote)
		}
	}
}

// Whoever runs the driver would resolve it: each spelling is local while it counts.
func TestNativeWithExtensions(t *testing.T) {
	for _, word := range []string{"-mcpu=native", "-mcpu=native+crypto", "-march=Native", "-Wa,-march=native+x"} {
		c := Parse([]string{word, "-c", "a.c"}, Env{Driver: Driver{Family: Clang}})
		if c.Verdict().Remote {
			t.Errorf("%s is remote", word)
		}
	}
}
