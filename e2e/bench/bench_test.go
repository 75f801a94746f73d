package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
	"github.com/crosscc/crosscc/e2e/bench/workload"
)

func TestSpread(t *testing.T) {
	ms := func(all ...int) (list []place.Sample) {
		for _, n := range all {
			list = append(list, place.Sample{Jobs: 2, Client: time.Duration(n) * time.Millisecond})
		}
		return list
	}
	for _, c := range []struct {
		samples []place.Sample
		want    table.Spread
		text    string
	}{
		{nil, table.Spread{}, "0.00"},
		{ms(6), table.Spread{Median: 3, Low: 3, High: 3}, "3.00"},
		{ms(30, 10, 20), table.Spread{Median: 10, Low: 5, High: 15}, "10.0 (5.00–15.0)"},
		{ms(400, 10, 30, 20), table.Spread{Median: 10, Low: 5, High: 200}, "10.0 (5.00–200)"},
	} {
		got := spreadOf(c.samples, clientMillis)
		if got != c.want || got.String() != c.text {
			t.Errorf("%v: %v, %q, want %v, %q", c.samples, got, got, c.want, c.text)
		}
	}
}

func TestFiguresOfASample(t *testing.T) {
	s := place.Sample{Jobs: 4, Client: 8 * time.Millisecond, Helper: 20 * time.Millisecond, Wall: time.Second, Wire: 6000, Turns: 12}
	for name, c := range map[string][2]float64{
		"client": {clientMillis(s), 2}, "helper": {helperMillis(s), 5}, "wall": {wallMillis(s), 250},
		"wire": {wireKB(s), 1.5}, "round trips": {roundTrips(s), 1.5},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %v, want %v", name, c[0], c[1])
		}
	}
}

func TestWriteResult(t *testing.T) {
	on := func(network string, turns, wire int64) string {
		c := &cell{step: step{contender.Warm, 1, 1}, name: "crosscc"}
		c.samples = []place.Sample{{Jobs: 1, Client: 3 * time.Millisecond, Wall: 5 * time.Millisecond, Wire: wire, Turns: turns}}
		c.note("2 of 3")
		c.note("2 of 3")
		r := result{arena: arena{network: networkNamed(network), w: workload.All()["tiny"].Few(1)}, trip: time.Millisecond,
			cells: []*cell{c, {name: "nobody"}}, left: []string{"pump, from warm on: broken\nhere"}}
		var b strings.Builder
		writeResult(&b, r)
		return b.String()
	}
	for _, c := range []struct {
		text string
		have []string
		lack []string
	}{
		{on(place.Loopback, -1, 2000), []string{"**3.00**", "| 5.00 ", "| 2.00 ", "| 2 of 3 |", "Left out: pump, from warm on: broken here\n"}, []string{"round trips", "nobody", "2 of 3; 2 of 3"}},
		{on(place.Loopback, -1, -1), []string{"not counted"}, []string{"round trips"}},
		{on(place.Networks()[1].Name, 4, 2000), []string{"round trips", "measured: 1.00 ms"}, nil},
	} {
		for _, want := range c.have {
			if !strings.Contains(c.text, want) {
				t.Errorf("no %q in\n%s", want, c.text)
			}
		}
		for _, bad := range c.lack {
			if strings.Contains(c.text, bad) {
				t.Errorf("%q in\n%s", bad, c.text)
			}
		}
	}
}

func networkNamed(name string) place.Network {
	return place.Networks()[slices.IndexFunc(place.Networks(), func(n place.Network) bool { return n.Name == name })]
}

// Each name of the plan is its own, and -only takes whom it names and no other.
func TestChoose(t *testing.T) {
	all := contender.All("bin")
	for _, full := range []bool{false, true} {
		seen := make(map[string]bool)
		for _, c := range choose(plan(full, 3), all, full, regexp.MustCompile("")) {
			for _, s := range c.steps {
				for _, who := range c.entries[s] {
					name := c.name(s) + "/" + who.Name
					if seen[name] {
						t.Errorf("%s is there twice", name)
					}
					seen[name] = true
					if who.Local && c.network.Name != place.Loopback {
						t.Errorf("%s is on a link", name)
					}
				}
			}
		}
	}
	got := choose(plan(false, 3), all, false, regexp.MustCompile(`^loopback/c\+\+/hit/j8/ccache$`))
	if len(got) != 1 || len(got[0].steps) != 1 || got[0].steps[0] != (step{contender.Hit, 8, 3}) {
		t.Fatalf("-only chose %+v", got)
	}
	if who := got[0].contenders(all); len(who) != 1 || who[0].Name != "ccache" {
		t.Errorf("-only chose %v", who)
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-only", "("}, {"word"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	o, err := parse([]string{"-quick=false", "-rounds", "5"})
	if err != nil || !o.full || o.rounds != 5 || !filepath.IsAbs(o.bin) {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestParseBench(t *testing.T) {
	const text = `goos: linux
BenchmarkTrivial/plain-2         	     100	   1500000 ns/op
BenchmarkView/20_headers-16      	     100	   2500000 ns/op	       12.0 cpu-µs/op	  120 B/op
BenchmarkBroken-2
PASS
`
	want := []figureOfPart{
		{"p", "Trivial/plain", 1500 * time.Microsecond, 0},
		{"p", "View/20_headers", 2500 * time.Microsecond, 12 * time.Microsecond},
	}
	if got := parseBench(text, "p"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestStatusField(t *testing.T) {
	const text = "Name:\tcrossccd\nVmHWM:\t   12345 kB\nThreads:\t9\n"
	for name, want := range map[string]int64{"VmHWM": 12345, "Threads": 9, "VmRSS": 0} {
		if got := statusField(text, name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

func TestGoals(t *testing.T) {
	at := func(client time.Duration) *tally {
		return &tally{results: []result{{
			arena: arena{network: place.Networks()[0], w: workload.All()["c++"].Few(1)},
			cells: []*cell{
				{step: step{contender.Warm, 8, 1}, name: "crosscc", samples: []place.Sample{{Jobs: 1, Client: client}}},
				{step: step{contender.Warm, 8, 1}, name: "distcc", samples: []place.Sample{{Jobs: 1, Client: 97 * time.Millisecond}}},
			},
		}}}
	}
	for _, c := range []struct {
		t    *tally
		want string
	}{
		{at(2 * time.Millisecond), "reached"},
		{at(3 * time.Millisecond), "reached"},
		{at(5 * time.Millisecond), "missed, by 2.00"},
		{&tally{}, "not measured in this run"},
	} {
		var b strings.Builder
		writeGoals(&b, c.t)
		for line := range strings.Lines(b.String()) {
			if strings.Contains(line, "remote compile, warm") && !strings.Contains(line, c.want) {
				t.Errorf("want %q in %s", c.want, line)
			}
		}
	}
	// What others did to wall times is not held against anybody.
	step1, noisy := step{contender.Warm, 1, 1}, at(0)
	noisy.results[0].cells = []*cell{
		{step: step1, name: "crosscc", samples: []place.Sample{{Jobs: 1, Wall: time.Second}}},
		{step: step1, name: contender.Plain().Name, samples: []place.Sample{{Jobs: 1, Wall: time.Millisecond}}},
	}
	for others, want := range map[float64]string{0.1: "missed", 1.5: "too busy"} {
		noisy.other = []float64{others}
		var b strings.Builder
		writeGoals(&b, noisy)
		if !strings.Contains(b.String(), want) {
			t.Errorf("%v processors used by others: no %q in\n%s", others, want, b.String())
		}
	}
	// A count may miss its goal by what walls are off.
	count := &tally{trips: []tripsResult{{name: "crosscc", waited: table.Spread{Median: 1.04}}}}
	var b strings.Builder
	writeGoals(&b, count)
	if !strings.Contains(b.String(), "| **1.04**                 | reached |") {
		t.Errorf("no round trip reached in\n%s", b.String())
	}
}
