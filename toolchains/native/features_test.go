package native

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

const arm = "aarch64-linux-gnu"

// Outline atomics come with a gcc that has them.
func TestClangWordsFollowInstallations(t *testing.T) {
	h, dir := drivertest.New(t), t.TempDir()
	cache := drivertest.Settled(t.TempDir())
	drivertest.InstallGCC(t, dir+"/a/tc", arm, "8")
	drivertest.InstallGCC(t, dir+"/b/tc", arm, "12")
	ask := func(cwd, toolchain string) bool {
		t.Helper()
		words := []string{"--target=" + arm, "--gcc-toolchain=" + toolchain, "-O2"}
		sys := h.In(cwd)
		want, err := ClangWords(t.Context(), sys, nil, drivertest.Need(t, "clang-14"), words)
		if err != nil {
			t.Fatal(err)
		}
		sys.Cache = cache
		got, err := ClangWords(t.Context(), sys, nil, drivertest.Need(t, "clang-14"), words)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("in %s with %s: remembered %q, asked anew %q, %v", cwd, toolchain, got, want, err)
		}
		return slices.Contains(want, "+outline-atomics")
	}
	if ask(dir+"/a", "tc") || !ask(dir+"/b", "tc") || ask("/", dir+"/a/tc") {
		t.Error("gcc 8 has outline atomics, or gcc 12 none")
	}
	drivertest.InstallGCC(t, dir+"/a/tc", arm, "12")
	if !ask(dir+"/a", "tc") || !ask("/", dir+"/a/tc") {
		t.Error("gcc 12 has no outline atomics")
	}
}

func TestClangWords(t *testing.T) {
	h := drivertest.New(t)
	got, err := ClangWords(t.Context(), h.System, nil, drivertest.Need(t, "clang-14"), []string{"--target=aarch64-linux-gnu", "-march=armv8.1-a", "-O2"})
	if err != nil || !slices.Contains(got, "+v8.1a") || !slices.Contains(got, "+outline-atomics") {
		t.Errorf("features %q, %v (outline-atomics comes with gcc-12-aarch64-linux-gnu)", got, err)
	}
	for _, tc := range [][2]string{
		{"-ffast-math", "-fdenormal-fp-math=preserve-sign,preserve-sign"}, // crtfastmath.o comes with gcc-12
		{"-Ofast --gcc-toolchain=/nosuch", "-fdenormal-fp-math=ieee,ieee"},
	} {
		got, err := ClangWords(t.Context(), h.System, nil, drivertest.Need(t, "clang-14"), strings.Fields(tc[0]))
		if err != nil || !slices.Contains(got, tc[1]) {
			t.Errorf("%s has %q, %v, want %s", tc[0], got, err, tc[1])
		}
	}
	if got, err := ClangWords(t.Context(), h.System, nil, drivertest.Need(t, "clang-14"), []string{"-mnosuch"}); err == nil {
		t.Errorf("features of an unknown word: %q", got)
	}
}

func TestCacheClangWords(t *testing.T) {
	h := drivertest.New(t)
	h.Cache = drivertest.Settled(t.TempDir())
	words := []string{"--target=aarch64-linux-gnu"}
	of := toolchains.Fingerprint{"driver": "1", "lib:libclang-cpp.so.14": "1"}
	first, err := ClangWords(t.Context(), h.System, of, drivertest.Need(t, "clang-14"), words)
	if err != nil || len(first) == 0 {
		t.Fatal(first, err)
	}
	before := h.Runs.Load()
	if again, err := ClangWords(t.Context(), h.System, of, drivertest.Need(t, "clang-14"), words); err != nil || !reflect.DeepEqual(first, again) || h.Runs.Load() != before {
		t.Errorf("%q, %v, %d programs run", again, err, h.Runs.Load()-before)
	}
	if _, err := ClangWords(t.Context(), h.System, of, drivertest.Need(t, "clang-14"), []string{"--target=riscv64-linux-gnu"}); err != nil || h.Runs.Load() == before {
		t.Errorf("other words: %v", err)
	}
	// libclang-cpp alone was replaced: the driver's file is the same.
	of["lib:libclang-cpp.so.14"], before = "2", h.Runs.Load()
	if _, err := ClangWords(t.Context(), h.System, of, drivertest.Need(t, "clang-14"), words); err != nil || h.Runs.Load() == before {
		t.Errorf("another library: %v, %d programs run", err, h.Runs.Load()-before)
	}
}
