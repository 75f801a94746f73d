// Package thin reads archives without members of their own: an index, and the names of the files that the members are (ar's T).
package thin

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Magic begins a thin archive.
const Magic = "!<thin>\n"

// headSize is the size of a member's head (ar.h): name 16, date 12, user 6, group 6, mode 8, size 10, end 2.
const headSize = 60

// MaxSize bounds an archive that is read, in bytes. It has no more than names and an index.
const MaxSize = 64 << 20

var errShort = errors.New("it ends in the middle")

// An Archive is what a thin archive says.
type Archive struct {
	// Names are the files that members are, or that members of other archives lie in, each once: absolute, or from the
	// directory where the archive is.
	Names []string

	text         []byte
	index, table section // symbols; the table of names
}

// A section is where one part of an archive is: its head, and its end.
type section struct{ head, end int }

// Read reads an archive. It keeps text.
func Read(text []byte) (*Archive, error) {
	if !bytes.HasPrefix(text, []byte(Magic)) {
		return nil, errors.New("it is no thin archive")
	}
	a := &Archive{text: text}
	for at := len(Magic); at < len(text); {
		if at+headSize > len(text) {
			return nil, errShort
		}
		name := strings.TrimRight(string(text[at:at+16]), " ")
		size, err := strconv.ParseInt(strings.TrimRight(string(text[at+48:at+58]), " "), 10, 40)
		if err != nil || size < 0 || string(text[at+58:at+headSize]) != "`\n" {
			return nil, fmt.Errorf("a member's head at %d is none", at)
		}
		next := at + headSize
		if name == "/" || name == "//" || name == "/SYM64/" { // the others lie elsewhere
			if size > int64(len(text)-next) {
				return nil, errShort
			}
			next += int(size)
		}
		switch name {
		case "//":
			a.table = section{at, next}
		case "/", "/SYM64/":
			a.index = section{at, next}
		}
		at = next + next&1
	}
	a.Names = a.names()
	return a, nil
}

// names are the entries of the table of names.
func (a *Archive) names() []string {
	if a.table.end == 0 {
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for name := range strings.SplitSeq(string(a.text[a.table.head+headSize:a.table.end]), "/\n") {
		if name = strings.Trim(name, "\n"); name != "" && !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}
