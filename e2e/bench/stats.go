package main

import (
	"time"

	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
)

// spreadOf is the spread of f over the samples.
func spreadOf(samples []place.Sample, f func(place.Sample) float64) table.Spread {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	return table.SpreadOf(values)
}

// Figures of a sample, for each job.
func clientMillis(s place.Sample) float64 { return millis(s.Client) / float64(s.Jobs) }
func helperMillis(s place.Sample) float64 { return millis(s.Helper) / float64(s.Jobs) }
func wallMillis(s place.Sample) float64   { return millis(s.Wall) / float64(s.Jobs) }
func wireKB(s place.Sample) float64       { return float64(s.Wire) / 1000 / float64(s.Jobs) }
func roundTrips(s place.Sample) float64   { return float64(s.Turns) / 2 / float64(s.Jobs) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
