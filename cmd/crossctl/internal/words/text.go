package words

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Plain is s on one line, without what a terminal would obey.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
}

// Cell is plain text for a table, "-" where there is none.
func Cell(s string) string {
	if s = Plain(s); s == "" {
		return "-"
	}
	return s
}

// Quoted is words as one would type them into a shell.
func Quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = QuoteWord(w)
	}
	return strings.Join(out, " ")
}

// QuoteWord is one word as one would type it into a shell.
func QuoteWord(w string) string {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("-_./=+,:@%", r))
	}
	if w != "" && strings.IndexFunc(w, odd) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// Table lays rows of cells out in columns. w is memory.
func Table(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	_ = t.Flush() // w is memory
}
