package headers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/broker/headers/lex"
)

// A pending name is a macro that stands for a file's name.
type pending struct {
	state
	ref   lex.Ref
	image bool // a header of the image includes it
}

// ownMacro is the reason for a macro of the reserved names that no file defines.
const ownMacro = "may be the compiler's own"

// maxAliases bounds a chain of macros that stand for each other.
const maxAliases = 16

// definitions are all that is known of macros in the files of one scan, and on
// the command line.
type definitions []*lex.Facts

// settle follows names that are macros. The scan knows of every definition that
// the compiler can meet, so all files that any of them names are taken in. A
// definition that is not plain text makes the name unknowable.
func (s *scan) settle() error {
	wrapper := slices.ContainsFunc(s.read, func(f *lex.Facts) bool { return f.Wrapper }) // __has_include in disguise
	if !wrapper && !slices.ContainsFunc(s.macros, func(p pending) bool { return p.ref.Form != lex.Wrapped }) {
		return nil
	}
	defs := definitions(s.read)
	for _, p := range s.macros {
		if p.ref.Form == lex.Wrapped && !wrapper {
			continue
		}
		names, reason := defs.names(p.ref.Name, 0)
		if p.ref.Form == lex.Call && (len(names) > 0 || reason == "") {
			reason = ""
			if defs.defined(p.ref.Name) {
				reason = "is a macro with arguments"
			}
		}
		if reason == ownMacro && p.ref.Form == lex.Wrapped && !ownTexts[p.ref.Name] {
			reason = "" // a number, which is no file's name
		}
		if reason != "" && p.image {
			continue // what the client has of it can't be said, and mostly it has nothing
		}
		askable := p.ref.Kind <= lex.IncludeNext && p.ref.Form != lex.Wrapped
		if reason != "" && askable && len(s.src.Told) > 0 {
			continue // it is among those
		}
		if reason != "" {
			return &Unsound{Reason: Computed, Text: fmt.Sprintf("%s: the file name %s %s", p.where(), p.ref.Name, reason), Askable: askable}
		}
		for _, name := range names {
			if err := s.followText(p, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p pending) where() string {
	if p.File == nil {
		return commandLine
	}
	return p.File.Path()
}

// followText follows "name" or <name>.
func (s *scan) followText(p pending, text string) error {
	r := lex.Ref{Kind: p.ref.Kind, Early: p.ref.Early && p.File == s.main, Form: lex.Quote, Name: text[1 : len(text)-1]}
	if text[0] == '<' {
		r.Form = lex.Angle
	}
	if err := s.resolve(p.state, r); err != nil || p.ref.Form != lex.Wrapped {
		return err
	}
	r.Kind = lex.ProbeNext // which of the two the macro is for is not known
	return s.resolve(p.state, r)
}

// bodies are the plain texts that a macro is defined to; other is true when it
// has a definition that is not plain.
func (d definitions) bodies(macro string) (bodies []string, other bool) {
	h := lex.HashName(macro)
	for _, f := range d {
		if f.Defines(h) {
			return nil, true
		}
		for _, t := range f.Plain(h) {
			bodies = append(bodies, t.Body)
		}
	}
	return bodies, false
}

func (d definitions) defined(macro string) bool {
	bodies, other := d.bodies(macro)
	return len(bodies) > 0 || other
}

// names are the texts that a macro can stand for, or why that can't be said. A
// macro without any definition stands for nothing: the compiler will say so.
func (d definitions) names(macro string, depth int) ([]string, string) {
	bodies, other := d.bodies(macro)
	switch {
	case other:
		return nil, "is defined to more than a name"
	case depth > maxAliases:
		return nil, "is defined in too many steps"
	case len(bodies) == 0 && strings.HasPrefix(macro, "__"):
		return nil, ownMacro
	}
	var names []string
	for _, body := range bodies {
		switch body[0] {
		case '"':
			names = append(names, body)
		case '<':
			if part := d.partDefined(body); part != "" {
				return nil, "has in it the macro " + part
			}
			names = append(names, body)
		default:
			more, reason := d.names(body, depth+1)
			if reason != "" {
				return nil, reason
			}
			names = append(names, more...)
		}
	}
	return names, ""
}

// partDefined finds a macro inside <name>, where macros are replaced: one of the
// files', or one that compilers define without underscores.
func (d definitions) partDefined(body string) string {
	for _, part := range strings.FieldsFunc(body, func(c rune) bool {
		return c < 0x80 && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) {
		if strings.HasPrefix(part, "_") || native[part] || d.defined(part) {
			return part
		}
	}
	return ""
}

// ownTexts are the macros that compilers define to a string; all others of their
// own are numbers and words.
var ownTexts = map[string]bool{
	"__FILE__": true, "__BASE_FILE__": true, "__FILE_NAME__": true, "__DATE__": true, "__TIME__": true,
	"__TIMESTAMP__": true, "__VERSION__": true, "__clang_version__": true, "__FILE_EXTENSION__": true,
}

// native are names that some gcc or clang defines by itself in gnu modes.
var native = map[string]bool{
	"linux": true, "unix": true, "i386": true, "i486": true, "i586": true, "i686": true, "arm": true, "mips": true,
	"MIPSEB": true, "MIPSEL": true, "R3000": true, "LANGUAGE_C": true, "sparc": true, "sun": true, "m68k": true,
	"mc68000": true, "hppa": true, "PPC": true, "powerpc": true, "vax": true, "pixel": true, "bool": true, "vector": true,
	"pic": true, "PIC": true, "near": true, "far": true, "ia64": true, "sh": true, "WIN32": true, "WIN64": true, "WINNT": true,
}
