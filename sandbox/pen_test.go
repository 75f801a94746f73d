package sandbox

import (
	"testing"

	"github.com/crosscc/crosscc/sandbox/internal/seccomp"
)

// TestPens: a program runs and is taken from in every pen, so that what the
// host forbids decides and nothing else.
func TestPens(t *testing.T) {
	p := build(t, `#include <stdio.h>
		int main() { fputs("x", fopen("/.crosscc/out", "w")); return 0; }`)
	filter, err := seccomp.Filter()
	if err != nil {
		t.Fatal(err)
	}
	for _, pen := range pens() {
		o := Options{}.withDefaults()
		b := &bubblewrap{program: need(t, "bwrap", "bubblewrap"), credential: credentialOf(o), pen: pen, filter: filter, logf: t.Logf}
		s := spec(p)
		s.Outputs = []string{"out"}
		got, err := b.run(ctxOf(t), s)
		if err != nil || len(got.Outputs) != 1 || got.Outputs[0].Size != 1 {
			t.Errorf("%s: %+v, %v", pen, got, err)
			continue
		}
		got.Close()
	}
}
