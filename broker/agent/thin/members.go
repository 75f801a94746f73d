package thin

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Plain begins an archive that has its members in it.
const Plain = "!<arch>\n"

// maxTable bounds the table of long names, in bytes.
const maxTable = 16 << 20

// A Member is a file in an archive, as far as its head says it.
type Member struct {
	Name string
	Mode uint32 // permissions
}

// Members are those of an archive that has them in it, in their order: names may come again. Forms of names that GNU ar does not
// write (BSD's, and without a slash behind) are errors, so that nothing is guessed. Of what is no such archive there are none.
func Members(r io.ReaderAt) ([]Member, error) {
	head := make([]byte, headSize)
	n, err := r.ReadAt(head[:len(Plain)], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if string(head[:n]) != Plain {
		return nil, nil
	}
	var all []Member
	table := ""
	for at := int64(len(Plain)); ; {
		n, err := r.ReadAt(head, at)
		if n == 0 && err == io.EOF {
			return all, nil
		}
		if n < headSize {
			return nil, errShort
		}
		size, err := strconv.ParseInt(strings.TrimRight(string(head[48:58]), " "), 10, 40)
		if err != nil || size < 0 || string(head[58:]) != "`\n" {
			return nil, fmt.Errorf("a member's head at %d is none", at)
		}
		name := strings.TrimRight(string(head[:16]), " ")
		switch name {
		case "/", "/SYM64/":
		case "//":
			if table, err = readTable(r, at+headSize, size); err != nil {
				return nil, err
			}
		default:
			m, err := member(name, strings.TrimRight(string(head[40:48]), " "), table)
			if err != nil {
				return nil, fmt.Errorf("the member at %d: %w", at, err)
			}
			all = append(all, m)
		}
		at += headSize + size + size&1
	}
}

func readTable(r io.ReaderAt, at, size int64) (string, error) {
	if size > maxTable {
		return "", fmt.Errorf("its names have more than %d MiB", maxTable>>20)
	}
	text := make([]byte, size)
	if _, err := r.ReadAt(text, at); err != nil {
		return "", errShort
	}
	return string(text), nil
}

// member reads what a head says: a name with a slash behind, or where it stands in the table of names.
func member(name, mode, table string) (Member, error) {
	long, isLong := strings.CutPrefix(name, "/")
	name, ok := strings.CutSuffix(name, "/")
	if isLong {
		at, err := strconv.Atoi(long)
		if err != nil || at < 0 || at >= len(table) {
			return Member{}, errors.New("its name is not in the table")
		}
		name, _, ok = strings.Cut(table[at:], "/\n")
	}
	if !ok || name == "" {
		return Member{}, errors.New("its name has a form that is not GNU ar's")
	}
	bits, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		return Member{}, fmt.Errorf("its mode is %q", mode)
	}
	return Member{Name: name, Mode: uint32(bits) & 0o7777}, nil
}
