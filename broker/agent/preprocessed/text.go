// Package preprocessed is about what preprocessed text can't do: it is not always the program
// that the source is (Unsendable), it has lost the comments that gcc heeds
// (WithComments), and what a compiler says of it is rarely what it says of the source
// (Provable).
package preprocessed

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/crosscc/crosscc/argv"
)

// Unsendable says why preprocessed text is not the program that the source is,
// for the compiler at hand; empty when it is.
func Unsendable(text []byte, family argv.Family, cxx bool) string {
	for _, w := range tellTales {
		if w.applies(family, cxx) && bytes.Contains(text, []byte(w.word)) {
			return fmt.Sprintf("the source has %s: %s", w.word, w.why)
		}
	}
	system := false // inside a system header
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if len(line) == 0 || line[0] != '#' {
			continue
		}
		if m := marker.FindSubmatch(line); m != nil {
			system = bytes.Contains(line[len(m[0]):], []byte(" 3"))
			if bytes.HasPrefix(m[2], []byte("/dev/")) || bytes.HasPrefix(m[2], []byte("/proc/")) {
				return fmt.Sprintf("it reads %s, which can be read once", m[2])
			}
			continue
		}
		if m := movingPragma.Find(line); m != nil && !system {
			return fmt.Sprintf("the source has %s, which gcc's preprocessor run passes over", m)
		}
	}
	return ""
}

// movingPragma are directives that change what the preprocessor itself does in a
// compile, but not in a run with -E: macros that depend on the target or on
// optimisation, warnings of its own made errors.
var movingPragma = regexp.MustCompile(`^#pragma (?:GCC|clang) +(?:target|optimize|pch_preprocess|diagnostic +(?:error|warning))\b`)

// A tellTale is a word whose meaning preprocessing changes.
type tellTale struct {
	word string
	only argv.Family // Unknown: both
	cxx  bool        // in C++ only
	why  string
}

func (w tellTale) applies(f argv.Family, cxx bool) bool {
	return (w.only == argv.Unknown || w.only == f) && (cxx || !w.cxx)
}

var tellTales = [...]tellTale{
	{word: ".incbin", why: "the assembler reads that file (X14)"},
	{word: ".include", why: "the assembler reads that file (X14)"},
	{word: "__builtin_source_location", why: "it gives a column, and preprocessing moves columns"},
	{word: "__builtin_COLUMN", why: "it gives a column, and preprocessing moves columns"},
	{word: "__builtin_LINE", only: argv.Clang, why: "clang numbers the lines of a macro's use otherwise in preprocessed text"},
	{word: "__PRETTY_FUNCTION__", only: argv.Clang, cxx: true, why: "clang names lambdas by their column"},
}
