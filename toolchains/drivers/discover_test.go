package drivers

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

func TestDiscover(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"usr/bin/x86_64-linux-gnu-gcc-12", "usr/bin/x86_64-linux-gnu-g++-12", "usr/bin/clang-tidy", "usr/bin/gcc-ar", "usr/bin/make",
		"usr/bin/ccache", "usr/bin/crosscc", "usr/lib/llvm-14/bin/clang", "usr/x86_64-pc-linux-gnu/aarch64-unknown-linux-gnu/gcc-bin/13/aarch64-unknown-linux-gnu-gcc",
		"opt/only/bin/g++-9", "opt/only/bin/gcc-8",
	} {
		write(t, dir+"/"+name, "#!", 0o755)
	}
	write(t, dir+"/usr/bin/gcc-7", "not executable", 0o644)
	for name, text := range map[string]string{
		"usr/bin/gcc-12": "x86_64-linux-gnu-gcc-12", "usr/bin/gcc": "gcc-12", "usr/bin/cc": "/etc/alternatives/cc",
		"usr/bin/g++": "x86_64-linux-gnu-g++-12", "usr/bin/clang-14": "../lib/llvm-14/bin/clang", "usr/bin/clang++-14": "../lib/llvm-14/bin/clang++",
		"usr/lib/llvm-14/bin/clang++": "clang", "usr/bin/aarch64-linux-gnu-gcc": "crosscc", "usr/lib/ccache": "bin", "usr/bin/gcc-6": "nosuch",
	} {
		if err := os.Symlink(text, dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir+"/masq/x", "", 0o644)
	if err := os.Symlink("../usr/bin/ccache", dir+"/masq/gcc"); err != nil {
		t.Fatal(err)
	}
	r, err := rootfs.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	gentoo := "/usr/x86_64-pc-linux-gnu/aarch64-unknown-linux-gnu/gcc-bin/13/aarch64-unknown-linux-gnu-gcc"
	for _, tc := range []struct {
		path     string
		prefixes []string
		want     []string
	}{
		{"/masq:/usr/bin:/nosuch:relative:", nil, []string{"/usr/bin/clang-14", "/usr/bin/x86_64-linux-gnu-gcc-12"}},
		{"/usr/bin", DefaultPrefixes(), []string{"/opt/only/bin/g++-9", "/opt/only/bin/gcc-8", "/usr/bin/x86_64-linux-gnu-gcc-12", "/usr/lib/llvm-14/bin/clang", gentoo}},
		{"", []string{"/usr/bin/gcc-12"}, []string{"/usr/bin/gcc-12"}},
		{"", []string{"/opt/*/bin/gcc-?", "/usr/bin/aarch64-linux-gnu-gcc"}, []string{"/opt/only/bin/gcc-8"}},
		{"", nil, nil},
	} {
		if got, err := Discover(r, tc.path, tc.prefixes); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("Discover(%s, %q) = %q, %v, want %q", tc.path, tc.prefixes, got, err, tc.want)
		}
	}
	for _, bad := range []string{"/usr/[", "usr/bin", ""} {
		if got, err := Discover(r, "", []string{bad}); err == nil {
			t.Errorf("pattern %q gave %q", bad, got)
		}
	}
	for _, p := range searchPlaces {
		if _, err := r.Glob(p.Pattern, 10); err != nil || p.Notes == "" {
			t.Errorf("search place %s: %v, needs a note", p.Pattern, err)
		}
	}
}

func TestDiscoverHost(t *testing.T) {
	root := here(t)
	got, err := Discover(root, os.Getenv("PATH"), DefaultPrefixes())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/usr/bin/aarch64-linux-gnu-gcc-11", "/usr/bin/aarch64-linux-gnu-gcc-12", "/usr/bin/riscv64-linux-gnu-gcc-12", "/usr/bin/x86_64-linux-gnu-gcc-11", "/usr/bin/x86_64-linux-gnu-gcc-12", "/usr/lib/llvm-14/bin/clang"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not in %q (%s)", want, got, install)
		}
	}
}

func TestFindEquivalent(t *testing.T) {
	root := here(t)
	for name, want := range map[string]string{
		"aarch64-unknown-linux-gnu-gcc":    "/usr/bin/aarch64-linux-gnu-gcc",
		"aarch64-unknown-linux-gnu-gcc-11": "/usr/bin/aarch64-linux-gnu-gcc-11",
		"riscv64-unknown-linux-gnu-gcc":    "/usr/bin/riscv64-linux-gnu-gcc",
		"x86_64-pc-linux-gnu-g++":          "/usr/bin/x86_64-linux-gnu-g++",
		"x86_64-pc-linux-gnu-clang":        "",
		"aarch64-unknown-linux-musl-gcc":   "",
		"aarch64-unknown-linux-gnu-gcc-4":  "",
		"gcc":                              "",
	} {
		d, ok := argv.ParseDriver(name)
		if !ok {
			t.Fatalf("%s is no driver", name)
		}
		got, ok := FindEquivalent(root, "/nosuch:/usr/bin", d)
		if got != want || ok != (want != "") {
			t.Errorf("FindEquivalent(%s) = %q, want %q (%s)", name, got, want, install)
		}
	}
}

// install is what the tests with real compilers need.
const install = "apt-get install gcc-11 gcc-12 gcc-11-aarch64-linux-gnu gcc-12-aarch64-linux-gnu gcc-riscv64-linux-gnu clang-14"

// here is this machine.
func here(t *testing.T) *rootfs.Root {
	t.Helper()
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// write makes a file with its directories.
func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
