package helper

import (
	"bytes"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
)

// FuzzOpens: what makes a compiler open a file is found wherever it lies in a text
// that is read in pieces; and nothing is found where a look at the whole finds
// nothing, but in lines that are longer than a spelling.
func FuzzOpens(f *testing.F) {
	for _, text := range []string{
		"#pragma GCC pch_preprocess \"a\"\n", "#pragma GCC \\u0070ch_preprocess \"a\"\n", "__asm__(\".incbin \\\"a\\\"\");\n", ".include \"a\"\n",
		"#include \"a\"\n", " %: \t include <a>\n", "??=import a\n", "# 12 \"a\"\n#embed <x>\n", "\\u{000000000000070}\n", "\\N{LATIN SMALL LETTER P}ch_preprocess",
		"int x; /* .includes */\n", "#pragma clang module import x\n",
	} {
		for _, pad := range []uint32{0, 1<<16 - 5, 1 << 16, 1<<16 + maxSpelling - 10, 1<<16 + maxSpelling, 1<<17 + 3} {
			f.Add(text, pad, true)
			f.Add(text, pad, false)
		}
	}
	f.Fuzz(func(t *testing.T, text string, pad uint32, clang bool) {
		pad %= 1 << 18
		if strings.HasSuffix(text, "pch_preproces\\u{0") || len(text) > 1<<16 {
			return
		}
		whole := []byte(strings.Repeat("int x;\n", int(pad)/7) + strings.Repeat(" ", int(pad)%7) + text)
		family, words := argv.GCC, []string{"-x", "cpp-output", "-c", "a.i", "-o", "a.o"}
		if clang {
			family = argv.Clang
		}
		blob := broker.BytesBlob(whole)
		err := opens(&broker.File{Blob: blob}, argv.Parse(words, argv.Env{Family: family}))
		if found := opensAt(whole, true, clang) >= 0; found && err == nil {
			t.Errorf("%d bytes and %q: not refused", pad, text)
		} else if !found && err != nil && longest(whole) < maxSpelling {
			t.Errorf("%d bytes and %q: %v", pad, text, err)
		}
	})
}

func longest(text []byte) (n int) {
	for line := range bytes.Lines(text) {
		n = max(n, len(line))
	}
	return n
}
