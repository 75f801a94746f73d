package pinned

import (
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
)

// The object's name comes last, behind those of the files that belong to it, and what
// fails takes away what its compiler does.
func TestTogether(t *testing.T) {
	outputs := []argv.Output{{Kind: argv.Dependencies, Name: "a.d", Job: "deps.d"}, {Kind: argv.Extra, Name: "a.su", Job: "out.su"}, {Kind: argv.Object, Name: "a.o", Job: "out.o"}}
	good := made{outputs: outputs, removed: []string{"a.o"}}
	for _, o := range outputs {
		good.res.Outputs = append(good.res.Outputs, broker.Output{Path: o.Job})
	}
	bad := made{res: broker.Result{ExitCode: 1, Stderr: []byte("b")}, outputs: outputs, removed: []string{"b.s"}}
	fin, blobs, targets := together([]made{good, bad})
	var names []string
	for i, o := range targets {
		names = append(names, o.Path+"="+blobs[i].Path)
	}
	if got := strings.Join(names, " "); got != "a.o=out.o a.su=out.su a.d=deps.d" || !targets[1].Keep || targets[0].Keep {
		t.Errorf("%s, %+v", got, targets)
	}
	if fin.Status != 1<<8 || string(fin.Stderr) != "b" || strings.Join(fin.Remove, " ") != "b.s" {
		t.Errorf("%+v", fin)
	}
}
