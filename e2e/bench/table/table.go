// Package table prints the tables of docs/performance.md, and the figures in them as
// what several rounds gave. Start with Write and SpreadOf.
package table

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A Spread is what several rounds gave.
type Spread struct{ Median, Low, High float64 }

// SpreadOf is the spread of values; zero of none.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	all := slices.Sorted(slices.Values(values))
	return Spread{Median(all), all[0], all[len(all)-1]}
}

// Median is that of sorted values, of which there is at least one.
func Median[T cmp.Ordered](sorted []T) T {
	// The lower of the middle two: a value that was measured.
	return sorted[(len(sorted)-1)/2]
}

// String is the median and, in parentheses, the lowest and highest.
func (s Spread) String() string { return Figure(s.Median) + s.between() }

// Bold is the same with the median in bold.
func (s Spread) Bold() string { return "**" + Figure(s.Median) + "**" + s.between() }

func (s Spread) between() string {
	if Figure(s.Low) == Figure(s.High) {
		return ""
	}
	return fmt.Sprintf(" (%s–%s)", Figure(s.Low), Figure(s.High))
}

// Figure is a number with as many digits as say something.
func Figure(v float64) string {
	switch size := math.Abs(v); {
	case size >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case size >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Write prints a Markdown table whose columns stand below each other.
func Write(w io.Writer, header []string, rows [][]string) {
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
