package toolchains

import (
	"slices"
	"strings"
)

// This file is about a gcc that serves a target by words: one for x86_64 that is
// told -m32 makes what one for i686 makes.
//
// The words come as explicit defaults do, from the client and in front of its own.
// cc1 writes the words of its line into DW_AT_producer, and no spec, variable or
// later word takes -m32 out of them again: with debug information such an object is
// another one, unless the command says -gno-record-gcc-switches.

// recorded is the word of a gcc command by which its object says the words that it
// was made with, "" when it does not. Where it is not clear that no debug
// information is made, it is.
func recorded(words []string) (word string) {
	silent := false
	for _, w := range words {
		switch {
		case w == "-gno-record-gcc-switches":
			silent = true
		case w == "-grecord-gcc-switches":
			silent = false
		case w == "-g0", strings.HasPrefix(w, "-gno-"), strings.HasPrefix(w, "-gz"):
		case strings.HasPrefix(w, "-g"):
			word = w
		}
	}
	if silent {
		word = ""
	}
	if w := "-frecord-gcc-switches"; slices.Contains(words, w) {
		word = w
	}
	if w := "-fverbose-asm"; slices.Contains(words, w) {
		word = w
	}
	return word
}
