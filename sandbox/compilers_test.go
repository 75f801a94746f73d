package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
)

const sourceC = `#include <stdio.h>

int main(void) { printf("%d\n", 42); return 0; }
`

var compilers = []struct {
	driver string
	asks   []string // programs that it starts, as it spells them
	flags  []string
}{
	{"gcc-12", []string{"cc1", "as"}, []string{"-O2"}},
	{"aarch64-linux-gnu-gcc-12", []string{"cc1", "as"}, []string{"-O2", "-g"}},
	{"clang-14", nil, []string{"-O2"}},
}

// TestCompilers: real compilers make the same object inside as outside, in a
// directory that the host doesn't have.
func TestCompilers(t *testing.T) {
	for _, c := range compilers {
		driver := rig.Need(t, c.driver, c.driver)
		tree, plain := rig.OpenTemp(t), t.TempDir()
		rig.Write(t, filepath.Join(plain, "a.c"), sourceC)
		rig.Run(t, plain, driver, append(c.flags, "-E", "a.c", "-o", "a.i")...)
		rig.Run(t, plain, driver, append(c.flags, "-x", "cpp-output", "-c", "a.i", "-o", "a.o")...)
		text, err := os.ReadFile(filepath.Join(plain, "a.i"))
		if err != nil {
			t.Fatal(err)
		}
		rig.Write(t, filepath.Join(tree, plain, ".crosscc-source.i"), string(text))
		rig.Write(t, filepath.Join(tree, plain, "a.c"), sourceC)
		want, err := os.ReadFile(filepath.Join(plain, "a.o"))
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range runners(t) {
			if name == "direct" && strings.Contains(strings.Join(c.flags, " "), "-g") {
				continue // its debug information names the host's directories
			}
			s := &sandbox.Spec{Path: driver, Dir: plain, Tree: tree, Out: "/.crosscc", Outputs: []string{"a.o"},
				Programs: rig.ProgramsOf(t, driver, c.asks), Env: []string{"PATH=/usr/bin:/bin"}}
			// The name must not tell: cc1 notes the input's name only with -g.
			s.Args = append(append([]string{c.driver}, c.flags...), "-x", "cpp-output", "-c",
				filepath.Join(plain, ".crosscc-source.i"), "-o", "/.crosscc/a.o")
			o, err := r(rig.Context(t), s)
			if err != nil {
				t.Fatalf("%s %s: %v", name, c.driver, err)
			}
			if o.ExitCode != 0 {
				t.Fatalf("%s %s: exit %d: %s", name, c.driver, o.ExitCode, o.Stderr)
			}
			if got := content(t, o.Outputs[0]); !bytes.Equal(got, want) {
				t.Errorf("%s %s: object of %d bytes differs from the host's of %d", name, c.driver, len(got), len(want))
			}
			o.Close()
		}
	}
}

func TestDiagnostics(t *testing.T) {
	driver := rig.Need(t, "gcc-12", "gcc-12")
	tree := rig.OpenTemp(t)
	rig.Write(t, filepath.Join(tree, "w/x/src/.crosscc-source.i"), "# 1 \"a.c\"\nint a = ;\n")
	rig.Write(t, filepath.Join(tree, "w/x/src/a.c"), "int a = ;\n")
	s := &sandbox.Spec{Path: driver, Dir: "/w/x/src", Tree: tree, Out: "/.crosscc", Outputs: []string{"a.o"}, Programs: rig.ProgramsOf(t, driver, []string{"cc1", "as"}),
		Args: []string{"x86_64-pc-linux-gnu-gcc", "-c", "-x", "cpp-output", ".crosscc-source.i", "-o", "/.crosscc/a.o"}}
	words := s.Args
	for name, r := range walled(t) {
		s.Args = words
		o, err := r(rig.Context(t), s)
		if err != nil {
			t.Fatal(err)
		}
		want := "a.c:1:9: error: expected expression before ';' token\n    1 | int a = ;\n      |         ^\n"
		if o.ExitCode != 1 || string(o.Stderr) != want {
			t.Errorf("%s: exit %d, said\n%s", name, o.ExitCode, o.Stderr)
		}
		s.Args = words[:1]
		o, err = r(rig.Context(t), s)
		if err != nil || !strings.HasPrefix(string(o.Stderr), "x86_64-pc-linux-gnu-gcc: fatal error: no input files\n") {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
	}
}
