package headers

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/toolchains/drivers"
)

// fragments are what texts are hard to read for, put together at random.
var fragments = []string{
	`"`, `'`, "/*", "*/", "//", "\\\n", "\\ \n", "??/\n", `R"(`, `)"`, `R"x(`, `)x"`, "\n", "\n", "\n", "#if 0\n", "#if 1\n", "#else\n",
	"#endif\n", "#define Q ", "u8", "1'0", "\r", "\r\n", "??=", "%:", "#", "/", "*", "'", `\"`, "??'", "x", " ", "LR", "\t", "\v", "??",
	"\n#include \"N\"\n", "\n#include \"N\"\n", "\n# /**/ include <N>\n", "\n%:include \"N\"\n", "\n??=include \"N\"\n",
	"#include \"N\"", "#inc\\\nlude \"N\"\n", "/**/#include/*\n*/<N>", "\n#if __has_include(\"N\") //\n#include \"N\"\n#endif\n",
	"\n#define M \"N\"\n", "\n#include M\n", "R\"(\n#include \"N\"\n)\"", "\n#define M <N>\n",
}

// TestRandomTexts: whatever gcc and clang include of a text, in any standard, is
// in the tree.
func TestRandomTexts(t *testing.T) {
	h := newHome(t)
	for i := range 20 {
		h.write(fmt.Sprintf("t%d.h", i))
	}
	random := rand.New(rand.NewPCG(77, 5))
	included, unknown := 0, 0
	for n := range 120 {
		var b strings.Builder
		for range 5 + random.IntN(40) {
			b.WriteString(strings.ReplaceAll(fragments[random.IntN(len(fragments))], "N", fmt.Sprintf("t%d.h", random.IntN(20))))
		}
		h.write("a.c: " + b.String())
		driver := []string{"gcc-12", "clang-14"}[n%2]
		words := strings.Fields([]string{"-std=gnu17", "-std=c90", "-x c++ -std=c++17", "-trigraphs", "-std=c11", "-x c++ -std=gnu++14"}[n/2%6] + " -I. -c a.c")
		tree, err := h.scan(driver, words...)
		if err != nil {
			unknown++
			if r := reason(err); r != string(Computed) && r != string(Encoding) {
				t.Errorf("%s: %v", r, err)
			}
			continue
		}
		names := strings.Fields(h.names(tree))
		for _, name := range h.includes(driver, words) {
			if included++; !slices.Contains(names, name) {
				t.Errorf("%s %q includes %s of\n%q\nthe tree has %q", driver, words, name, b.String(), names)
			}
		}
	}
	t.Logf("%d files included, %d texts unknown", included, unknown)
	if included < 100 {
		t.Errorf("only %d files were included", included)
	}
}

// includes are the files that -H names, relative to the working directory.
func (h *home) includes(driver string, words []string) []string {
	h.t.Helper()
	out, err := h.run(h.t.Context(), drivers.Program{Path: need(h.t, driver), Args: append(slices.Clone(words), "-E", "-H", "-w", "-o", "/dev/null")})
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out.Stderr)) {
		dots, name, ok := strings.Cut(strings.TrimRight(line, "\n"), " ")
		if ok && dots != "" && strings.Trim(dots, ".") == "" && !filepath.IsAbs(name) {
			names = append(names, strings.TrimPrefix(name, "./"))
		}
	}
	return names
}
