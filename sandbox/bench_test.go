package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/direct"
)

// BenchmarkTrivial is a static program that does nothing: started plainly, and
// inside. The difference is what the sandbox costs (design section 14: 5 ms).
func BenchmarkTrivial(b *testing.B) {
	p := rig.Build(b, `int main() { return 0; }`)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command(p).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	bench(b, "bwrap", bwrap(b), rig.Spec(p))
	bench(b, "grouped", grouped(b), rig.Spec(p))
	bench(b, "direct", direct.New(direct.Options{}), rig.Spec(p))
}

// BenchmarkCompile is a small preprocessed file and gcc: about 15 files to show.
func BenchmarkCompile(b *testing.B) {
	driver := rig.Need(b, "gcc-12", "gcc-12")
	dir, tree := rig.OpenTemp(b), rig.OpenTemp(b)
	rig.Write(b, filepath.Join(dir, "a.i"), "int f(int a) { return a + 1; }\n")
	rig.Write(b, filepath.Join(tree, "w/a.i"), "int f(int a) { return a + 1; }\n")
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			rig.Run(b, dir, driver, "-c", "a.i")
		}
	})
	s := &sandbox.Spec{Path: driver, Args: []string{"gcc", "-c", "a.i", "-o", "/.crosscc/a.o"}, Dir: "/w", Tree: tree, Out: "/.crosscc",
		Outputs: []string{"a.o"}, Programs: rig.ProgramsOf(b, driver, []string{"cc1", "as"}), Env: []string{"PATH=" + os.Getenv("PATH")}}
	bench(b, "bwrap", bwrap(b), s)
}

func bench(b *testing.B, name string, r sandbox.Runner, s *sandbox.Spec) {
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
			o, err := r(b.Context(), s)
			if err != nil || o.ExitCode != 0 {
				b.Fatalf("%+v, %v", o, err)
			}
			o.Close()
		}
	})
}

// BenchmarkTree is the trivial program with a compiler's files in view, over no
// tree, a tree apart, and one with 500 headers in 60 directories that lie among
// the compiler's own.
func BenchmarkTree(b *testing.B) {
	p := rig.Build(b, `int main() { return 0; }`)
	programs := append(rig.ProgramsOf(b, rig.Need(b, "gcc-12", "gcc-12"), []string{"cc1", "as"}), p)
	apart, among := rig.OpenTemp(b), rig.OpenTemp(b)
	rig.Write(b, filepath.Join(apart, "w/a.c"), "int a;\n")
	for i := range 500 {
		dir := fmt.Sprintf("usr/include/g%d/d%02d", i%6, i%60)
		if i%10 == 0 {
			dir = "usr/lib/gcc/x86_64-linux-gnu/12/include"
		}
		rig.Write(b, filepath.Join(among, dir, fmt.Sprintf("h%03d.h", i)), "int a;\n")
	}
	rig.Write(b, filepath.Join(among, "home/u/w/a.c"), "int a;\n")
	for _, t := range []struct{ name, tree string }{{"none", ""}, {"apart", apart}, {"among", among}} {
		s := rig.Spec(p)
		s.Programs, s.Tree = programs, t.tree
		bench(b, t.name, bwrap(b), s)
	}
}
