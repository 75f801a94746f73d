package headers

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// ask fills in what the compiler itself lists.
func (h *home) ask(driver string, src Source, words ...string) Source {
	h.t.Helper()
	cmd := exec.Command(driver, append(slices.Clone(words), "-M")...)
	cmd.Dir, cmd.Env = h.dir, append(slices.Clone(h.env), "PWD="+h.dir)
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%s %q: %v", driver, words, err)
	}
	if src.Told, err = Told(out); err != nil {
		h.t.Fatal(err)
	}
	src.Asked = time.Now().Add(time.Hour) // no file is young
	return src
}

// kernel is how trace events are included by name.
const kernel = `define.h: #define STR_1(x...) #x
#define STR(x...) STR_1(x)
#ifndef PATH
#define NAME_1(x) <events/x.h>
#else
#define NAME_1(x) STR(PATH/x.h)
#endif
#define NAME(x) NAME_1(x)
#include NAME(SYSTEM)
`

// TestTold: with the compiler's own list a name that macros make is no secret.
func TestTold(t *testing.T) {
	for _, driver := range []string{"gcc-12", "clang-14"} {
		h := newHome(t)
		h.write(kernel, "i/events/disk.h: #include \"more.h\"\nint disk = MORE;\n", "i/events/more.h: #define MORE 1\n",
			"far/net.h: int net; // __DATE__ is no comment's\nint date(void) { return sizeof __DATE__; }\n",
			"a.c: #define SYSTEM disk\n#include \"define.h\"\n", "b.c: #define SYSTEM net\n#define PATH far\n#include \"define.h\"\n")
		for file, want := range map[string]string{
			"a.c": "a.c define.h i/events/disk.h i/events/more.h",
			"b.c": "b.c define.h far/net.h",
		} {
			words := []string{"-c", "-Ii", "-I.", file}
			src := h.source(driver, words...)
			_, err := h.s.Scan(t.Context(), h.fd, src)
			if u, ok := errors.AsType[*Unsound](err); !ok || !u.Askable || u.Reason != Computed {
				t.Fatalf("%s %s: %v", driver, file, err)
			}
			src = h.ask(driver, src, words...)
			tree, err := h.s.Scan(t.Context(), h.fd, src)
			if err != nil {
				t.Fatalf("%s %s: %v", driver, file, err)
			}
			if got := h.names(tree); got != want || !tree.Told {
				t.Errorf("%s %s: the tree has %s, want %s", driver, file, got, want)
			}
			if tree.Has("__DATE__") != (file == "b.c") {
				t.Errorf("%s %s: words %q", driver, file, tree.Words)
			}
			if file == "a.c" {
				here, there := h.atHome(driver, words), h.away(driver, words, src, tree)
				if here.status != 0 || there.status != 0 || there.stderr != here.stderr || string(here.object) != string(there.object) {
					t.Errorf("%s: %d %s, at home %d", driver, there.status, there.stderr, here.status)
				}
			}
			src.Asked = time.Now()
			if _, err = h.s.Scan(t.Context(), h.fd, src); reason(err) != string(Changed) {
				t.Errorf("%s %s: files were written this very second: %v", driver, file, err)
			}
			src.Told = append(src.Told, "none.h")
			if _, err = h.s.Scan(t.Context(), h.fd, src); reason(err) != string(Changed) {
				t.Errorf("%s %s: a file on the list is gone: %v", driver, file, err)
			}
		}
	}
}

// What a listed file asks for behind the directory where it was found is on no list
// either, and where that was is not known.
func TestToldAsksNext(t *testing.T) {
	for _, driver := range []string{"gcc-12", "clang-14"} {
		h := newHome(t)
		h.write("a.c: #define STR_1(x) #x\n#define STR(x) STR_1(x)\n#include STR(d/n.h)\n",
			"p/d/n.h: #if __has_include_next(<d/n.h>)\nint next;\n#endif\n", "q/d/n.h: int never;\n")
		words := []string{"-c", "-Ip", "-Iq", "a.c"}
		src := h.ask(driver, h.source(driver, words...), words...)
		tree, err := h.s.Scan(t.Context(), h.fd, src)
		if err != nil {
			t.Fatalf("%s: %v", driver, err)
		}
		if got, want := h.names(tree), "a.c p/d/n.h q/d/n.h"; got != want {
			t.Errorf("%s: the tree has %s, want %s", driver, got, want)
		}
		here, there := h.atHome(driver, words), h.away(driver, words, src, tree)
		if here.status != 0 || there.status != 0 || string(here.object) != string(there.object) {
			t.Errorf("%s: %d %s, at home %d: the objects differ", driver, there.status, there.stderr, here.status)
		}
	}
}

// What is only asked for is on no list.
func TestToldIsNotAll(t *testing.T) {
	h := newHome(t)
	h.write("a.c: #define NAME(x) <x>\n#if __has_include(NAME(y.h))\nint y;\n#endif\n")
	src := h.source("gcc-12", "-c", "-I.", "a.c")
	for range 2 {
		_, err := h.s.Scan(t.Context(), h.fd, src)
		if u, ok := errors.AsType[*Unsound](err); !ok || u.Askable {
			t.Errorf("%v", err)
		}
		src = h.ask("gcc-12", src, "-c", "-I.", "a.c")
	}
}

func TestToldNames(t *testing.T) {
	got, err := Told([]byte("a.o: a.c /usr/x.h \\\n a.c b\\ c.h\n"))
	if err != nil || strings.Join(got, "|") != "a.c|/usr/x.h|b c.h" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"no colon\n", "a.o: i\\\\j.h\n"} {
		if got, err := Told([]byte(bad)); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}
