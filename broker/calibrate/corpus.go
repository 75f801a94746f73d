package calibrate

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
)

// A Piece is a small part of the corpus. Its names begin with a word of its own,
// so that a symbol tells the piece.
type Piece struct {
	Name string
	// Note says what it is there to catch.
	Note string
	// Words are the attributes or pragmas without which no source can have what
	// the piece has, as package lex names them. None: any source may.
	Words []string
	// Code compiles as C89 with GNU extensions, or where its conditions say, and
	// as C++98 when it is in both. What a set of options does not allow is left
	// out of that set's corpus.
	Code string
}

//go:embed corpus/both.txt
var bothText string

//go:embed corpus/c.txt
var cText string

//go:embed corpus/cxx.txt
var cxxText string

//go:embed corpus/attributes.txt
var attributesText string

// The corpus, by language. Nobody writes to it.
var (
	cPieces   = slices.Concat(readPieces(bothText), readPieces(cText), readPieces(attributesText))
	cxxPieces = slices.Concat(readPieces(bothText), readPieces(cxxText), readPieces(attributesText))
)

// Corpus is what is compiled for sources in a language: each piece once.
func Corpus(lang argv.Language) []Piece {
	if isCXX(lang) {
		return slices.Clone(cxxPieces)
	}
	return slices.Clone(cPieces)
}

func isCXX(lang argv.Language) bool { return lang == argv.CXX || lang == argv.ObjCXX }

// readPieces reads a file of the corpus: a line `==== NAME | WORDS`, the note, a
// line `----`, the code.
func readPieces(text string) []Piece {
	var list []Piece
	for chunk := range strings.SplitSeq(text, "==== ") {
		head, body, _ := strings.Cut(chunk, "\n")
		name, words, _ := strings.Cut(head, "|")
		note, code, ok := strings.Cut(body, "\n----\n")
		if ok {
			list = append(list, Piece{
				Name: strings.TrimSpace(name), Words: strings.Fields(words),
				Note: strings.Join(strings.Fields(note), " "), Code: strings.TrimSpace(code) + "\n",
			})
		}
	}
	return list
}

// prologue stands before the pieces.
const prologue = `#ifdef __has_attribute
#define HAS(x) __has_attribute(x)
#else
#define HAS(x) 0
#endif
`

// source is one translation unit of pieces. Each begins with a marker, so that
// what a compiler complains of has the piece's name as its file's.
func source(pieces []Piece) []byte {
	var b strings.Builder
	b.WriteString(prologue)
	for _, p := range pieces {
		fmt.Fprintf(&b, "#line 1 %q\n%s", p.Name, p.Code)
	}
	return []byte(b.String())
}

// macroSource is a unit whose debug information holds every macro that the
// compiler defines unasked.
const macroSource = "int macros;\n"

// A version changes when the corpus or what is made of it does: results of another
// one are no results.
var cVersion, cxxVersion = versionOf(cPieces), versionOf(cxxPieces)

func versionOf(pieces []Piece) string {
	return digest("crosscc corpus v1\n" + string(source(pieces)) + macroSource)
}

func version(lang argv.Language) string {
	if isCXX(lang) {
		return cxxVersion
	}
	return cVersion
}
