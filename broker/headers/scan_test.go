package headers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
)

// TestNames holds one line for each way to name a file: what the directory has,
// what is scanned, and what of the directory the tree then has.
func TestNames(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		words string // "a.c" is scanned
		want  string // files, or the reason of an *Unsound
	}{
		{"every branch", []string{"a.c: #if 0\n#include \"x.h\"\n#else\n#include \"y.h\"\n#endif\n", "x.h", "y.h", "z.h"}, "", "a.c x.h y.h"},
		{"first hit", []string{"a.c: #include <x.h>", "p/x.h", "q/x.h"}, "-Inope -Iq -Ip", "a.c q/x.h"},
		{"beside before path", []string{"s/a.c: #include \"x.h\"", "s/x.h", "q/x.h"}, "-Iq s/a.c", "s/a.c s/x.h"},
		{"beside the name, not the link's target", []string{"a.c: #include \"in/l.h\"", "far/t.h: #include \"x.h\"", "far/x.h", "in/x.h", "in/l.h>../far/t.h"}, "", "a.c far/t.h in/x.h"},
		{"angle not beside", []string{"s/a.c: #include <x.h>", "s/x.h"}, "s/a.c", "s/a.c"},
		{"-I- ", []string{"s/a.c: #include \"x.h\"\n#include <y.h>", "s/x.h", "q/x.h", "q/y.h", "r/y.h"}, "-Iq -I- -Ir s/a.c", "q/x.h r/y.h s/a.c"},
		{"iquote", []string{"a.c: #include \"x.h\"\n#include <x.h>", "q/x.h", "r/x.h"}, "-iquote q -I r", "a.c q/x.h r/x.h"},
		{"next", []string{"a.c: #include <x.h>", "p/x.h: #include_next <x.h>", "q/x.h: #include_next \"x.h\"", "r/x.h"}, "-Ip -Iq -Ir", "a.c p/x.h q/x.h r/x.h"},
		{"next from beside", []string{"a.c: #include \"x.h\"", "x.h: #include_next <y.h>", "q/y.h", "r/y.h"}, "-Iq -Ir", "a.c q/y.h x.h"},
		{"next in main", []string{"a.c: #include_next <x.h>", "q/x.h"}, "-Iq", "a.c q/x.h"},
		{"import", []string{"a.c: #import \"x.h\"", "x.h"}, "", "a.c x.h"},
		{"directory of the name", []string{"a.c: #include <x.h>", "p/x.h/f", "q/x.h"}, "-Ip -Iq", "a.c q/x.h"},
		{"trailing slash", []string{"a.c: #include \"x.h/\"", "x.h"}, "", "a.c"},
		{"loop", []string{"a.c: #include \"x.h\"", "x.h: #include \"y.h\"", "y.h: #include \"x.h\"\n#include \"a.c\""}, "", "a.c x.h y.h"},
		{"probe", []string{"a.c: #if __has_include(\"x.h\") && __has_include ( <y.h> )\n#endif", "x.h: #include \"z.h\"", "y.h", "z.h"}, "-I.", "a.c x.h y.h"},
		{"probe in a macro", []string{"a.c: #define HAS(f) __has_include(f)\n#if HAS(<x.h>)\n#endif\n#if HAS(Y)\n#endif\n#define Y \"y.h\"", "x.h", "y.h"}, "-I.", "a.c x.h y.h"},
		{"probe of anything", []string{"a.c: #define HAS(f) __has_include(f)\n#define Y 1+1\n#if HAS(Y)\n#endif"}, "", "computed-include"},
		{"macro name", []string{"a.c: #define X \"x.h\"\n#include X", "x.h"}, "", "a.c x.h"},
		{"macro of macro in a header", []string{"a.c: #include \"c.h\"\n#include X", "c.h: #if 1\n#define X Y\n#else\n#define X <z.h>\n#endif\n#define Y <x.h>", "x.h", "z.h"}, "-I.", "a.c c.h x.h z.h"},
		{"macro of the command line", []string{"a.c: #include X", "x.h"}, `-DX="x.h"`, "a.c x.h"},
		{"macros of the command line", []string{"a.c: #include X\n#include Y", "x.h", "y.h"}, `-DX="x.h" -DY=<y.h> -DZ -DN=1 -Wp,-DW="w.h" -DF(a)=#a -UX -I.`, "a.c x.h y.h"},
		{"time of the command line", []string{"a.c: char *s = T;"}, "-DT=__TIMESTAMP__", "timestamp"},
		{"time handed on", []string{"a.c: char *s = T;"}, "-Wp,-DT=__TIMESTAMP__", "timestamp"},
		{"time in two pieces", []string{"a.c: #define C2(a,b) a##b\n#define C(a,b) C2(a,b)\nchar *s = C(__TI,ME__);"}, "", "computed-include"},
		{"time in pieces of the command line", []string{"a.c: char *s = C(T,ME__);"}, "-DT=__TI", "computed-include"},
		{"probe of the command line", []string{"a.c: #if HAS\n#endif"}, "-DHAS=__has_include(<w.h>)", "computed-include"},
		{"quoted probe of the command line", []string{"a.c: #if HAS\n#endif"}, `-DHAS=__has_include("w.h")`, "computed-include"},
		{"probe's other name", []string{"a.c: #if HAS(<x.h>)\n#endif", "x.h"}, "-DHAS=__has_include -I.", "a.c x.h"},
		{"incbin of the command line", []string{"a.c: __asm__(B);"}, `-DB=".incbin\t\"x\""`, "incbin"},
		{"asm of the command line", []string{"a.c: A"}, `-DA=__asm__(".incbin\t\"x\"");`, "incbin"},
		{"incbin of the command line for .S", []string{"a.S: A"}, `-DA=.incbin"x" a.S`, "incbin"},
		{"macro in brackets", []string{"a.c: #define d e\n#define X <d/x.h>\n#include X", "d/x.h", "e/x.h"}, "-I.", "computed-include"},
		{"macro with arguments", []string{"a.c: #define S(x) #x\n#include S(x.h)", "x.h"}, "", "computed-include"},
		{"macro of tokens", []string{"a.c: #define X <x.h\n#include X>", "x.h"}, "", "computed-include"},
		{"macro undefined", []string{"a.c: #ifdef CONFIG\n#include CONFIG\n#endif"}, "", "a.c"},
		{"macro of the compiler", []string{"a.c: #include __FILE__"}, "", "computed-include"},
		{"-include", []string{"s/a.c: ", "x.h: #include \"y.h\"", "y.h", "q/z.h", "s/x.h"}, "-include x.h -imacros z.h -Iq s/a.c", "q/z.h s/a.c x.h y.h"},
		{"line", []string{"a.c: #line 3 \"g.y\"\n# 4 \"h.y\" 2\n", "g.y", "h.y"}, "", "a.c g.y h.y"},
		{"line with escapes", []string{"a.c: #line 3 \"\\166.h\"\n", "v.h"}, "", "source-encoding"},
		{"incbin", []string{"a.c: __asm__(\".section .rodata\\n\" /* c */\n \".incbin \\\"x.bin\\\"\\n\");", "x.bin", "q/x.bin"}, "-Iq", "a.c q/x.bin x.bin"},
		{"incbin by macro", []string{"a.c: __asm__(\".incbin \\\"\" FILE \"\\\"\");"}, "", "incbin"},
		{"include of the assembler", []string{"a.c: __asm__(\".include \\\"x.s\\\"\");", "x.s: .incbin \"y\" \n", "y"}, "", "a.c x.s y"},
		{"gch", []string{"a.c: #include \"x.h\"\n#include \"y.h\"", "x.h", "x.h.gch", "y.h"}, "", "precompiled"},
		{"gch without a header", []string{"a.c: \n", "q/x.h.gch", "x.h"}, "-Iq -include x.h", "precompiled"},
		{"gch too late", []string{"a.c: #include \"x.h\"\n#include \"y.h\"", "x.h", "y.h.gch", "y.h"}, "", "a.c x.h y.h"},
		{"timestamp", []string{"a.c: char *s = __TIMESTAMP__;"}, "", "timestamp"},
		{"dependency", []string{"a.c: #pragma GCC dependency \"x\"", "x"}, "", "header-pragma"},
		{"units", []string{"a.c: import <x>;"}, "", "header-modules"},
		{"file as directory", []string{"a.c", "f"}, "-If", "search-option"},
		{"-remap", []string{"a.c"}, "-remap", "search-option"},
		{"traditional", []string{"a.c"}, "-traditional-cpp", "search-option"},
		{"charset", []string{"a.c"}, "-finput-charset=latin1", "source-encoding"},
		{"sysroot", []string{"a.c: #include <x.h>\n", "r/i/x.h", "i/x.h"}, "--sysroot=r -isystem =/i", "a.c r/i/x.h"},
		{"prefix", []string{"a.c: #include <x.h>\n", "pre/i/x.h"}, "-iprefix pre/ -iwithprefix i", "a.c pre/i/x.h"},
		{"absent", []string{"b.c"}, "", "unreadable-file"},
		{"device", []string{"a.c"}, "-include /dev/null", "special-file"},
		{"proc", []string{"a.c: #include \"/proc/self/environ\""}, "", "special-file"},
		{"self link", []string{"a.c: #include \"x.h\"", "x.h>x.h"}, "", "unreadable-file"},
		{"dead link", []string{"a.c: #include \"x.h\"", "x.h>nowhere"}, "", "a.c"},
		{"dots", []string{"a.c: #include \"q/../p/../q/./x.h\"", "q/x.h", "p/f"}, "", "a.c q/x.h"},
		{"dots through nothing", []string{"a.c: #include \"p/../q/x.h\"", "q/x.h"}, "", "a.c"},
		{"case", []string{"a.c: #include \"X.h\"", "x.h"}, "", "a.c"},
		{"odd names", []string{"a.c: #include \"x y%\\z#.h\"", "x y%\\z#.h", "-q"}, "", "a.c x y%\\z#.h"},
	}
	for _, tt := range tests {
		h := newHome(t)
		for _, f := range tt.files {
			if name, target, ok := strings.Cut(f, ">"); ok && !strings.Contains(name, " ") {
				if err := os.Symlink(target, filepath.Join(h.dir, name)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			h.write(f)
		}
		words := append([]string{"-c"}, strings.Fields(tt.words)...)
		if !strings.Contains(tt.words, "a.c") && !strings.Contains(tt.words, "a.S") {
			words = append(words, "a.c")
		}
		tree, err := h.scan("gcc-12", words...)
		got := reason(err)
		if err == nil {
			got = h.names(tree)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q (%v)", tt.name, got, tt.want, err)
		}
	}
}

// TestPrecompiledByClang: clang takes X.pch or X.gch for -include X, and a directory of
// that name for one that has some.
func TestPrecompiledByClang(t *testing.T) {
	for file, want := range map[string]string{
		"x.h.pch": "precompiled", "x.h.gch": "precompiled", "x.h.pch/a": "precompiled", "x.h.gch/c.gch": "precompiled", "y.h.pch": "none",
	} {
		h := newHome(t)
		h.write("a.c", "x.h", file)
		_, err := h.scan("clang-14", "-include", "x.h", "-c", "a.c")
		if got := reason(err); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
		if u, ok := errors.AsType[*Unsound](err); ok && !u.Local {
			t.Errorf("%s: clang's preprocessor would leave out what is in there", file)
		}
	}
}

// TestOperandWords: what -D says is text of the compile's.
func TestOperandWords(t *testing.T) {
	for _, word := range []string{"-DT=__TIME__", "-Wp,-DT=__TIME__"} {
		h := newHome(t)
		h.write("a.c: const char *s = T;")
		if tree := h.tree("gcc-12", "-c", word, "-DA=__attribute__((naked))", "a.c"); !tree.Has("__TIME__") || !tree.Has("naked") {
			t.Errorf("%s: words %q", word, tree.Words)
		}
		if _, err := h.scan("gcc-12", "-c", `-DP=_Pragma("GCC dependency \"v.h\"")`, "a.c"); reason(err) != string(Pragma) {
			t.Errorf("a pragma: %v", err)
		}
	}
}

// TestAbsolute: an absolute name leads to its file, whatever names it.
func TestAbsolute(t *testing.T) {
	for _, directive := range []string{"include", "include_next", "import"} {
		h := newHome(t)
		h.write("a.c: #include <x.h>\n", "p/x.h: #"+directive+" \""+h.dir+"/q/y.h\"\n", "q/y.h: int y;\n")
		for _, driver := range []string{"gcc-12", "clang-14"} {
			if got := h.names(h.same(driver, "-Ip", "-w", "a.c")); got != "a.c p/x.h q/y.h" {
				t.Errorf("#%s: %s", directive, got)
			}
		}
	}
}

// TestBadInput holds what must end soon, with a reason.
func TestBadInput(t *testing.T) {
	tests := []struct {
		name, want string
		make       func(h *home) []string
	}{
		{"50 MiB", "tree-too-large", func(h *home) []string {
			h.write("x.h")
			if err := os.Truncate(h.dir+"/x.h", 50<<20); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{"deep", "tree-too-large", func(h *home) []string {
			h.write("x.h: #include \"" + strings.Repeat("d/", 100) + "y.h\"")
			if err := os.MkdirAll(h.dir+"/"+strings.Repeat("d/", 100), 0o755); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{"long name", "unreadable-file", func(h *home) []string {
			h.write("x.h: #include \"" + strings.Repeat("n", 5000) + "\"")
			return nil
		}},
		{"no clean names", "none", func(h *home) []string { h.write("x.h: #include \"\xff\xfe.h\"", "\xff\xfe.h"); return nil }},
		{"names of a million files", "tree-too-large", func(h *home) []string {
			var b strings.Builder
			for i := range 30000 {
				fmt.Fprintf(&b, "#include \"n%d.h\"\n", i)
			}
			h.write("x.h: " + b.String())
			return nil
		}},
	}
	for _, tt := range tests {
		h := newHome(t)
		h.write("a.c: #include \"x.h\"\n")
		src := h.source("gcc-12", append(tt.make(h), "-c", "a.c")...)
		start := time.Now()
		tree, err := h.s.Scan(t.Context(), h.fd, src)
		if got := reason(err); got != tt.want {
			t.Errorf("%s: %s (%v), want %s", tt.name, got, err, tt.want)
		}
		if err == nil && !tree.NotUTF8 {
			t.Errorf("%s: not said that a name is not UTF-8", tt.name)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: took %v", tt.name, d)
		}
	}
}

// TestChanges scans, changes something, and scans again with the same Scanner:
// it must see what a new one sees. The clock is the real one.
func TestChanges(t *testing.T) {
	base := []string{"a.c: #include \"x.h\"\n#include <y.h>\n", "x.h: int x;\n", "q/y.h: int y;\n", "p/f", "link/f"}
	tests := []struct {
		name   string
		change func(h *home)
		same   bool
	}{
		{"nothing", func(h *home) {}, true},
		{"contents, same size", func(h *home) { h.write("x.h: int z;\n") }, false},
		{"contents swapped", func(h *home) { h.write("x.h: int y;\n", "q/y.h: int x;\n") }, false},
		{"replaced by rename", func(h *home) { h.write("n: int n;\n"); h.rename("n", "x.h") }, false},
		{"touched", func(h *home) { os.Chtimes(h.dir+"/x.h", time.Unix(1, 0), time.Unix(1, 0)) }, true},
		{"in an earlier directory", func(h *home) { h.write("p/y.h: int y;\n") }, false},
		{"moved to an earlier directory", func(h *home) { h.rename("q/y.h", "p/y.h") }, false},
		{"directory deleted", func(h *home) { os.RemoveAll(h.dir + "/q") }, false},
		{"directory became a link", func(h *home) { os.RemoveAll(h.dir + "/p"); os.Symlink("q", h.dir+"/p") }, false},
		{"generated", func(h *home) { h.write("p/new.h: int n;\n", "x.h: #include \"p/new.h\"\n") }, false},
		{"another file", func(h *home) { h.write("p/other.h: ") }, true},
		{"an absent directory appears", func(h *home) { h.write("nope/y.h: int n;\n") }, false},
	}
	scan := func(h *home, s *Scanner) string {
		tree, err := s.Scan(t.Context(), h.fd, h.source("gcc-12", "-Inope", "-Ip", "-Iq", "-c", "a.c"))
		if err != nil {
			t.Fatal(err)
		}
		return show(tree)
	}
	for _, settled := range []bool{false, true} {
		homes := make([]*home, len(tests))
		for i := range tests {
			homes[i] = newHome(t)
			homes[i].write(base...)
			homes[i].s = New(nil)
		}
		if settled {
			time.Sleep(2100 * time.Millisecond) // ctime can't be set; now the first scan keeps everything
		}
		for i, tt := range tests {
			h := homes[i]
			before := scan(h, h.s)
			tt.change(h)
			after, fresh := scan(h, h.s), scan(h, New(nil))
			if after != fresh {
				t.Errorf("%s, settled %v: an old Scanner sees\n%s\na new one\n%s", tt.name, settled, after, fresh)
			}
			if (after == before) != tt.same {
				t.Errorf("%s: same is %v, want %v", tt.name, after == before, tt.same)
			}
		}
	}
}

func (h *home) rename(from, to string) {
	h.t.Helper()
	if err := os.Rename(h.dir+"/"+from, h.dir+"/"+to); err != nil {
		h.t.Fatal(err)
	}
}

// TestNothingReadAgain: a second job over the same headers only looks.
func TestNothingReadAgain(t *testing.T) {
	h := newHome(t)
	h.write(big, "two.cc: #include <vector>\n#include <regex>\n")
	h.tree("g++-12", "-c", "big.cc")
	n := h.s.Reads()
	h.tree("g++-12", "-c", "two.cc")
	h.tree("g++-12", "-c", "big.cc", "-g")
	if got := h.s.Reads() - n; got != 1 {
		t.Errorf("%d files were read again, want 1", got)
	}
	if n < 300 {
		t.Errorf("%d files", n)
	}
}

func TestStale(t *testing.T) {
	h := newHome(t)
	h.write("a.c")
	src := h.source("gcc-12", "-c", "a.c")
	src.Defaults.Gone = append(src.Defaults.Gone, h.dir+"/later")
	if _, err := h.s.Scan(t.Context(), h.fd, src); err != nil {
		t.Fatal(err)
	}
	h.write("later/x")
	if _, err := h.s.Scan(t.Context(), h.fd, src); reason(err) != string(Stale) {
		t.Errorf("got %v", err)
	}
}

func TestTree(t *testing.T) {
	h := newHome(t)
	h.write("a.c: #include \"l/x.h\"\n#include \"y.h\"\n__attribute__((optimize(\"O3\"))) int f; char *d = __DATE__;\n#pragma GCC target (\"avx\")", "r/x.h: \n", "empty/f")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink(h.dir+"/r", h.dir+"/l"))
	must(os.Link(h.dir+"/r/x.h", h.dir+"/y.h"))
	tree := h.tree("clang-14", "-Iempty", "-c", "a.c")
	if got := h.names(tree); got != "a.c r/x.h y.h" {
		t.Errorf("files %q", got)
	}
	want := func(line string) {
		t.Helper()
		if !strings.Contains(show(tree), line) {
			t.Errorf("no %q in\n%s", line, show(tree))
		}
	}
	x := broker.DigestOf([]byte("\n")).String()
	want(h.dir + "/y.h " + x + " 0 1\n")
	want(h.dir + "/r/x.h " + x + " 0 1\n")
	want(h.dir + "/l > " + h.dir + "/r\n")
	want(h.dir + "/empty/\n")
	if err := tree.Root.Validate(); err != nil {
		t.Error(err)
	}
	for name, e := range tree.Root.All() {
		if e.File == nil {
			continue
		}
		data, err := e.File.Blob.Bytes(maxTest)
		if known, _ := os.ReadFile(name); err != nil || !bytes.Equal(data, known) {
			t.Errorf("%s: %v, or not its content", name, err)
		}
		if e.File.Class != 0 && !strings.HasPrefix(name, h.dir) {
			t.Errorf("%s: class %d", name, e.File.Class)
		}
	}
	for _, w := range []string{"optimize", "pragma GCC target", "__DATE__"} {
		if !tree.Has(w) {
			t.Errorf("no word %q in %q", w, tree.Words)
		}
	}
	if tree.Has("__TIME__") || tree.Has("naked") {
		t.Errorf("words %q", tree.Words)
	}
}

// TestAtOnce: many scans share one Scanner, and see the same.
func TestAtOnce(t *testing.T) {
	h := newHome(t)
	h.write("a.cc: #include <vector>\n#include <cstdio>\n")
	src := h.source("g++-12", "-c", "a.cc")
	var group sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		group.Go(func() {
			tree, err := h.s.Scan(t.Context(), h.fd, src)
			if err != nil {
				got[i] = err.Error()
			} else {
				got[i] = show(tree)
			}
		})
	}
	group.Wait()
	for i := range got {
		if got[i] != got[0] {
			t.Errorf("scan %d differs", i)
		}
	}
	alone := New(later)
	if _, err := alone.Scan(t.Context(), h.fd, src); err != nil {
		t.Fatal(err)
	}
	if h.s.Reads() != alone.Reads() {
		t.Errorf("%d reads, alone %d", h.s.Reads(), alone.Reads())
	}
}

// TestEnds: a scan whose job is gone ends with the cause, and leaves no
// descriptor.
func TestEnds(t *testing.T) {
	h := newHome(t)
	h.write(big)
	src := h.source("g++-12", "-c", "big.cc")
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the wrapper is gone")
	cancel(gone)
	if _, err := h.s.Scan(ctx, h.fd, src); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	before := descriptors(t)
	h.tree("g++-12", "-c", "big.cc")
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
