package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/place"
)

// A spread is what several rounds gave.
type spread struct{ median, low, high float64 }

// spreadOf is the spread of f over the samples; NaN-free, and zero of none.
func spreadOf(samples []place.Sample, f func(place.Sample) float64) spread {
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
func clientMillis(s place.Sample) float64 { return millis(s.Client) / float64(s.Jobs) }
func helperMillis(s place.Sample) float64 { return millis(s.Helper) / float64(s.Jobs) }
func wallMillis(s place.Sample) float64   { return millis(s.Wall) / float64(s.Jobs) }
func wireKB(s place.Sample) float64       { return float64(s.Wire) / 1000 / float64(s.Jobs) }
func roundTrips(s place.Sample) float64   { return float64(s.Turns) / 2 / float64(s.Jobs) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
