package bubblewrap

import (
	"github.com/crosscc/crosscc/sandbox/internal/process"
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"testing"

	"github.com/crosscc/crosscc/sandbox/internal/seccomp"
)

// TestPens: a program runs and is taken from in every pen, so that what the
// host forbids decides and nothing else.
func TestPens(t *testing.T) {
	p := rig.Build(t, `#include <stdio.h>
		int main() { fputs("x", fopen("/.crosscc/out", "w")); return 0; }`)
	filter, err := seccomp.Filter()
	if err != nil {
		t.Fatal(err)
	}
	for _, pen := range pens() {
		b := &runner{program: rig.Need(t, "bwrap", "bubblewrap"), credential: process.Nobody(0, 0), pen: pen, filter: filter, logf: t.Logf}
		s := rig.Spec(p)
		s.Outputs = []string{"out"}
		got, err := b.run(rig.Context(t), s)
		if err != nil || len(got.Outputs) != 1 || got.Outputs[0].Size != 1 {
			t.Errorf("%s: %+v, %v", pen, got, err)
			continue
		}
		got.Close()
	}
}
