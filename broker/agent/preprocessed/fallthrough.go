package preprocessed

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
)

// gcc's -Wimplicit-fallthrough reads comments, which preprocessing removes, and
// text that keeps them (-E -C) is not the same program: a macro whose arguments
// stand behind a comment is not expanded in it, a stringified argument has its
// comments in it. So the text stays what -E makes, and the comments that say
// "fall through" are put back where -E -C shows that they are live. A comment
// more can change nothing but that warning.

// MayFallThrough reports whether a source has comments worth the second run.
func MayFallThrough(source []byte) bool { return fallWord.Match(source) }

var (
	fallWord = regexp.MustCompile(`(?i)fall`)
	// lastComment is a comment at the end of a line, with plain words in it.
	lastComment = regexp.MustCompile(`(?:/\*([\w \t.!,@:-]*)\*/|//([\w \t.!,@:-]*))[ \t]*$`)
)

// A place is a line of a source file as the line markers say, and how often it
// came before: a file may be included twice.
type place struct {
	file string
	line int
	time int
}

// WithComments puts the comments about falling through, that commented (the
// text that -E -C made) has at the ends of lines, at the ends of the same lines
// of text. Text with raw strings is left alone: a line may end inside one.
func WithComments(text, commented []byte) []byte {
	if bytes.Contains(text, []byte(`R"`)) {
		return text
	}
	live := make(map[place][]byte)
	eachLine(commented, func(at place, line []byte) {
		if m := lastComment.FindSubmatch(line); m != nil && fallWord.Match(m[0]) {
			live[at] = slices.Concat([]byte(" /*"), m[1], m[2], []byte("*/"))
		}
	})
	if len(live) == 0 {
		return text
	}
	var out bytes.Buffer
	out.Grow(len(text) + 64*len(live))
	first := true
	eachLine(text, func(at place, line []byte) {
		if !first {
			out.WriteByte('\n')
		}
		first = false
		out.Write(line)
		if c := live[at]; c != nil && !bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#")) {
			out.Write(c)
		}
	})
	return out.Bytes()
}

// eachLine calls f with each line of preprocessed text and where it comes from;
// line markers come with the zero place.
func eachLine(text []byte, f func(place, []byte)) {
	seen := make(map[place]int)
	file, n := "", 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if m := marker.FindSubmatch(line); m != nil {
			file = string(m[2])
			n, _ = strconv.Atoi(string(m[1])) // the expression admits digits only
			f(place{}, line)
			continue
		}
		key := place{file: file, line: n}
		f(place{file, n, seen[key] + 1}, line)
		seen[key]++
		n++
	}
}
