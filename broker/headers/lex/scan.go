package lex

import (
	"bytes"
	"sort"
)

// class says what a byte begins.
type class uint8

const (
	other   class = iota // an operator, or a byte of no meaning
	blank                // white space but the newline
	newline              //
	letter               // an identifier; bytes over 0x7f are in one
	digit                // a number
	double               // "
	single               // '
	slash                // perhaps a comment
	bracket              // perhaps [[
)

var classes = classTable()

func classTable() (t [256]class) {
	for c := range t {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '$', b >= 0x80:
			t[c] = letter
		case b >= '0' && b <= '9':
			t[c] = digit
		}
	}
	for _, b := range []byte(" \t\v\f\r\x00") {
		t[b] = blank
	}
	t['\n'], t['"'], t['\''], t['/'], t['['] = newline, double, single, slash, bracket
	return t
}

// inName tells the bytes of an identifier behind its first.
var inName = nameTable()

func nameTable() (t [256]bool) {
	for c, k := range classes {
		t[c] = k == letter || k == digit
	}
	return t
}

// A scanner reads one text in one mode.
type scanner struct {
	facts   *facts
	mode    mode
	asm     bool
	b       []byte // ends in a newline
	splices []int  // where in b a splice was
	i       int    // the next byte
	saw     mode   // modes in which this text reads differently

	group            []byte // the literals so far of a row in which the assembler's words may be
	dot              bool   // the literal before ended in one
	depth            int    // of #if
	parens, brackets span   // of attributes
	first            bool   // an #include outside of all #if blocks was seen

	// Of the directive that is being read.
	cond   bool   // it is #if or #elif
	define bool   // it is #define
	params []byte // of a macro that has some, with their parentheses
}

// text scans data, and tells the modes in which it reads differently.
func (s *scanner) text(data []byte) mode {
	s.b, s.splices = clean(data, s.mode)
	for s.i < len(s.b) {
		s.line()
	}
	return s.saw
}

// line reads one line, or the lines that a comment or raw string joins.
func (s *scanner) line() {
	s.skipBlanks()
	switch c := s.b[s.i]; {
	case c == '#':
		s.i++
		s.directive()
	case c == '%' && s.at(1) == ':':
		s.i += 2
		s.directive()
	case c == 'i' || c == 'e':
		s.importLine()
	}
	s.rest()
	s.cond, s.define, s.params = false, false, nil
}

// at is the byte n places on; a newline behind the end.
func (s *scanner) at(n int) byte {
	if s.i+n < len(s.b) {
		return s.b[s.i+n]
	}
	return '\n'
}

// skipBlanks skips white space and comments, but no newline outside of one.
func (s *scanner) skipBlanks() {
	for s.i < len(s.b) {
		switch {
		case classes[s.b[s.i]] == blank:
			s.i++
		case s.b[s.i] == '/' && s.at(1) == '*':
			s.blockComment()
		default:
			return
		}
	}
	s.i = len(s.b) - 1 // the last newline: a comment that is never closed swallowed it
}

// rest reads tokens up to and with the newline.
func (s *scanner) rest() {
	b := s.b
	for s.i < len(b) {
		switch classes[b[s.i]] {
		case newline:
			s.i++
			return
		case letter:
			if j := plainEnd(b, s.i); j > 0 && !s.cond {
				s.i = j
			} else {
				s.identifier()
			}
		case digit:
			s.number()
		case double:
			s.str()
		case single:
			s.i = s.closing(s.i+1, '\'')
		case slash:
			s.slash()
		case bracket:
			if s.i++; s.at(0) == '[' {
				s.attributes(&s.brackets, "]]")
			}
		default:
			s.i++
		}
	}
}

// plainEnd is the end of the identifier at i when nothing is to be done about
// it, as is so for nearly all; else 0.
func plainEnd(b []byte, i int) int {
	j := i + 1
	for inName[b[j]] {
		j++
	}
	for i < j && b[i] == '_' {
		i++
	}
	if lengths[b[i]]&(1<<min(j-i, 63)) != 0 || b[j] == '"' {
		return 0
	}
	return j
}

func (s *scanner) slash() {
	switch s.at(1) {
	case '*':
		s.blockComment()
	case '/':
		s.lineComment()
	default:
		s.i++
	}
}

func (s *scanner) blockComment() {
	// Slashes are rarer in comments than stars.
	for i := s.i + 3; i < len(s.b); i++ {
		n := bytes.IndexByte(s.b[i:], '/')
		if n < 0 {
			break
		}
		if i += n; s.b[i-1] == '*' {
			s.i = i + 1
			return
		}
	}
	s.i = len(s.b)
}

// lineComment leaves the newline to be read.
func (s *scanner) lineComment() {
	if s.mode&noSlashes != 0 {
		s.i++
		return
	}
	end := s.i + bytes.IndexByte(s.b[s.i:], '\n')
	if bytes.Contains(s.b[s.i+2:end], []byte("/*")) {
		s.saw |= noSlashes
	}
	s.i = end
}

// closing is the place behind the quote that ends a literal, or the newline that
// does.
func (s *scanner) closing(i int, quote byte) int {
	for ; ; i++ {
		switch s.b[i] {
		case quote:
			return i + 1
		case '\n':
			return i
		case '\\':
			if s.b[i+1] != '\n' {
				i++
			}
		}
	}
}

// number skips a preprocessing number: it may hold single quotes in C++.
func (s *scanner) number() {
	for ; ; s.i++ {
		switch c := s.b[s.i]; {
		case classes[c] == letter || classes[c] == digit || c == '.':
		case c == '\'' && inName[s.at(1)]:
			s.saw |= noSeparators
			if s.mode&noSeparators != 0 {
				return
			}
		default:
			return
		}
	}
}

// name takes an identifier; it is empty when none is here.
func (s *scanner) name() []byte {
	start := s.i
	if classes[s.b[s.i]] != letter {
		return nil
	}
	for s.i++; inName[s.b[s.i]]; s.i++ {
	}
	return s.b[start:s.i]
}

func (s *scanner) identifier() {
	name := s.name()
	if s.b[s.i] == '"' && name[len(name)-1] == 'R' && len(name) <= 3 {
		s.maybeRaw(name)
		return
	}
	if s.cond {
		s.call(name)
	}
	bare := name
	for len(bare) > 0 && bare[0] == '_' {
		bare = bare[1:]
	}
	if len(bare) == 0 || lengths[bare[0]]&(1<<min(len(bare), 63)) == 0 {
		return
	}
	s.special(name, bytes.TrimRight(bare, "_"))
}

// rawPrefix reports whether a quote behind the identifier begins a raw string.
func rawPrefix(name []byte) bool {
	switch string(name) {
	case "R", "LR", "uR", "UR", "u8R":
		return true
	}
	return false
}

// maybeRaw reads R"delimiter(…)delimiter" and its kin, or leaves it to be read
// as a plain string.
func (s *scanner) maybeRaw(prefix []byte) {
	if !rawPrefix(prefix) {
		return
	}
	s.saw |= noRaw
	open := bytes.IndexByte(s.b[s.i:min(s.i+18, len(s.b))], '(') // a delimiter has 16 characters at most
	if s.mode&noRaw != 0 || open < 0 || bytes.ContainsAny(s.b[s.i+1:s.i+open], " \t\v\f\n\\)") {
		return
	}
	end := append(append([]byte{')'}, s.b[s.i+1:s.i+open]...), '"')
	from := s.i + open + 1
	n := bytes.Index(s.b[from:], end)
	if n < 0 {
		s.i = len(s.b)
		return
	}
	s.i = from + n + len(end)
	s.addGroup(s.b[from:from+n], false)
	// A raw string keeps its splices: one inside what looks like its end makes
	// it none.
	if k := sort.SearchInts(s.splices, from+n+1); k < len(s.splices) && s.splices[k] < s.i {
		s.facts.trouble(RawString, "a line splice stands in the end of a raw string")
	}
}

// str reads a string literal.
func (s *scanner) str() {
	start := s.i + 1
	s.i = s.closing(start, '"')
	s.addGroup(bytes.TrimSuffix(s.b[start:s.i], []byte(`"`)), true)
}

// addGroup joins adjacent literals, from the first that may have a word of the
// assembler's on, and looks at them when the last one is here.
func (s *scanner) addGroup(text []byte, escapes bool) {
	if s.asm {
		return // asmText reads the whole file
	}
	if escapes {
		text = unescape(text)
	}
	dot := s.dot
	s.dot = bytes.HasSuffix(text, []byte(".")) && s.literalFollows()
	if len(s.group) == 0 {
		if !hasInc(text) {
			return
		}
		if dot {
			s.group = append(s.group, '.')
		}
	}
	s.group = append(s.group, text...)
	if !s.literalFollows() {
		asmText(s.facts, s.group, false)
		s.group = s.group[:0]
	}
}

// literalFollows looks past white space and comments for another literal.
func (s *scanner) literalFollows() bool {
	at := *s
	for at.i < len(at.b) {
		switch c := at.b[at.i]; {
		case classes[c] == blank || c == '\n':
			at.i++
		case c == '/' && at.at(1) == '*':
			at.blockComment()
		case c == '/' && at.at(1) == '/' && at.mode&noSlashes == 0:
			at.lineComment()
		case c == '"':
			return true
		default:
			switch string(at.name()) {
			case "L", "u", "U", "u8", "R", "LR", "uR", "UR", "u8R":
				return at.i < len(at.b) && at.b[at.i] == '"'
			}
			return false
		}
	}
	return false
}

// hasInc looks for the beginning of the assembler's words, in any case.
func hasInc(text []byte) bool {
	for i := 1; i+1 < len(text); i++ {
		if text[i]|0x20 == 'n' && text[i-1]|0x20 == 'i' && text[i+1]|0x20 == 'c' {
			return true
		}
	}
	return false
}

// unescape undoes the escapes that assembler text in a C string may be written
// with. Others stay, and make a file's name unreadable.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		if k := bytes.IndexByte([]byte(`"'nt\`), b[i]); k >= 0 {
			out = append(out, "\"'\n\t\\"[k])
		} else if c, n := number(b[i:]); n > 0 {
			out = append(out, c)
			i += n - 1
		} else {
			out = append(out, '\\', b[i])
		}
	}
	return out
}

// number reads the escape 101, x41, u0041 or U00000041 behind its backslash: the
// character, and the length of its text, 0 when it is none. What is not plain
// ASCII is given as a zero byte, which no word and no name has in it.
func number(b []byte) (c byte, n int) {
	from, most, base := 0, 3, 8
	switch b[0] {
	case 'x':
		from, most, base = 1, len(b), 16
	case 'u':
		from, most, base = 1, 5, 16
	case 'U':
		from, most, base = 1, 9, 16
	}
	value := 0
	for n = from; n < min(most, len(b)); n++ {
		d := bytes.IndexByte([]byte("0123456789abcdefABCDEF"), b[n])
		if d > 15 {
			d -= 6
		}
		if d < 0 || d >= base {
			break
		}
		value = min(value*base+d, 1<<20)
	}
	switch {
	case n == from:
		return 0, 0
	case value >= 0x20 && value < 0x7f || value == '\n' || value == '\t':
		return byte(value), n
	}
	return 0, n
}
