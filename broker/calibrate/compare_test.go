package calibrate

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// object is what gcc makes of a source.
func object(t testing.TB, source string, words ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.o")
	cmd := exec.Command("gcc-12", append(words, "-x", "c", "-c", "-", "-o", out)...)
	cmd.Stdin = strings.NewReader(source)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCompare(t *testing.T) {
	const source = "int a = 1; int f(int n) { return n + a; } int g(int n) { return n * 3; }\n"
	base := object(t, source, "-O2")
	revision := slices.Clone(base)
	at := strings.Index(string(base), "GCC: (")
	copy(revision[at:], "GCC: (another")
	for _, tc := range []struct {
		name        string
		other       []byte
		same, equal bool
		section     string // one of those that differ
		function    string
	}{
		{"the same", base, true, true, "", ""},
		{"another revision's name", revision, false, true, "", ""},
		{"other code", object(t, strings.Replace(source, "* 3", "* 5", 1), "-O2"), false, false, ".text", "g"},
		{"other data", object(t, strings.Replace(source, "= 1", "= 2", 1), "-O2"), false, false, ".data", "a"},
		{"another name", object(t, strings.Replace(source, " g(", " h(", 1), "-O2"), false, false, ".strtab", "g"},
		{"other sections", object(t, source, "-O2", "-g"), false, false, ".debug_info", ""},
		{"another section's flags", object(t, source, "-O2", "-fno-asynchronous-unwind-tables"), false, false, "", ""},
		{"another machine", object(t, source, "-O2", "-m32"), false, false, "ELF header", ""},
		{"no object", []byte("lie"), false, false, "bytes of what is no object", ""},
		{"nothing", nil, false, false, "bytes of what is no object", ""},
		{"cut short", base[:len(base)/2], false, false, "", ""},
	} {
		c := Compare(base, tc.other)
		if c.Same != tc.same || c.Equal != tc.equal || tc.function != "" && !slices.Contains(c.Functions, tc.function) ||
			tc.section != "" && !slices.ContainsFunc(c.Sections, func(s string) bool { return strings.Contains(s, tc.section) }) {
			t.Errorf("%s: %+v", tc.name, c)
		}
		if !c.Equal && len(c.Sections) == 0 {
			t.Errorf("%s: nothing to tell", tc.name)
		}
	}
}

// Whatever a helper sends is compared without harm.
func FuzzCompare(f *testing.F) {
	base := object(f, "int a; int f(void) { return a; }\n", "-O1")
	f.Add(base)
	f.Add(base[:100])
	f.Fuzz(func(t *testing.T, other []byte) {
		if c := Compare(base, other); c.Same != (string(base) == string(other)) || c.Same && !c.Equal {
			t.Errorf("%+v", c)
		}
		_, _ = macros(other)
	})
}
