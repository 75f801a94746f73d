package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/account"
	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
	"github.com/crosscc/crosscc/e2e/bench/workload"
)

// Trips: how many round trips a compile waits for. Turns of speech count what
// goes over the wire; what is waited for shows when the wire gets longer.
const tripsName = "trips"

// The two round trips whose builds are compared. The difference is large beside
// what else makes a build longer or shorter.
const (
	shortTrip = time.Millisecond
	longTrip  = 101 * time.Millisecond
)

// A tripsResult is one contender's round trips for each job.
type tripsResult struct {
	name   string
	waited table.Spread
	turns  table.Spread
	note   string
}

// trips measures contenders that have a helper.
func trips(ctx context.Context, book *account.Book, root string, who []contender.Contender, w *workload.Workload, rounds int) (all []tripsResult, left []string, err error) {
	for _, c := range who {
		r, err := tripsOf(ctx, book, root, c, w, rounds)
		if ctx.Err() != nil {
			return all, left, context.Cause(ctx)
		}
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %v", c.Name, err))
			continue
		}
		all = append(all, r)
	}
	return all, left, nil
}

func tripsOf(ctx context.Context, book *account.Book, root string, c contender.Contender, w *workload.Workload, rounds int) (r tripsResult, err error) {
	r.name = c.Name
	p, err := place.New(book, root, tripsName, place.Network{Name: tripsName}, w)
	if err != nil {
		return r, err
	}
	m := &meeting{chosen: chosen{arena: arena{w: w}}, round: 1, other: new([]float64)}
	s := &seat{Contender: c, place: p}
	m.seats = []*seat{s}
	defer func() { err = errors.Join(err, m.close()) }()
	var waited []float64
	var short []place.Sample
	for range rounds {
		var wall [2]float64
		for i, trip := range []time.Duration{shortTrip, longTrip} {
			p.Wire.SetRoundTrip(trip)
			m.round++
			got, note, err := m.one(ctx, step{contender.Warm, 1, 1}, s)
			if err != nil {
				return r, err
			}
			if note != "" {
				r.note = note
			}
			wall[i] = wallMillis(got)
			if trip == shortTrip {
				short = append(short, got)
			}
		}
		waited = append(waited, (wall[1]-wall[0])/millis(longTrip-shortTrip))
	}
	r.waited = table.SpreadOf(waited)
	r.turns = spreadOf(short, roundTrips)
	return r, nil
}

func writeTrips(w io.Writer, all []tripsResult, left []string, about string, jobs int) {
	fmt.Fprintf(w, "\n### Round trips of a warm compile, %d %s, -j1\n\n", jobs, about)
	var rows [][]string
	for _, r := range all {
		rows = append(rows, []string{r.name, r.waited.String(), r.turns.String(), r.note})
	}
	table.Write(w, []string{"contender", "waited for", "turns of speech, halved", ""}, rows)
	for _, l := range left {
		fmt.Fprintf(w, "\nLeft out: %s\n", l)
	}
}
