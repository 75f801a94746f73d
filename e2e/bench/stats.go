package main

import (
	"cmp"
	"slices"
	"time"
)

// A sample is one measured round of one contender.
type sample struct {
	jobs   int
	client time.Duration // processor time of the whole client
	helper time.Duration // processor time of the whole helper
	wall   time.Duration
	wire   int64 // bytes; negative where they can't be counted
	turns  int64 // of the link's two sides; negative where they can't be counted
}

// A spread is what several rounds gave.
type spread struct{ median, low, high float64 }

// spreadOf is the spread of f over the samples; NaN-free, and zero of none.
func spreadOf(samples []sample, f func(sample) float64) spread {
	if len(samples) == 0 {
		return spread{}
	}
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	slices.Sort(values)
	return spread{median(values), values[0], values[len(values)-1]}
}

// median is that of sorted values, of which there is at least one.
func median[T cmp.Ordered](sorted []T) T {
	// The lower of the middle two: a value that was measured.
	return sorted[(len(sorted)-1)/2]
}

// Figures of a sample, for each job.
func clientMillis(s sample) float64 { return millis(s.client) / float64(s.jobs) }
func helperMillis(s sample) float64 { return millis(s.helper) / float64(s.jobs) }
func wallMillis(s sample) float64   { return millis(s.wall) / float64(s.jobs) }
func wireKB(s sample) float64       { return float64(s.wire) / 1000 / float64(s.jobs) }
func roundTrips(s sample) float64   { return float64(s.turns) / 2 / float64(s.jobs) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
