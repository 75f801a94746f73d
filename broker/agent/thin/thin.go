// Package thin reads archives without members of their own: an index, and the names of the files that the members are (ar's T).
package thin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Magic begins a thin archive.
const Magic = "!<thin>\n"

// headSize is the size of a member's head (ar.h): name 16, date 12, user 6, group 6, mode 8, size 10, end 2.
const headSize = 60

// nameSize is what of a head's name says where the table has it. GNU ar writes the first bytes of a file's own name there
// before, with a slash behind them, and leaves the last byte as it was: a slash, when that name has 15 bytes or more
// (_bfd_construct_extended_name_table in BFD's archive.c).
const nameSize = 15

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

// Renamed is the archive with other names for the files, as ar would have written it.
func (a *Archive) Renamed(to func(name string) string) ([]byte, error) {
	if a.table.end == 0 {
		return a.text, nil
	}
	table, moved := a.renameTable(to)
	head := fmt.Appendf(nil, "%s%-10d`\n", a.text[a.table.head:a.table.head+48], len(table))
	shift := len(table) + len(table)&1 - (a.table.end - a.table.head - headSize) - a.table.end&1
	out := slices.Concat(a.text[:a.table.head], head, table)
	if len(table)&1 != 0 {
		out = append(out, '\n')
	}
	from := a.table.end + a.table.end&1
	if a.index.head > a.table.head || from > len(a.text) {
		return nil, errors.New("its parts stand in an order of their own")
	}
	for at := from; at < len(a.text); at += headSize {
		member := slices.Clone(a.text[at : at+headSize])
		number, origin, _ := strings.Cut(strings.TrimRight(string(member[1:nameSize]), " "), ":")
		old, err := strconv.Atoi(number)
		if new, ok := moved[old]; ok && err == nil && member[0] == '/' {
			name := "/" + strconv.Itoa(new)
			if origin != "" {
				name += ":" + origin
			}
			if len(name) > nameSize {
				return nil, errors.New("a name stands too far behind")
			}
			copy(member, fmt.Sprintf("%-*s", nameSize, name))
		} else {
			return nil, fmt.Errorf("the member at %d has no name in the table", at)
		}
		out = append(out, member...)
	}
	return out, a.shiftIndex(out, shift)
}

// renameTable is the table with other names, and where each entry is now.
func (a *Archive) renameTable(to func(string) string) (table []byte, moved map[int]int) {
	moved = map[int]int{}
	old := string(a.text[a.table.head+headSize : a.table.end])
	for at := 0; at < len(old); {
		name, _, ok := strings.Cut(old[at:], "/\n")
		if !ok {
			break // what fills it up
		}
		moved[at] = len(table)
		table = append(append(table, to(name)...), "/\n"...)
		at += len(name) + 2
	}
	if len(table)&1 != 0 {
		table = append(table, '\n') // as ar does, which counts it
	}
	return table, moved
}

// shiftIndex adds to the places of members in the index of symbols.
func (a *Archive) shiftIndex(out []byte, shift int) error {
	if a.index.end == 0 {
		return nil
	}
	wide := out[a.index.head+1] == 'S'
	body := out[a.index.head+headSize : a.index.end]
	size := 4
	if wide {
		size = 8
	}
	read := func(b []byte) uint64 {
		if wide {
			return binary.BigEndian.Uint64(b)
		}
		return uint64(binary.BigEndian.Uint32(b))
	}
	if len(body) < size || read(body) > uint64(len(body)/size-1) {
		return errShort
	}
	for i := range int(read(body)) {
		b := body[(i+1)*size:]
		if v := read(b) + uint64(shift); wide {
			binary.BigEndian.PutUint64(b, v)
		} else {
			binary.BigEndian.PutUint32(b, uint32(v))
		}
	}
	return nil
}
