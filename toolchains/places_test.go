package toolchains

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/toolchains/drivers"
)

// in is the host with programs that begin in dir.
func (h *host) in(dir string) drivers.System {
	sys := h.System
	sys.Dir = dir
	sys.Run = func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		p.Args = append([]string{"-c", `cd "$0" && exec "$@"`, dir, p.Path}, p.Args...)
		p.Path = "/bin/sh"
		return h.run(ctx, p)
	}
	return sys
}

// installGCC makes what clang takes for a gcc for target.
func installGCC(t *testing.T, prefix, target, version string) {
	t.Helper()
	write(t, filepath.Join(prefix, "lib/gcc", target, version, "crtbegin.o"), "", 0o644)
	write(t, filepath.Join(prefix, "include/c++", version, "ww.h"), "", 0o644)
}

const arm = "aarch64-linux-gnu"

// Outline atomics come with a gcc that has them.
func TestClangWordsFollowInstallations(t *testing.T) {
	h, c, dir := newHost(t), settledCache(t.TempDir()), t.TempDir()
	installGCC(t, dir+"/a/tc", arm, "8")
	installGCC(t, dir+"/b/tc", arm, "12")
	ask := func(cwd, toolchain string) bool {
		t.Helper()
		words := []string{"--target=" + arm, "--gcc-toolchain=" + toolchain, "-O2"}
		got, err := c.ClangWords(t.Context(), h.in(cwd), nil, need(t, "clang-14"), words)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ClangWords(t.Context(), h.in(cwd), need(t, "clang-14"), words)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("in %s with %s: remembered %q, asked anew %q, %v", cwd, toolchain, got, want, err)
		}
		return slices.Contains(want, "+outline-atomics")
	}
	if ask(dir+"/a", "tc") || !ask(dir+"/b", "tc") || ask("/", dir+"/a/tc") {
		t.Error("gcc 8 has outline atomics, or gcc 12 none")
	}
	installGCC(t, dir+"/a/tc", arm, "12")
	if !ask(dir+"/a", "tc") || !ask("/", dir+"/a/tc") {
		t.Error("gcc 12 has no outline atomics")
	}
}

// What clang's driver says is asked anew after each of these, and only then.
// tc has gcc 11, the empty directory of a 13 and of a target's C++ headers, s
// headers, link leads to the gcc of real, none does not exist.
func TestCacheClang(t *testing.T) {
	steps := []struct {
		name   string
		words  []string
		change func(t *testing.T, dir string)
	}{
		{"newer gcc in --gcc-toolchain", []string{"--gcc-toolchain=tc"}, func(t *testing.T, dir string) { installGCC(t, dir+"/tc", "x86_64-linux-gnu", "12") }},
		{"same, an absolute name", []string{"--gcc-toolchain=DIR/tc"}, func(t *testing.T, dir string) { installGCC(t, dir+"/tc", "x86_64-linux-gnu", "12") }},
		{"first gcc there", []string{"--gcc-toolchain=none"}, func(t *testing.T, dir string) { installGCC(t, dir+"/none", "x86_64-linux-gnu", "12") }},
		{"headers of an installation behind a link", []string{"--gcc-toolchain=link"}, func(t *testing.T, dir string) {
			write(t, dir+"/real/x86_64-linux-gnu/include/c++/11/w.h", "", 0o644)
		}},
		{"crtbegin.o in an empty installation", []string{"--gcc-toolchain=tc"}, func(t *testing.T, dir string) {
			write(t, dir+"/tc/lib/gcc/x86_64-linux-gnu/13/crtbegin.o", "", 0o644)
		}},
		{"headers of the target", []string{"--gcc-toolchain=tc"}, func(t *testing.T, dir string) {
			write(t, dir+"/tc/x86_64-linux-gnu/include/c++/11/w.h", "", 0o644)
		}},
		{"multiarch directory in --sysroot=", []string{"--sysroot=s"}, func(t *testing.T, dir string) { write(t, dir+"/s/usr/include/x86_64-linux-gnu/w.h", "", 0o644) }},
		{"same of two words", []string{"--sysroot", "s"}, func(t *testing.T, dir string) { write(t, dir+"/s/usr/include/x86_64-linux-gnu/w.h", "", 0o644) }},
		{"libc++ in --sysroot", []string{"--sysroot=s", "-stdlib=libc++"}, func(t *testing.T, dir string) { write(t, dir+"/s/usr/include/c++/v1/w.h", "", 0o644) }},
		{"gcc in --sysroot", []string{"--sysroot=s"}, func(t *testing.T, dir string) { installGCC(t, dir+"/s/usr", "x86_64-linux-gnu", "12") }},
		{"cross gcc in --sysroot", []string{"--sysroot=s"}, func(t *testing.T, dir string) {
			write(t, dir+"/s/usr/lib/gcc-cross/x86_64-linux-gnu/12/crtbegin.o", "", 0o644)
		}},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			h, c, dir := newHost(t), settledCache(t.TempDir()), t.TempDir()
			installGCC(t, dir+"/tc", "x86_64-linux-gnu", "11")
			installGCC(t, dir+"/real", "x86_64-linux-gnu", "11")
			for _, name := range []string{"tc/lib/gcc/x86_64-linux-gnu/13", "tc/x86_64-linux-gnu/include/c++", "s/usr/include", "link/lib/gcc/x86_64-linux-gnu"} {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(dir+"/real/lib/gcc/x86_64-linux-gnu/11", dir+"/link/lib/gcc/x86_64-linux-gnu/11"); err != nil {
				t.Fatal(err)
			}
			prog := drivers.Program{Path: need(t, "clang++-14")}
			for _, w := range append(s.words, "-x", "c++", "-E", "-v", "-") {
				prog.Args = append(prog.Args, strings.ReplaceAll(w, "DIR", dir))
			}
			ask := func(c *Cache) (said string, asked bool) {
				t.Helper()
				before := h.runs.Load()
				out, err := c.Clang(h.in(dir), Fingerprint{})(t.Context(), prog)
				if err != nil || out.Status != 0 {
					t.Fatal(err, string(out.Stderr))
				}
				return string(out.Stderr), h.runs.Load() != before
			}
			first, _ := ask(c)
			if again, asked := ask(c); again != first || asked {
				t.Errorf("nothing changed, asked anew: %v", asked)
			}
			if again, asked := ask(settledCache(c.Dir)); again != first || asked {
				t.Errorf("nothing changed on disk, asked anew: %v", asked)
			}
			s.change(t, dir)
			if again, asked := ask(c); again == first || !asked {
				t.Errorf("after the change the same answer, asked anew: %v", asked)
			}
		})
	}
}

// A relative name is another place in another directory.
func TestCacheClangDir(t *testing.T) {
	h, c, dir := newHost(t), settledCache(t.TempDir()), t.TempDir()
	installGCC(t, dir+"/a/tc", "x86_64-linux-gnu", "11")
	installGCC(t, dir+"/b/tc", "x86_64-linux-gnu", "12")
	for _, d := range []string{"a", "b", "a"} {
		out, err := c.Clang(h.in(dir+"/"+d), Fingerprint{})(t.Context(), drivers.Program{Path: need(t, "clang++-14"), Args: []string{"--gcc-toolchain=tc", "-x", "c++", "-v", "-E", "-"}})
		if want := map[string]string{"a": "x86_64-linux-gnu/11/", "b": "x86_64-linux-gnu/12/"}[d]; err != nil || !strings.Contains(string(out.Stderr), want) {
			t.Errorf("in %s: %v, no %s in %s", d, err, want, out.Stderr)
		}
	}
}

// What rests on more than is looked at, and what failed, is asked each time.
func TestCacheClangFleeting(t *testing.T) {
	h, dir := newHost(t), t.TempDir()
	for name, words := range map[string][]string{
		"another system": {"--target=x86_64-unknown-freebsd", "-v", "-###", "-x", "c", "-c", "-"},
		"android":        {"--target=aarch64-linux-android21", "-v", "-###", "-x", "c", "-c", "-"},
		"failed":         {"-mnosuch", "-v", "-E", "-x", "c", "-"},
	} {
		c := settledCache(t.TempDir())
		for range 2 {
			before := h.runs.Load()
			if _, err := c.Clang(h.in(dir), Fingerprint{})(t.Context(), drivers.Program{Path: need(t, "clang-14"), Args: words}); err != nil || h.runs.Load() == before {
				t.Errorf("%s: %v, %d programs run", name, err, h.runs.Load()-before)
			}
		}
	}
	c := settledCache("")
	if _, err := c.Clang(h.System, Fingerprint{})(t.Context(), drivers.Program{Path: need(t, "clang-14"), Stdin: []byte("x")}); err == nil {
		t.Error("a question with an input was remembered")
	}
}
