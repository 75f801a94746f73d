package option

import (
	"slices"
	"strings"
)

// A Word is one option with its operand, or one input.
type Word struct {
	Kind   Kind
	Name   string   // the option's name in the table, "" for inputs and words that are not there
	Value  string   // its operand
	Text   []string // as the compiler gets it: one word or two
	Reason Reason   // of a local word
}

// Read takes the next word of what is left of a command line, at least one word, and its operand where the table says that it
// has one; the number is how many that are.
func Read(rest []string, f Family) (Word, int) {
	s := rest[0]
	if s == "" || s == "-" || s[0] != '-' {
		return Word{Kind: KindInput, Value: s, Text: []string{s}}, 1
	}
	r := lookup(s, f)
	if r == nil {
		return Word{Kind: KindPlain, Text: []string{s}}, 1
	}
	w := Word{Kind: r.kind, Name: r.name, Reason: r.reason, Text: []string{s}}
	n := 1
	switch {
	case r.form == joined, r.form == either && s != r.name:
		w.Value = s[len(r.name):]
	case r.form == separate, r.form == either:
		if len(rest) < 2 {
			// The compiler has words of its own for this.
			w.Kind, w.Reason = KindLocal, MissingOperand
			return w, 1
		}
		w.Value, w.Text, n = rest[1], []string{s, rest[1]}, 2
	}
	return r.short(w, f), n
}

// short gives an option in its GNU long spelling (--define-macro X) the short one's name and meaning. Its text stays:
// what the compiler has against the word it says in the user's own spelling.
func (r *row) short(w Word, f Family) Word {
	if r.alias == "" {
		return w
	}
	to := lookup(r.alias, f)
	w.Kind, w.Name, w.Reason = to.kind, to.name, to.reason
	if to.form == joined {
		w.Value = (r.alias + w.Value)[len(to.name):]
	}
	return w
}

// NativeNames are the options whose value may be native.
var NativeNames = []string{"-march=", "-mcpu=", "-mtune="}

// Native reports whether the value is "native". clang splits it at its plus signs first: -mcpu=native+crypto.
func (w Word) Native() bool {
	cpu, _, _ := strings.Cut(w.Value, "+")
	return w.Kind == KindTarget && strings.EqualFold(cpu, "native") && slices.Contains(NativeNames, w.Name)
}

// OutputName is the file that a word makes the compile write; "" when it names none.
func (w *Word) OutputName() string {
	switch w.Kind {
	case KindNamed:
		return w.Value
	case KindOptInfo:
		if _, name, ok := strings.Cut(w.Value, "="); ok && name != "stderr" && name != "stdout" {
			return name
		}
	}
	return ""
}

// Renamed is a word with the file that it names called otherwise.
func (w *Word) Renamed(to string) []string {
	if w.Kind == KindNamed {
		return []string{w.Text[0], to}
	}
	before, _, _ := strings.Cut(w.Text[0], "=")
	return []string{before + "=" + to}
}
