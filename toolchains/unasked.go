package toolchains

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
)

// Unasked is what a gcc does unless a command line says otherwise, as far as
// words can say it: what is behind Identity.Defaults.
type Unasked struct {
	// C and CXX are the words that its specs put on the lines of cc1 and cc1plus.
	C, CXX []string
	// Knobs are the rows of its option tables that the table of knobs knows, as
	// "option value".
	Knobs []string
	// Rest is the digest of all other rows.
	Rest string
}

func (u Unasked) clone() Unasked {
	u.C, u.CXX, u.Knobs = slices.Clone(u.C), slices.Clone(u.CXX), slices.Clone(u.Knobs)
	return u
}

// A knob is one thing that distributions set differently.
type knob struct {
	name string
	// options are the words that turn it, by name or, with a '*' at the end, by
	// their beginning. A command that has one of them turns it itself.
	options []string
	// off is the word for a compiler that has none of the words unasked; "" says
	// that there is none.
	off string
}

const machineKnob = "machine"

// knobs are what can be made explicit. PIE and PIC are one: the last word counts,
// and -fno-pie is what a compiler without either does. The machine's words are
// one group, because gcc complains of an -mcpu beside an -march that it does not
// like, and its own specs leave their default away when either is given.
var knobs = [...]knob{
	{"position-independent code", []string{"-fpie", "-fPIE", "-fpic", "-fPIC", "-fno-pie", "-fno-PIE", "-fno-pic", "-fno-PIC"}, "-fno-pie"},
	{"stack protector", []string{"-fstack-protector", "-fstack-protector-strong", "-fstack-protector-all", "-fstack-protector-explicit", "-fno-stack-protector"}, "-fno-stack-protector"},
	{"control-flow protection", []string{"-fcf-protection*", "-fno-cf-protection"}, "-fcf-protection=none"},
	{"stack clash protection", []string{"-fstack-clash-protection", "-fno-stack-clash-protection"}, "-fno-stack-clash-protection"},
	{"unwind tables", []string{"-fasynchronous-unwind-tables", "-fno-asynchronous-unwind-tables"}, "-fno-asynchronous-unwind-tables"},
	{"branch protection", []string{"-mbranch-protection=*"}, "-mbranch-protection=none"},
	{machineKnob, []string{"-march=*", "-mcpu=*", "-mtune=*"}, ""},
	{"floating-point unit", []string{"-mfpu=*", "-mfloat-abi=*"}, ""},
	{"instruction set", []string{"-mthumb", "-marm"}, ""},
	{"fortification", []string{"-D_FORTIFY_SOURCE*", "-U_FORTIFY_SOURCE"}, "-U_FORTIFY_SOURCE"},
	{"assertions", []string{"-D_GLIBCXX_ASSERTIONS*", "-U_GLIBCXX_ASSERTIONS"}, "-U_GLIBCXX_ASSERTIONS"},
}

// followers are rows and words that follow from how the knobs stand: the code model
// from PIE, what ARM's driver derives from the architecture. They are compared by
// calibration alone.
var followers = []string{"-mcmodel=*", "-mlibarch=*", "-masm-syntax-unified*", "-mtp=*"}

func (k knob) turns(word string) bool { return matchAny(k.options, word) }

// NewUnasked sorts what a gcc says: the words that its specs put on the lines of cc1
// and cc1plus, and the rows of its option tables, each as "option value".
func NewUnasked(c, cxx, rows []string) Unasked {
	u := Unasked{C: c, CXX: cxx}
	var rest strings.Builder
	for _, row := range rows {
		option, value, _ := strings.Cut(row, " ")
		switch {
		case matchAny(followers, option):
		case slices.ContainsFunc(knobs[:], func(k knob) bool { return k.turns(option) }):
			u.Knobs = append(u.Knobs, row)
		default:
			fmt.Fprintf(&rest, "option %s %s\n", option, value)
		}
	}
	u.Rest = digestText(rest.String())
	return u
}

// words are those for one language.
func (u Unasked) words(lang argv.Language) []string {
	if lang == argv.CXX || lang == argv.ObjCXX {
		return u.CXX
	}
	return u.C
}

// Explicit gives the words that, in front of all of a command's, make a gcc with
// other defaults do unasked what want does. A command that turns a knob itself
// needs none for it. The string says what can't be made explicit; whether the
// words have the effect is for calibration to prove.
func Explicit(want, have Unasked, lang argv.Language, command []string) (words []string, why string) {
	if want.Rest == "" || have.Rest == "" {
		return nil, "what they are can't be said in words"
	}
	if want.Rest != have.Rest {
		return nil, "its option tables differ in more than words can say"
	}
	mine, others := split(want.words(lang))
	theirs, othersThere := split(have.words(lang))
	if !slices.Equal(others, othersThere) {
		return nil, "its compiler gets " + difference(othersThere, others)
	}
	for i, k := range knobs {
		if slices.Equal(mine[i], theirs[i]) && slices.Equal(want.rows(k), have.rows(k)) {
			continue
		}
		turned := slices.ContainsFunc(command, k.turns)
		if turned && (strings.HasPrefix(k.off, "-f") || k.name == machineKnob && slices.ContainsFunc(command, choosesMachine)) {
			continue // the last word counts, and it is the command's
		}
		said := want.said(k, mine[i])
		if len(said) == 0 || turned {
			return nil, "of " + k.name + ", which no word turns back"
		}
		words = append(words, said...)
	}
	return words, ""
}

// choosesMachine reports whether a word is one that makes a driver leave its own
// default of -march away.
func choosesMachine(word string) bool {
	return strings.HasPrefix(word, "-march=") || strings.HasPrefix(word, "-mcpu=")
}

// split sorts words by the knob that they turn; others turn none.
func split(words []string) (turned [len(knobs)][]string, others []string) {
	for _, w := range words {
		if matchAny(followers, w) {
			continue
		}
		i := slices.IndexFunc(knobs[:], func(k knob) bool { return k.turns(w) })
		if i < 0 {
			others = append(others, w)
		} else {
			turned[i] = append(turned[i], w)
		}
	}
	return turned, others
}

// rows are the option tables' of one knob.
func (u Unasked) rows(k knob) []string {
	return slices.DeleteFunc(slices.Clone(u.Knobs), func(row string) bool {
		option, _, _ := strings.Cut(row, " ")
		return !k.turns(option)
	})
}

// said is how a knob stands, in words: those of the compiler's line, else what
// the tables say is enabled, else that it is off.
func (u Unasked) said(k knob, line []string) []string {
	if len(line) > 0 {
		return line
	}
	var words []string
	for _, row := range u.rows(k) {
		option, value, _ := strings.Cut(row, " ")
		if value == "[enabled]" && !strings.HasPrefix(option, "-fno-") {
			words = append(words, option)
		} else if name, _, ok := strings.Cut(option, "="); ok && !strings.HasPrefix(value, "[") {
			words = append(words, name+"="+value) // -fcf-protection=[full|none] is how one option stands there
		}
	}
	if k.off == "-fno-pie" && slices.Contains(words, "-fPIE") {
		return []string{"-fPIE"} // an executable's, and not a library's: the tables show both
	}
	if len(words) == 0 && k.off != "" {
		return []string{k.off}
	}
	return words
}

// matchAny reports whether s is one of the patterns; one that ends in '*' stands
// for all that begin so.
func matchAny(list []string, s string) bool {
	for _, p := range list {
		if prefix, ok := strings.CutSuffix(p, "*"); p == s || ok && strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// difference says in words which of a's b lacks, and the other way round.
func difference(a, b []string) string {
	lacks := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(w string) bool { return slices.Contains(b, w) })
	}
	more, less := lacks(a, b), lacks(b, a)
	switch {
	case len(more) == 0 && len(less) == 0:
		return "the same words in another order"
	case len(less) == 0:
		return strings.Join(more, " ") + " unasked"
	case len(more) == 0:
		return "no " + strings.Join(less, " ") + " unasked"
	}
	return strings.Join(more, " ") + " instead of " + strings.Join(less, " ") + " unasked"
}
