package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkTrivial is a static program that does nothing: started plainly, and
// inside. The difference is what the sandbox costs (design section 14: 5 ms).
func BenchmarkTrivial(b *testing.B) {
	p := build(b, `int main() { return 0; }`)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command(p).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	bench(b, "bwrap", bwrap(b), spec(p))
	bench(b, "direct", NewDirect(Options{}), spec(p))
}

// BenchmarkCompile is a small preprocessed file and gcc: about 15 files to show.
func BenchmarkCompile(b *testing.B) {
	driver := need(b, "gcc-12", "gcc-12")
	dir, tree := openTemp(b), openTemp(b)
	write(b, filepath.Join(dir, "a.i"), "int f(int a) { return a + 1; }\n")
	write(b, filepath.Join(tree, "w/a.i"), "int f(int a) { return a + 1; }\n")
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			run(b, dir, driver, "-c", "a.i")
		}
	})
	s := &Spec{Path: driver, Args: []string{"gcc", "-c", "a.i", "-o", "/.crosscc/a.o"}, Dir: "/w", Tree: tree, Out: "/.crosscc",
		Outputs: []string{"a.o"}, Programs: programsOf(b, driver, []string{"cc1", "as"}), Env: []string{"PATH=" + os.Getenv("PATH")}}
	bench(b, "bwrap", bwrap(b), s)
}

func bench(b *testing.B, name string, r Runner, s *Spec) {
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
