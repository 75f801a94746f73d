package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
	"github.com/crosscc/crosscc/e2e/bench/workload"
)

// A tally is all that a run gave.
type tally struct {
	results []result
	trips   []tripsResult
	crowd   *crowdResult
	parts   []figureOfPart
	other   []float64 // processors that others used, one figure a round
}

// quiet is up to how many processors others may use, for wall times to tell
// something: the kernel shares a busy machine out by session, and a helper of
// ours has one for each job.
const quiet = 0.25

// busy reports whether the machine was too busy for wall times.
func (t *tally) busy() bool {
	all := slices.Sorted(slices.Values(t.other))
	return len(all) > 0 && table.Median(all) > quiet
}

// find is the cell of a contender in a step, wherever it was measured.
func (t *tally) find(network, workload, mode string, jobs int, name string) *cell {
	for _, r := range t.results {
		for _, c := range r.cells {
			if r.arena.network.Name == network && r.arena.w.Name == workload && c.step.mode == mode &&
				c.step.jobs == jobs && c.name == name && len(c.samples) > 0 {
				return c
			}
		}
	}
	return nil
}

// A goal is a row of design section 14.
type goal struct {
	what string
	most float64
	unit string
	wall bool // tells something only on a quiet machine
	// ours is the figure; false when the run has none.
	ours func(*tally) (float64, bool)
	// peers are theirs, in words.
	peers func(*tally) string
}

// goals are the rows that can be measured with what is built.
func goals() []goal {
	figureAt := func(mode string, jobs int, name string, f func(place.Sample) float64) func(*tally) (float64, bool) {
		return func(t *tally) (float64, bool) {
			c := t.find(place.Loopback, "c++", mode, jobs, name)
			if c == nil {
				return 0, false
			}
			return spreadOf(c.samples, f).Median, true
		}
	}
	beside := func(mode string, jobs int, f func(place.Sample) float64, names ...string) func(*tally) string {
		return func(t *tally) string {
			var words []string
			for _, name := range names {
				if v, ok := figureAt(mode, jobs, name, f)(t); ok {
					words = append(words, name+" "+table.Figure(v))
				}
			}
			return strings.Join(words, ", ")
		}
	}
	remote := []string{"distcc", "distcc, pump", "icecream", "nocc", "make and `true`"}
	return []goal{
		{"client CPU of a remote compile, warm", 3, "ms", false, figureAt(contender.Warm, 8, "crosscc", clientMillis), beside(contender.Warm, 8, clientMillis, remote...)},
		{"client CPU of a remote compile, cold", 8, "ms", false, figureAt(contender.Cold, 8, "crosscc", clientMillis), beside(contender.Cold, 8, clientMillis, remote...)},
		{"client CPU of a hit", 5, "ms", false, figureAt(contender.Hit, 1, "crosscc", clientMillis), beside(contender.Hit, 1, clientMillis, "ccache", "crosscc, no helper", "make and `true`")},
		{"wall of a hit", 4, "ms", true, figureAt(contender.Hit, 1, "crosscc", wallMillis), beside(contender.Hit, 1, wallMillis, "ccache", "crosscc, no helper", "make and `true`")},
		{"wall of a remote compile over a local one, C++", 15, "ms", true, over("c++", "crosscc"), overs("c++", remote[:4]...)},
		{"wall of a remote compile over a local one, C", 15, "ms", true, over("c", "crosscc"), overs("c", remote[:4]...)},
		{"round trips that a warm remote compile waits for", 1, "", false, tripsGoal("crosscc"), otherTrips},
		{"sandbox around a trivial program", 5, "ms", true, partGoal("./sandbox", "Trivial/bwrap"), noPeers},
		{"a view of 500 headers, its tree seen before", 3, "ms", true, partGoal("./broker/helper/views", "View/same"), noPeers},
		{"a view of 500 headers, not seen before", 15, "ms", true, partGoal("./broker/helper/views", "View/cold"), noPeers},
		{"a trivial job in a pinned image over one with the host's toolchain", 1, "ms", true, partsOver("./broker/helper", "Images/image", "Images/host"), noPeers},
		{"agent's memory, make -j64 of 3,000 files", 200, "MiB", false, crowdGoal, noPeers},
	}
}

// over is how much longer one compile at a time takes than a local one.
func over(workload, name string) func(*tally) (float64, bool) {
	return func(t *tally) (float64, bool) {
		mine, local := t.find(place.Loopback, workload, contender.Warm, 1, name), t.find(place.Loopback, workload, contender.Warm, 1, contender.Plain().Name)
		if mine == nil || local == nil {
			return 0, false
		}
		return spreadOf(mine.samples, wallMillis).Median - spreadOf(local.samples, wallMillis).Median, true
	}
}

func overs(workload string, names ...string) func(*tally) string {
	return func(t *tally) string {
		var words []string
		for _, name := range names {
			if v, ok := over(workload, name)(t); ok {
				words = append(words, fmt.Sprintf("%s %+.1f", name, v))
			}
		}
		return strings.Join(words, ", ")
	}
}

func tripsGoal(name string) func(*tally) (float64, bool) {
	return func(t *tally) (float64, bool) {
		for _, r := range t.trips {
			if r.name == name {
				return r.waited.Median, true
			}
		}
		return 0, false
	}
}

func otherTrips(t *tally) string {
	var words []string
	for _, r := range t.trips {
		if r.name != "crosscc" {
			words = append(words, r.name+" "+table.Figure(r.waited.Median))
		}
	}
	return strings.Join(words, ", ")
}

// partGoal is a benchmark of a package.
func partGoal(pkg, word string) func(*tally) (float64, bool) {
	return func(t *tally) (float64, bool) {
		for _, f := range t.parts {
			if f.pkg == pkg && f.name == word {
				return float64(f.took) / float64(time.Millisecond), true
			}
		}
		return 0, false
	}
}

// partsOver is how much longer one benchmark of a package takes than another.
func partsOver(pkg, word, than string) func(*tally) (float64, bool) {
	return func(t *tally) (float64, bool) {
		a, okA := partGoal(pkg, word)(t)
		b, okB := partGoal(pkg, than)(t)
		return a - b, okA && okB
	}
}

func crowdGoal(t *tally) (float64, bool) {
	if t.crowd == nil || t.crowd.Jobs < workload.TinyFiles {
		return 0, false
	}
	return float64(t.crowd.peak.rss) / 1024, true
}

func noPeers(*tally) string { return "" }

// slack is by how much a figure may miss a goal that is a count: a median of
// walls is never a whole number.
const slack = 0.1

func writeGoals(w io.Writer, t *tally) {
	fmt.Fprint(w, "\n### The goals of design section 14\n\n")
	var rows [][]string
	for _, g := range goals() {
		row := []string{g.what, strings.TrimSpace(fmt.Sprintf("%g %s", g.most, g.unit)), "not measured in this run", "", g.peers(t)}
		if v, ok := g.ours(t); ok {
			row[2] = "**" + table.Figure(v) + "**"
			row[3] = "reached"
			if g.wall && t.busy() {
				row[3] = "the machine was too busy to tell"
			} else if limit := g.most; v > limit && !(g.unit == "" && v <= limit+slack) {
				row[3] = fmt.Sprintf("missed, by %s", table.Figure(v-limit))
			}
		}
		rows = append(rows, row)
	}
	table.Write(w, []string{"what", "goal", "crosscc", "", "peers, in this run"}, rows)
}
