package headers

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// Defaults are the directories that a compiler searches unasked, in order.
type Defaults struct {
	Family argv.Family
	CXX    bool // for C++ and Objective-C++
	Dirs   []DefaultDir
	// Gone are directories that the compiler would search if they existed. gcc
	// does not say where in the order; one that appears makes the rest void.
	Gone []string
	// Same are directories that it leaves out because they are the same as one
	// of Dirs.
	Same []string
}

// A DefaultDir is one of them.
type DefaultDir struct {
	Name    string // as the compiler spells it
	ExternC bool   // clang: what is in it is C even in C++
}

// asksFor are words that move the defaults; the families read them alike or say
// that they don't know them.
var asksFor = []string{
	"--sysroot", "-isysroot", "--no-sysroot-suffix", "-imultilib", "-imultiarch", "--gcc-toolchain=", "-gcc-toolchain",
	"--gcc-install-dir=", "--gcc-triple=", "-stdlib=", "--stdlib=", "-nostdinc", "-nostdinc++", "-nostdlibinc",
	"-nobuiltininc", "-ibuiltininc", "-no-canonical-prefixes", "-canonical-prefixes", "-iprefix",
}

// AskWords are the words of a command that its Defaults depend on. With the
// driver's path and fingerprint, and GCC_EXEC_PREFIX and COMPILER_PATH, they are
// the key under which Defaults may be kept: CPATH and its kin are no part of
// them.
func AskWords(cmd *argv.Command) []string {
	words := cmd.TargetWords()
	for _, o := range cmd.Preprocessor() {
		switch {
		case !slices.Contains(asksFor, o.Name):
		case o.Name == "--sysroot":
			words = append(words, o.Name+"="+o.Value)
		case strings.HasSuffix(o.Name, "="):
			words = append(words, o.Name+o.Value)
		case o.Value == "":
			words = append(words, o.Name)
		default:
			words = append(words, o.Name, o.Value)
		}
	}
	return append(words, "-x", cmd.Language().XName())
}

// Ask asks the compiler at driver, an absolute name in sys.Root, for its own
// directories under the words of cmd. It runs one process; callers keep gcc's
// answer (AskWords says how long), and give a Run that remembers for clang.
func Ask(ctx context.Context, sys drivers.System, driver string, cmd *argv.Command) (Defaults, error) {
	d := Defaults{Family: cmd.Family(), CXX: isCXX(cmd.Language())}
	if cmd.Language().IsPreprocessed() {
		return d, nil
	}
	out, err := sys.Run(ctx, drivers.Program{
		Path: driver, Args: append(AskWords(cmd), "-E", "-v", "-"),
		Env: []string{"LC_ALL=C", "CPATH=", "C_INCLUDE_PATH=", "CPLUS_INCLUDE_PATH=", "OBJC_INCLUDE_PATH=", "OBJCPLUS_INCLUDE_PATH="},
	})
	if err != nil {
		return d, fmt.Errorf("ask %s for its include directories: %w", driver, err)
	}
	if out.Status != 0 {
		return d, fmt.Errorf("ask %s for its include directories: it left with status %d: %s", driver, out.Status, lastLine(out.Stderr))
	}
	if !d.read(string(out.Stderr)) {
		return d, fmt.Errorf("ask %s for its include directories: it printed no list of them", driver)
	}
	return d, nil
}

// lastLine is where a compiler says what it died of.
func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

func isCXX(l argv.Language) bool { return l == argv.CXX || l == argv.ObjCXX }

// read takes in what -v prints; false when there is no list in it.
func (d *Defaults) read(text string) bool {
	var listed []string
	began, ended := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch name, quoted := ignored(line); {
		case strings.HasPrefix(line, `#include "..."`) || strings.HasPrefix(line, "#include <...>"):
			began = true
		case line == "End of search list.":
			ended = began
		case began && !ended && strings.HasPrefix(line, " "):
			listed = append(listed, strings.TrimPrefix(line, " "))
		case quoted && strings.HasPrefix(line, "ignoring nonexistent"):
			d.Gone = append(d.Gone, name)
		case quoted && strings.HasPrefix(line, "ignoring duplicate"):
			d.Same = append(d.Same, name)
		case d.Family == argv.Clang && strings.HasPrefix(line, ` "`) && strings.Contains(line, " -cc1 "):
			d.readCC1(splitWords(line))
		}
	}
	if d.Family != argv.Clang {
		for _, name := range listed {
			d.Dirs = append(d.Dirs, DefaultDir{Name: name})
		}
	} else {
		d.Gone, d.Same = nil, nil // Dirs holds them where they belong
	}
	return ended
}

// ignored takes the name out of a line such as
// `ignoring nonexistent directory "/x"`.
func ignored(line string) (string, bool) {
	_, rest, ok := strings.Cut(line, ` directory "`)
	if !ok || !strings.HasPrefix(line, "ignoring ") {
		return "", false
	}
	return strings.TrimSuffix(rest, `"`), true
}

// readCC1 takes clang's directories from the line of the compiler proper, which
// has those that don't exist too.
func (d *Defaults) readCC1(words []string) {
	d.Dirs = nil
	for i := 1; i < len(words); i++ {
		switch words[i-1] {
		case "-internal-isystem":
			d.Dirs = append(d.Dirs, DefaultDir{Name: words[i]})
		case "-internal-externc-isystem":
			d.Dirs = append(d.Dirs, DefaultDir{Name: words[i], ExternC: true})
		}
	}
}

// splitWords splits a command line of -v: words are bare, or in double quotes
// with a backslash before what would end them.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == ' ' && !quoted:
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}
