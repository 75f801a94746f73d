// Package response reads response files (@file), as gcc's and clang's drivers do before they read anything else.
package response

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Bounds of response files; a loop ends at the first that it meets.
const (
	maxResponseDepth = 16
	maxResponseFiles = 2000     // libiberty's own: then it stops the driver
	maxResponseBytes = 16 << 20 // of all files together
	maxWords         = 1 << 18
)

// expander replaces @file words by the words of the file, as libiberty's expandargv and LLVM's tokenizer do: anywhere
// in the command line, operands included, nested names relative to the working directory.
type expander struct {
	read  func(string) ([]byte, error)
	out   []string
	files int
	bytes int
}

// Expand gives the command line without response files; an error when a file cannot be read as every compiler would.
// A missing file stays a word for the compilers, which then complain of it: that is for the local compiler to say.
func Expand(args []string, read func(string) ([]byte, error)) ([]string, error) {
	if read == nil {
		read = func(string) ([]byte, error) { return nil, errors.New("no files can be read here") }
	}
	e := expander{read: read, out: make([]string, 0, len(args))}
	if err := e.add(args, 0); err != nil {
		return nil, err
	}
	return e.out, nil
}

func (e *expander) add(args []string, depth int) error {
	for _, a := range args {
		name, at := strings.CutPrefix(a, "@")
		if !at {
			if len(e.out) >= maxWords {
				return fmt.Errorf("more than %d words", maxWords)
			}
			e.out = append(e.out, a)
			continue
		}
		if depth == maxResponseDepth {
			return fmt.Errorf("@%s: nested more than %d deep", name, maxResponseDepth)
		}
		words, err := e.file(name)
		if err != nil {
			return fmt.Errorf("@%s: %w", name, err)
		}
		if err := e.add(words, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// file reads the words of one response file.
func (e *expander) file(name string) ([]string, error) {
	if e.files++; e.files > maxResponseFiles {
		return nil, fmt.Errorf("more than %d response files", maxResponseFiles)
	}
	b, err := e.read(name)
	if err != nil {
		return nil, err
	}
	if e.bytes += len(b); e.bytes > maxResponseBytes {
		return nil, fmt.Errorf("response files of more than %d bytes", maxResponseBytes)
	}
	return split(b)
}

// split takes a response file apart: words end at white space, a backslash keeps the next byte, in quotes too, and
// quotes may begin and end inside a word. What libiberty and LLVM read differently is an error.
func split(b []byte) ([]string, error) {
	if bytes.ContainsAny(b, "\x00\v\f") || bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) ||
		bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return nil, errors.New("bytes that compilers read differently")
	}
	var words []string
	for i := skipSpace(b, 0); i < len(b); i = skipSpace(b, i) {
		w, end, err := nextWord(b, i)
		if err != nil {
			return nil, err
		}
		if len(words) >= maxWords {
			return nil, fmt.Errorf("more than %d words", maxWords)
		}
		words, i = append(words, w), end
	}
	return words, nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// nextWord reads the word that begins at i and says where it ends.
func nextWord(b []byte, i int) (string, int, error) {
	var w []byte
	quote := byte(0)
	for ; i < len(b) && (quote != 0 || !isSpace(b[i])); i++ {
		switch c := b[i]; {
		case c == '\\':
			if i++; i == len(b) {
				return "", i, errors.New("ends in a backslash")
			}
			w = append(w, b[i])
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		default:
			w = append(w, c)
		}
	}
	switch {
	case quote != 0:
		return "", i, fmt.Errorf("no closing %c", quote)
	case len(w) == 0:
		// gcc has an empty word here, clang none.
		return "", i, errors.New("an empty word")
	}
	return string(w), i, nil
}
