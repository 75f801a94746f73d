package drivers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

// What clang's driver says is asked anew after each of these, and only then.
// tc has gcc 11, the empty directory of a 13 and of a target's C++ headers, s
// headers, link leads to the gcc of real, none does not exist.
func TestCacheClang(t *testing.T) {
	steps := []struct {
		name   string
		words  []string
		change func(t *testing.T, dir string)
	}{
		{"newer gcc in --gcc-toolchain", []string{"--gcc-toolchain=tc"}, func(t *testing.T, dir string) { drivertest.InstallGCC(t, dir+"/tc", "x86_64-linux-gnu", "12") }},
		{"same, an absolute name", []string{"--gcc-toolchain=DIR/tc"}, func(t *testing.T, dir string) { drivertest.InstallGCC(t, dir+"/tc", "x86_64-linux-gnu", "12") }},
		{"first gcc there", []string{"--gcc-toolchain=none"}, func(t *testing.T, dir string) { drivertest.InstallGCC(t, dir+"/none", "x86_64-linux-gnu", "12") }},
		{"headers of an installation behind a link", []string{"--gcc-toolchain=link"}, func(t *testing.T, dir string) {
			drivertest.Write(t, dir+"/real/x86_64-linux-gnu/include/c++/11/w.h", "", 0o644)
		}},
		{"crtbegin.o in an empty installation", []string{"--gcc-toolchain=tc"}, func(t *testing.T, dir string) {
			drivertest.Write(t, dir+"/tc/lib/gcc/x86_64-linux-gnu/13/crtbegin.o", "", 0o644)
		}},
		{"headers of the target", []string{"--gcc-toolchain=tc"}, func(t *testing.T, dir string) {
			drivertest.Write(t, dir+"/tc/x86_64-linux-gnu/include/c++/11/w.h", "", 0o644)
		}},
		{"multiarch directory in --sysroot=", []string{"--sysroot=s"}, func(t *testing.T, dir string) {
			drivertest.Write(t, dir+"/s/usr/include/x86_64-linux-gnu/w.h", "", 0o644)
		}},
		{"same of two words", []string{"--sysroot", "s"}, func(t *testing.T, dir string) {
			drivertest.Write(t, dir+"/s/usr/include/x86_64-linux-gnu/w.h", "", 0o644)
		}},
		{"libc++ in --sysroot", []string{"--sysroot=s", "-stdlib=libc++"}, func(t *testing.T, dir string) { drivertest.Write(t, dir+"/s/usr/include/c++/v1/w.h", "", 0o644) }},
		{"gcc in --sysroot", []string{"--sysroot=s"}, func(t *testing.T, dir string) { drivertest.InstallGCC(t, dir+"/s/usr", "x86_64-linux-gnu", "12") }},
		{"cross gcc in --sysroot", []string{"--sysroot=s"}, func(t *testing.T, dir string) {
			drivertest.Write(t, dir+"/s/usr/lib/gcc-cross/x86_64-linux-gnu/12/crtbegin.o", "", 0o644)
		}},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			h, dir := drivertest.New(t), t.TempDir()
			h.Cache = drivertest.Settled(t.TempDir())
			drivertest.InstallGCC(t, dir+"/tc", "x86_64-linux-gnu", "11")
			drivertest.InstallGCC(t, dir+"/real", "x86_64-linux-gnu", "11")
			for _, name := range []string{"tc/lib/gcc/x86_64-linux-gnu/13", "tc/x86_64-linux-gnu/include/c++", "s/usr/include", "link/lib/gcc/x86_64-linux-gnu"} {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(dir+"/real/lib/gcc/x86_64-linux-gnu/11", dir+"/link/lib/gcc/x86_64-linux-gnu/11"); err != nil {
				t.Fatal(err)
			}
			prog := drivers.Program{Path: drivertest.Need(t, "clang++-14")}
			for _, w := range append(s.words, "-x", "c++", "-E", "-v", "-") {
				prog.Args = append(prog.Args, strings.ReplaceAll(w, "DIR", dir))
			}
			ask := func() (said string, asked bool) {
				t.Helper()
				before := h.Runs.Load()
				out, err := h.In(dir).Remembered("")(t.Context(), prog)
				if err != nil || out.Status != 0 {
					t.Fatal(err, string(out.Stderr))
				}
				return string(out.Stderr), h.Runs.Load() != before
			}
			first, _ := ask()
			if again, asked := ask(); again != first || asked {
				t.Errorf("nothing changed, asked anew: %v", asked)
			}
			h.Cache = drivertest.Settled(h.Cache.Dir)
			if again, asked := ask(); again != first || asked {
				t.Errorf("nothing changed on disk, asked anew: %v", asked)
			}
			s.change(t, dir)
			if again, asked := ask(); again == first || !asked {
				t.Errorf("after the change the same answer, asked anew: %v", asked)
			}
		})
	}
}

// A relative name is another place in another directory.
func TestCacheClangDir(t *testing.T) {
	h, dir := drivertest.New(t), t.TempDir()
	h.Cache = drivertest.Settled(t.TempDir())
	drivertest.InstallGCC(t, dir+"/a/tc", "x86_64-linux-gnu", "11")
	drivertest.InstallGCC(t, dir+"/b/tc", "x86_64-linux-gnu", "12")
	for _, d := range []string{"a", "b", "a"} {
		out, err := h.In(dir+"/"+d).Remembered("")(t.Context(), drivers.Program{Path: drivertest.Need(t, "clang++-14"), Args: []string{"--gcc-toolchain=tc", "-x", "c++", "-v", "-E", "-"}})
		if want := map[string]string{"a": "x86_64-linux-gnu/11/", "b": "x86_64-linux-gnu/12/"}[d]; err != nil || !strings.Contains(string(out.Stderr), want) {
			t.Errorf("in %s: %v, no %s in %s", d, err, want, out.Stderr)
		}
	}
}

// What rests on more than is looked at, and what failed, is asked each time.
func TestCacheClangFleeting(t *testing.T) {
	h, dir := drivertest.New(t), t.TempDir()
	for name, words := range map[string][]string{
		"another system": {"--target=x86_64-unknown-freebsd", "-v", "-###", "-x", "c", "-c", "-"},
		"android":        {"--target=aarch64-linux-android21", "-v", "-###", "-x", "c", "-c", "-"},
		"failed":         {"-mnosuch", "-v", "-E", "-x", "c", "-"},
	} {
		h.Cache = drivertest.Settled(t.TempDir())
		for range 2 {
			before := h.Runs.Load()
			if _, err := h.In(dir).Remembered("")(t.Context(), drivers.Program{Path: drivertest.Need(t, "clang-14"), Args: words}); err != nil || h.Runs.Load() == before {
				t.Errorf("%s: %v, %d programs run", name, err, h.Runs.Load()-before)
			}
		}
	}
	h.Cache = drivertest.Settled("")
	if _, err := h.System.Remembered("")(t.Context(), drivers.Program{Path: drivertest.Need(t, "clang-14"), Stdin: []byte("x")}); err == nil {
		t.Error("a question with an input was remembered")
	}
}
