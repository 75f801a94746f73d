package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
)

// writeResult prints an arena's table.
func writeResult(w io.Writer, r result) {
	fmt.Fprintf(w, "\n### %d %s, %s\n\n", r.arena.w.Jobs, r.arena.w.About, describe(r))
	header := []string{"mode", "-j", "contender", "client CPU, ms a job", "wall, ms a job", "helper CPU, ms a job", "kB a job"}
	turns := false
	for _, c := range r.cells {
		turns = turns || hasTurns(c)
	}
	if turns {
		header = append(header, "round trips a job")
	}
	header = append(header, "")
	var rows [][]string
	for _, c := range r.cells {
		if len(c.samples) == 0 {
			continue
		}
		row := []string{
			c.step.mode, fmt.Sprint(c.step.jobs), c.name,
			bold(spreadOf(c.samples, clientMillis), c.name), spreadOf(c.samples, wallMillis).String(),
			spreadOf(c.samples, helperMillis).String(), wireText(c),
		}
		if turns {
			row = append(row, turnsText(c))
		}
		rows = append(rows, append(row, strings.Join(c.notes, "; ")))
	}
	table.Write(w, header, rows)
	for _, l := range r.left {
		fmt.Fprintf(w, "\nLeft out: %s\n", strings.ReplaceAll(l, "\n", " "))
	}
}

func describe(r result) string {
	if r.arena.network.Name == place.Loopback {
		return place.Loopback
	}
	return fmt.Sprintf("%s (a datagram's round trip measured: %.2f ms)", r.arena.network.Name, millis(r.trip))
}

// hasTurns reports whether round trips can be counted: with one job at a time,
// on a link.
func hasTurns(c *cell) bool {
	return c.step.jobs == 1 && len(c.samples) > 0 && c.samples[0].Turns >= 0
}

func turnsText(c *cell) string {
	if !hasTurns(c) {
		return ""
	}
	return spreadOf(c.samples, roundTrips).String()
}

func wireText(c *cell) string {
	if c.samples[0].Wire < 0 {
		return "not counted"
	}
	return spreadOf(c.samples, wireKB).String()
}

// bold marks our own figures.
func bold(s table.Spread, name string) string {
	if strings.HasPrefix(name, "crosscc") {
		return s.Bold()
	}
	return s.String()
}
