package preprocessed

import (
	"bytes"
	"regexp"
	"strconv"
)

// A compiler that reads preprocessed text can't say everything that it would
// have said of the source: macros are gone, so are their names in hints, the
// columns inside their uses and the comments. Provable reports whether what
// gcc printed is none the less, byte for byte, what it would have printed at
// home. That is so for syntax errors and a few warnings that speak of tokens
// only, on lines that preprocessing left as they were. Everything else is
// compiled again by the local compiler, whose words count.
//
// name is the source as the command line says it, source its content and text
// the preprocessed form. utf8 says that gcc writes ‘this’ at home: where the
// helper has no such locale it writes 'this'.
func Provable(name string, source, text, stderr []byte, utf8 bool) bool {
	if len(stderr) == 0 {
		return false
	}
	d := diagnosis{name: regexp.QuoteMeta(name), source: bytes.Split(source, []byte("\n")), text: linesOf(name, text)}
	location := regexp.MustCompile(`^` + d.name + `:(\d+)(?::\d+)?: (?:error|warning|note): (.*)$`)
	context := regexp.MustCompile(`^` + d.name + `: (?:In function .*|At top level):$`)
	for _, line := range bytes.Split(bytes.TrimSuffix(stderr, []byte("\n")), []byte("\n")) {
		switch {
		case caretLine.Match(line):
		case utf8 && !quoteLine.Match(line) && bytes.Contains(line, []byte("'")):
			return false
		case context.Match(line):
		case quoteLine.Match(line):
			if !d.unchanged(quoteLine.FindSubmatch(line)[1]) {
				return false
			}
		default:
			m := location.FindSubmatch(line)
			if m == nil || !tokensOnly.Match(m[2]) || !d.unchanged(m[1]) {
				return false
			}
		}
	}
	return true
}

var (
	// tokensOnly are the messages that depend on the tokens alone. Hints
	// ("did you mean", "is defined in header") depend on macros' names too,
	// and what -Wimplicit-fallthrough says on comments.
	tokensOnly = regexp.MustCompile(`^expected [^?]*$|^[^?]* \[-W(?:unused-(?:variable|parameter|function|but-set-variable)|return-type|sign-compare)\]$`)
	quoteLine  = regexp.MustCompile(`^ *(\d+) \| `)
	caretLine  = regexp.MustCompile(`^ *\| [ ^~;:,(){}\[\]|]*$`)
)

type diagnosis struct {
	name   string
	source [][]byte
	text   map[int][]byte // the preprocessed lines of the source, by number
}

// unchanged reports whether preprocessing left the line as it was: then no
// macro was used in it and every column is the source's.
func (d *diagnosis) unchanged(number []byte) bool {
	n, err := strconv.Atoi(string(number))
	if err != nil || n < 1 || n > len(d.source) {
		return false
	}
	line, ok := d.text[n]
	return ok && bytes.Equal(line, folded(d.source[n-1]))
}

// folded is a source line with its indentation as gcc -E writes it: a space for
// each byte, so that columns stay.
func folded(line []byte) []byte {
	rest := bytes.TrimLeft(line, " \t\f\v")
	return append(bytes.Repeat([]byte(" "), len(line)-len(rest)), rest...)
}

var marker = regexp.MustCompile(`^# (\d+) "((?:[^"\\]|\\.)*)"`)

// linesOf reads the line markers of preprocessed text and collects the lines
// that come from name.
func linesOf(name string, text []byte) map[int][]byte {
	lines := make(map[int][]byte)
	inside, n := false, 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if m := marker.FindSubmatch(line); m != nil {
			file, err := strconv.Unquote(`"` + string(m[2]) + `"`)
			inside = err == nil && file == name
			n, _ = strconv.Atoi(string(m[1])) // the expression admits digits only
			continue
		}
		if inside {
			if _, twice := lines[n]; twice {
				lines[n] = nil // a file that includes itself: the line proves nothing
			} else {
				lines[n] = line
			}
		}
		n++
	}
	return lines
}
