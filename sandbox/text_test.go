package sandbox_test

import (
	"testing"

	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// A text is the caller's, whatever the tree has in its place, and stays as it is.
func TestTexts(t *testing.T) {
	p := rig.Build(t, `#include <stdio.h>
		int main(int c, char **v) { char b[99]; FILE *f = fopen(v[1], "r"); if (!f) { perror(v[1]); return 1; }
		int n = fread(b, 1, 99, f); printf("%.*s|%s", n, b, fopen(v[1], "a") ? "writable" : "fixed"); return 0; }`)
	for name, r := range runners(t) {
		s := rig.Spec(p, "/.texts/b")
		s.Tree, s.Texts = rig.LayTree(t, ".texts/b", "w/a.c"), map[string]string{"/.texts/a": "one", "/.texts/b": "two", "/.texts/c": ""}
		o, err := r(rig.Context(t), s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(o.Stdout) != "two|fixed" {
			t.Errorf("%s: got %q, %q", name, o.Stdout, o.Stderr)
		}
		o.Close()
	}
	s := rig.Spec(p, "/.texts")
	s.Tree, s.Texts = rig.LayTree(t, ".texts/b"), map[string]string{"/.texts": "one"}
	for name, r := range walled(t) {
		if o, err := r(rig.Context(t), s); err == nil {
			t.Errorf("%s: a tree has a directory in a text's place: %q", name, o.Stdout)
		}
	}
}
