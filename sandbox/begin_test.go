package sandbox_test

import (
	"io"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// begunWith is an output that lies there with a text.
func begunWith(name, text string) sandbox.Begun {
	return sandbox.Begun{Name: name, Content: strings.NewReader(text)}
}

// A program finds what is begun, changes it, makes files beside it and puts them in its place.
func TestBegun(t *testing.T) {
	p := rig.Build(t, `#include <stdio.h>
		#include <string.h>
		int main(int c, char **v) { char b[99] = "", other[99]; FILE *f = fopen(v[1], "r+"); if (!f) { perror(v[1]); return 1; }
		int n = fread(b, 1, 99, f); printf("%.*s", n, b); fputs("+", f); fclose(f);
		sprintf(other, "%sx", v[2]); f = fopen(other, "w"); fputs("new", f); fclose(f);
		if (rename(other, v[2])) { perror(other); return 1; } return 0; }`)
	for name, r := range runners(t) {
		s := rig.Spec(p, "/.crosscc/0.a", "/.crosscc/1")
		s.Outputs = []string{"0.a", "1"}
		s.Begun = []sandbox.Begun{begunWith("0.a", "old"), begunWith("1", "gone")}
		o, err := r(rig.Context(t), s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if o.ExitCode != 0 || string(o.Stdout) != "old" || len(o.Outputs) != 2 {
			t.Errorf("%s: %d %q %q, outputs %v", name, o.ExitCode, o.Stdout, o.Stderr, o.Outputs)
			o.Close()
			continue
		}
		for i, want := range []string{"old+", "new"} {
			if got, err := io.ReadAll(o.Outputs[i].File); err != nil || string(got) != want || o.Outputs[i].Executable {
				t.Errorf("%s: output %d is %q, executable %v, %v; want %q", name, i, got, o.Outputs[i].Executable, err, want)
			}
		}
		o.Close()
	}
}

// What is larger than an output may be is a limit's error, as when the program had written it.
func TestBegunTooLarge(t *testing.T) {
	p := rig.Build(t, `int main() { return 0; }`)
	for name, r := range runners(t) {
		s := rig.Spec(p)
		s.Outputs, s.Limits.FileSize = []string{"0"}, 1000
		s.Begun = []sandbox.Begun{begunWith("0", strings.Repeat("x", 2000))}
		o, err := r(rig.Context(t), s)
		if err == nil {
			o.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "larger than an output may be") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBegunRefuses(t *testing.T) {
	for _, begun := range [][]sandbox.Begun{{begunWith("b", "")}, {begunWith("a", ""), begunWith("a", "")}, {begunWith("../a", "")}} {
		s := &sandbox.Spec{Path: "/p", Args: []string{"p"}, Dir: "/", Out: "/out", Outputs: []string{"a"}, Begun: begun}
		if err := s.Check(); err == nil {
			t.Errorf("%v: taken", begun)
		}
	}
}
