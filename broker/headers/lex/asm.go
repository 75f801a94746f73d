package lex

import "bytes"

// asmWords are the assembler's directives that read a file, in lower case: gas
// reads them in any.
var asmWords = []struct {
	word string
	kind Kind
}{
	{".incbin", AsmBinary},
	{".include", AsmInclude},
}

// asmText finds the files that assembler text names. Comments are not told from
// code: they look different for each target. In a whole file a name may also be
// a macro's, so what has no name in quotes is trouble there as everywhere.
func asmText(f *facts, text []byte, file bool) {
	for i := 0; ; i++ {
		n := bytes.IndexByte(text[i:], '.')
		if n < 0 {
			return
		}
		i += n
		for _, w := range asmWords {
			if asmWordAt(text, i, w.word) {
				asmName(f, text[i+len(w.word):], w.kind, file)
			}
		}
	}
}

// asmWordAt reports whether the directive word stands at i, not as part of
// another word.
func asmWordAt(text []byte, i int, word string) bool {
	end := i + len(word)
	if end > len(text) || !bytes.EqualFold(text[i:end], []byte(word)) {
		return false
	}
	if i > 0 && (isWord(text[i-1]) || text[i-1] == '"' || text[i-1] == '/') {
		return false
	}
	return end == len(text) || !isWord(text[end])
}

func isWord(c byte) bool { return c == '.' || classes[c] == letter || classes[c] == digit }

// asmName reads the name behind a directive, in double quotes. Everything that
// the assembler or the compiler would change in it is trouble.
func asmName(f *facts, text []byte, k Kind, file bool) {
	text = bytes.TrimLeft(text, " \t")
	n := -1
	if len(text) > 0 && text[0] == '"' {
		n = bytes.IndexAny(text[1:], "\"\n\\%{|}\x00")
	}
	if n < 0 || text[n+1] != '"' {
		what := "inline assembler text"
		if file {
			what = "an assembler file"
		}
		f.trouble(AsmName, what+" reads a file whose name can't be seen")
		return
	}
	f.ref(Ref{Kind: k, Name: string(text[1 : n+1])})
}
