package proof

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/toolchains"
)

// A source that names what two toolchains have different ways with goes to others,
// or stays at home.
func TestServing(t *testing.T) {
	careful := fleet.Prospect{Address: "a:1", Match: toolchains.Calibrated, Avoid: []string{"optimize", "target"}, Avoided: ".text differ"}
	other := fleet.Prospect{Address: "b:1", Match: toolchains.Calibrated}
	down := fleet.Prospect{Address: "c:1", Reason: fleet.ReasonNoHelper}
	for _, tc := range []struct {
		list    []fleet.Prospect
		words   string // of the source
		command string
		want    string // the addresses that are left; "" and an error when none can
	}{
		{[]fleet.Prospect{careful}, "cold", "-O2 -c p.c", "a:1"},
		{[]fleet.Prospect{careful}, "optimize", "-O2 -c p.c", ""},
		{[]fleet.Prospect{careful, other}, "optimize", "-O2 -c p.c", "b:1"},
		{[]fleet.Prospect{careful, down}, "optimize", "-O2 -c p.c", ""},
		{[]fleet.Prospect{careful}, "pragma GCC target", "-O2 -c p.c", ""},
		{[]fleet.Prospect{careful}, "", "-DX=__attribute__((optimize(3))) -c p.c", ""},
		{[]fleet.Prospect{careful}, "", "-foptimize-sibling-calls -c p.c", "a:1"},
	} {
		c := &compile.Compile{Cmd: argv.Parse(strings.Fields(tc.command), argv.Env{})}
		left, err := Serving(c, tc.list, func(w string) bool { return w == tc.words })
		l, local := errors.AsType[*reason.Local](err)
		if tc.want == "" {
			if !local || l.Reason != fleet.ReasonCalibration || !strings.Contains(l.Text, "a:1") {
				t.Errorf("%q, %q: %v, %v", tc.words, tc.command, left, err)
			}
			continue
		}
		if err != nil || !slices.ContainsFunc(left, func(p fleet.Prospect) bool { return p.Address == tc.want }) || len(left) != 1 {
			t.Errorf("%q, %q: %v, %v", tc.words, tc.command, left, err)
		}
	}
}

// A comparison that failed is not tried again at once.
func TestTrials(t *testing.T) {
	tr := trials{failed: make(map[string]time.Time)}
	if !tr.due("q") {
		t.Error("never tried, and not due")
	}
	tr.fail("q")
	if tr.due("q") || !tr.due("other") {
		t.Error("due again at once, or another is not")
	}
}
