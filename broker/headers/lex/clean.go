package lex

import "bytes"

// A mode is one way to read a text. The zero mode is what gcc and clang do
// unasked in C++ and in gnu C.
type mode uint8

const (
	noRaw        mode = 1 << iota // R"( begins no raw string: C of ISO standards, clang's C, assembler
	trigraphs                     // ??= is #, ??/ is a backslash: ISO standards, -trigraphs
	noSlashes                     // // begins no comment: C90, assembler
	loneCR                        // a carriage return alone ends a line: clang
	noSeparators                  // 1'0 is a number and a quote: C before C23, C++11
	allModes     = noRaw | trigraphs | noSlashes | loneCR | noSeparators
)

// ambiguities are the modes in which the bytes of a text read differently; the
// scanner finds those that depend on where they stand.
func ambiguities(b []byte) (m mode) {
	for i := bytes.IndexByte(b, '\r'); i >= 0; {
		if i+1 == len(b) || b[i+1] != '\n' {
			m |= loneCR
			break
		}
		n := bytes.IndexByte(b[i+1:], '\r')
		if n < 0 {
			break
		}
		i += 1 + n
	}
	if bytes.Contains(b, []byte("??")) {
		m |= trigraphs
	}
	return m
}

// clean does translation phases 1 and 2: it gives the text without line splices,
// ending in a newline, and the places in it where a splice was. Text that has
// nothing to clean is given as it is.
func clean(b []byte, m mode) (text []byte, splices []int) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if m&loneCR != 0 {
		b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	}
	if m&trigraphs != 0 {
		b = untrigraph(b)
	}
	if len(b) == 0 || b[len(b)-1] != '\n' {
		b = append(b[:len(b):len(b)], '\n') // a copy: the text is the caller's
	}
	from := 0
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '\\')
		if n < 0 {
			break
		}
		i += n + 1
		if end := spliceEnd(b, i); end > 0 {
			if text == nil {
				text = make([]byte, 0, len(b))
			}
			text = append(text, b[from:i-1]...)
			splices = append(splices, len(text))
			from, i = end, end
		}
	}
	if from == 0 {
		return b, nil
	}
	text = append(text, b[from:]...)
	if n := len(text); n == 0 || text[n-1] != '\n' {
		text = append(text, '\n')
	}
	return text, splices
}

// spliceEnd is where the line after a splice begins when the backslash before i
// is one: gcc and clang allow blanks between it and the newline. Else 0.
func spliceEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case '\n':
			return i + 1
		case ' ', '\t', '\v', '\f', '\r', 0:
		default:
			return 0
		}
	}
	return 0
}

// untrigraph replaces the trigraphs that matter to a scanner of directives.
func untrigraph(b []byte) []byte {
	for _, t := range [][2]string{{"??=", "#"}, {"??/", `\`}, {"??'", "^"}} {
		b = bytes.ReplaceAll(b, []byte(t[0]), []byte(t[1]))
	}
	return b
}
