package headers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

// imageOf makes a directory that plays an image, of files "NAME: TEXT".
func imageOf(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name, text, _ := strings.Cut(f, ": ")
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNamesOfImage(t *testing.T) {
	dir := imageOf(t,
		"usr/include/lib.h: #include <config.h>\n#ifdef X\n#include_next \"sub/deep.h\"\n#endif\n#if __has_include(<maybe.h>)\n#endif",
		"usr/include/c++/12/vector: #include <bits/stl.h>",
		"usr/share/x/y.hpp: #include \"beside.hpp\"",
		"usr/include/m.h: #define MINE <indirect.h>\n#include MINE\n#include YOURS\n#include </abs/olute.h>",
		"usr/share/doc/readme: #include <not.h>",
		"usr/include/big.bin: \x00#include <not.h>")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "usr/include/out.h")); err != nil {
		t.Fatal(err)
	}
	got, err := NamesOf(t.Context(), dir)
	want := "mMINE\nmYOURS\nnbeside.hpp\nnbits/stl.h\nnconfig.h\nnindirect.h\nnmaybe.h\nnsub/deep.h"
	if err != nil || string(got) != want {
		t.Fatalf("%q, %v\nwant %q", got, err, want)
	}
	if _, err := ReadNames(got); err != nil {
		t.Error(err)
	}
	if _, err := ReadNames([]byte("nx.h\nevil")); err == nil {
		t.Error("a list with another line was taken")
	}
}

// What an image's headers may find in the client's directories travels; what the client
// has where the image's own are does not.
func TestImage(t *testing.T) {
	image := imageOf(t, "usr/include/lib.h: #include <config.h>\n#include \"sub/deep.h\"\n#include YOURS\n#include <absent.h>\n#include <stdio.h>")
	text, err := NamesOf(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	names, err := ReadNames(text)
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t)
	h.write("a.c: #include <stdio.h>\n#include <lib.h>\n#include \"own.h\"\n#define YOURS \"yours.h\"\n", "own.h", "config.h: beside the source, where <config.h> is not looked for",
		"inc/config.h: #include \"more.h\"", "inc/more.h", "inc/sub/deep.h", "inc/sub/other.h", "inc/yours.h", "inc/unnamed.h", "far/config.h")
	src := h.parse("gcc", []string{"-c", "-Iinc", "-Ifar", "-I/usr/include", "a.c"})
	src.Image = true
	scan := func(want string) {
		t.Helper()
		tree, err := h.s.Scan(t.Context(), h.fd, src)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range tree.Paths() {
			if !strings.HasPrefix(name, h.dir) {
				t.Errorf("%s is in the tree", name)
			}
		}
		if got := h.names(tree); got != want {
			t.Errorf("the tree has %q, want %q", got, want)
		}
	}
	scan("a.c own.h")
	src.Names = names
	scan("a.c far/config.h inc/config.h inc/more.h inc/sub/deep.h inc/yours.h own.h")
	// A name that comes later is seen.
	h.write("inc/absent.h", "inc/stdio.h")
	scan("a.c far/config.h inc/absent.h inc/config.h inc/more.h inc/stdio.h inc/sub/deep.h inc/yours.h own.h")

	// The same root without an image is another world.
	if tree := h.tree("gcc", "-c", "-Iinc", "a.c"); !strings.Contains(strings.Join(tree.Paths(), "\n"), "/usr/") {
		t.Error("without an image, no header of the machine's is in the tree")
	}

	src.Cmd = h.parse("gcc", []string{"-c", "--sysroot=" + h.dir, "a.c"}).Cmd
	if _, err := h.s.Scan(t.Context(), h.fd, src); reason(err) != string(Option) {
		t.Errorf("a sysroot of the client's: %v", err)
	}
}

// Without a command what is named is read, and nothing that it names.
func TestInputsOfLink(t *testing.T) {
	h := newHome(t)
	h.write("a.o: #include \"b.h\"", "b.h", "lib/libq.so.1: q")
	if err := os.Symlink("libq.so.1", filepath.Join(h.dir, "lib/libq.so")); err != nil {
		t.Fatal(err)
	}
	src := Source{Dir: h.dir, Image: true, Also: []string{"a.o", "lib/libq.so", "lib/libq.a", "/usr/lib/os-release", "/etc/passwd"}, Beside: []string{"lib"}}
	tree, err := h.s.Scan(t.Context(), h.fd, src)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.names(tree); got != "a.o lib/libq.so.1" || len(tree.Paths()) != 2 {
		t.Errorf("the tree has %q: %q", got, tree.Paths())
	}
}

// A source from standard input is looked into as one that lies in the working directory.
func TestStdin(t *testing.T) {
	h := newHome(t)
	h.write("own.h: #include \"more.h\"", "more.h", "inc/lib.h", "inc/own.h", "far/lib.h", "unnamed.h")
	src := h.parse("gcc", []string{"-c", "a.c"})
	src.Image, src.Stdin = true, []byte("#include \"own.h\"\n#include <lib.h>\n#define N \"far/lib.h\"\n#include N\n#include <stdio.h>\n")
	src.Cmd = argv.Parse([]string{"-Iinc", "-x", "c", "-c", "<stdin>"}, argv.Env{Driver: argv.Driver{Family: argv.GCC}})
	tree, err := h.s.Scan(t.Context(), h.fd, src)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.names(tree); got != "far/lib.h inc/lib.h more.h own.h" {
		t.Errorf("the tree has %q", got)
	}
	src.Stdin = []byte("__TIMESTAMP__")
	if _, err := h.s.Scan(t.Context(), h.fd, src); reason(err) != "timestamp" {
		t.Errorf("a time: %v", err)
	}
}
