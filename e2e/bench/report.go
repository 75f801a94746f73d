package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/crosscc/crosscc/e2e/bench/place"
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
	writeTable(w, header, rows)
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
func bold(s spread, name string) string {
	if strings.HasPrefix(name, "crosscc") {
		return "**" + figure(s.median) + "**" + s.between()
	}
	return s.String()
}

// String is the median and, in parentheses, the lowest and highest.
func (s spread) String() string { return figure(s.median) + s.between() }

func (s spread) between() string {
	if figure(s.low) == figure(s.high) {
		return ""
	}
	return fmt.Sprintf(" (%s–%s)", figure(s.low), figure(s.high))
}

// figure is a number with as many digits as say something.
func figure(v float64) string {
	switch size := math.Abs(v); {
	case size >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case size >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// writeTable prints a Markdown table whose columns stand below each other.
func writeTable(w io.Writer, header []string, rows [][]string) {
	widths := make([]int, len(header))
	all := append([][]string{header}, rows...)
	for _, row := range all {
		for i, word := range row {
			widths[i] = max(widths[i], len([]rune(word)))
		}
	}
	for i, row := range all {
		fmt.Fprint(w, "|")
		for k, word := range row {
			fmt.Fprintf(w, " %s%s |", word, strings.Repeat(" ", widths[k]-len([]rune(word))))
		}
		fmt.Fprintln(w)
		if i == 0 {
			fmt.Fprint(w, "|")
			for _, n := range widths {
				fmt.Fprintf(w, "%s|", strings.Repeat("-", n+2))
			}
			fmt.Fprintln(w)
		}
	}
}
