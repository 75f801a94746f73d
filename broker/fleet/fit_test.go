package fleet

import (
	"context"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/toolchains"
)

// A toolchain with other programs serves what was proven of it, and nothing else;
// the job names it.
func TestCalibration(t *testing.T) {
	revision, rebuilt := gcc12(), gcc12()
	revision.Package = "Debian 12.2.0-15"
	rebuilt.Fingerprint = toolchains.Fingerprint{"driver": "9", "cc1": "9", "as": "3"}
	w := want()
	w.Options = []string{"-O2"}
	for _, tc := range []struct {
		name   string
		have   []toolchains.Toolchain
		known  map[int]calibrate.Result // of each in have
		list   string
		exact  bool
		change func(*Want)
		match  toolchains.Match
		with   int // the one in have that the job names; -1: none
		reason broker.Reason
		text   string
		asks   bool
	}{
		{name: "not compared", have: []toolchains.Toolchain{revision}, with: -1, reason: ReasonCalibrating, text: "has not been compared", asks: true},
		{name: "proven", have: []toolchains.Toolchain{revision}, known: map[int]calibrate.Result{0: {}}, match: toolchains.Calibrated},
		{name: "the same bytes of another revision", have: []toolchains.Toolchain{revision}, known: map[int]calibrate.Result{0: {Same: true}}, match: toolchains.Calibrated},
		{name: "the same bytes of another build", have: []toolchains.Toolchain{rebuilt}, known: map[int]calibrate.Result{0: {Same: true}}, match: toolchains.Identical},
		{name: "refused", have: []toolchains.Toolchain{revision}, known: map[int]calibrate.Result{0: {Refused: ".text differ (in f)"}}, with: -1, reason: ReasonCalibration, text: ".text differ (in f)"},
		{name: "the second one does", have: []toolchains.Toolchain{revision, rebuilt}, known: map[int]calibrate.Result{1: {}}, match: toolchains.Calibrated, with: 1},
		{name: "the second one may", have: []toolchains.Toolchain{revision, rebuilt}, known: map[int]calibrate.Result{1: {Refused: "x"}}, with: -1, reason: ReasonCalibrating, asks: true},
		{name: "an identical one needs no proof", have: []toolchains.Toolchain{revision, gcc12()}, match: toolchains.Identical, with: -1},
		{name: "identical wanted, another revision", have: []toolchains.Toolchain{revision}, exact: true, with: -1, reason: ReasonNoMatch, text: "can't be identical"},
		{name: "identical wanted, but for .comment", have: []toolchains.Toolchain{rebuilt}, known: map[int]calibrate.Result{0: {}}, exact: true, with: -1, reason: ReasonNoMatch, text: "but for .comment"},
		{name: "identical wanted by the host entry", have: []toolchains.Toolchain{revision}, known: map[int]calibrate.Result{0: {}}, list: "grpc://a:1,match=identical", with: -1, reason: ReasonNoMatch},
		{name: "other options", have: []toolchains.Toolchain{revision}, known: map[int]calibrate.Result{0: {}}, change: func(w *Want) { w.Options = []string{"-O3"} }, with: -1, reason: ReasonCalibrating, asks: true},
		{name: "no set of options", have: []toolchains.Toolchain{revision}, change: func(w *Want) { w.Uncharted = true }, with: -1, reason: ReasonNoMatch, text: "other programs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got *broker.Job
			run := func(_ context.Context, j *broker.Job) (broker.Result, error) { got = j; return broker.Result{}, nil }
			f, hosts := fleetOf(t, map[string]*peer{"a:1": newPeer(1, run, tc.have...)})
			f.o.Book = calibrate.OpenBook(t.TempDir())
			for i, r := range tc.known {
				if err := f.o.Book.Keep(calibrate.Question{Want: w.Toolchain, Have: tc.have[i], Language: argv.C, Words: w.Options}, r); err != nil {
					t.Fatal(err)
				}
			}
			if tc.list == "" {
				tc.list = "grpc://a:1"
			}
			w := w
			w.Exact = tc.exact
			if tc.change != nil {
				tc.change(&w)
			}
			list := f.Prospects(t.Context(), hosts(tc.list), w)
			p := list[0]
			if p.Match != tc.match || p.Reason != tc.reason || !strings.Contains(p.Text, tc.text) || (p.Question != nil) != tc.asks {
				t.Fatalf("%+v", p)
			}
			if r := None(list); r != nil {
				return
			}
			if _, _, err := f.Run(t.Context(), list, &broker.Job{}, anyResult); err != nil {
				t.Fatal(err)
			}
			with := ""
			if tc.with >= 0 {
				with = tc.have[tc.with].Digest()
			}
			if got.With != with {
				t.Errorf("the job is to be done with %q, want %q", got.With, with)
			}
		})
	}
}

// What was found to lie gets no jobs, identical or not.
func TestDistrusted(t *testing.T) {
	f, hosts := fleetOf(t, map[string]*peer{"a:1": newPeer(1, good("a"), gcc12())})
	f.o.Book = calibrate.OpenBook(t.TempDir())
	if err := f.o.Book.Distrust("a:1", gcc12().Identity, []string{"gcc", "-c", "a.c"}, ".text differ"); err != nil {
		t.Fatal(err)
	}
	list := f.Prospects(t.Context(), hosts("grpc://a:1"), want())
	if r := None(list); r == nil || r.Reason != ReasonDistrusted || !strings.Contains(r.Text, ".text differ") {
		t.Errorf("%v of %+v", r, list)
	}
}
