package option

import "strings"

// form is how an option takes its operand.
type form int

const (
	flag     form = iota // none: the word is the name
	joined               // the rest of the word, possibly nothing
	separate             // the next word
	either               // the rest of the word, or the next word when nothing is left
)

// kind is what a word means to us, and so which of the two runs it goes to: the client's preprocessor run (-E) or the
// helper's compile of the preprocessed text.
type Kind int

const (
	KindPlain      Kind = iota // moves the compiler proper, as far as we know: both runs
	KindTarget                 // selects machine, CPU or ABI: both runs
	KindDebug                  // -g…: both runs
	KindDiagnostic             // moves only what is said: both runs
	KindTree                   // as plain, but exact in tree form alone: reason says what is in the way of the other
	KindExtra                  // makes the compile write one more file, with a name that follows from the output's: tree form alone
	KindReads                  // makes the compiler read a file besides: it travels, in tree form alone
	KindDump                   // names of such files: in a job alone
	KindNamed                  // the same, into the file that the operand names
	KindOptInfo                // the same, -fopt-info-…=FILE; without FILE to stderr
	KindLTO                    // -flto, -fno-lto: the last decides
	KindAssembler              // to the assembler: the compile alone
	KindXclang                 // to clang's -cc1: checked as pairs, both runs
	KindCPP                    // spent once the text is preprocessed: -E alone
	KindToCPP                  // -Wp, and -Xpreprocessor: taken apart, -E alone
	KindDependency             // -MD and its kin
	KindLinker                 // no part of a compile, but clang speaks of it: -E alone
	KindMode                   // -c, -S
	KindLanguage               // -x
	KindOutput                 // -o
	KindInput                  // no option at all
	KindPreprocess             // ends the compile after preprocessing
	KindPrints                 // makes the driver print something and leave
	KindLocal                  // forces a local run: reason says why
)

// row is what we know of one option.
type row struct {
	name   string
	form   form
	kind   Kind
	reason Reason // of kindLocal; of kindTree and kindExtra why not in the other form
	only   Family // Unknown: both families have it
	alias  string // the short option that a long GNU spelling stands for
}

// lookup finds the row for a word that begins with a dash: the longest name that fits. nil when there is none.
func lookup(s string, f Family) *row {
	var best *row
	for _, i := range options[initial(s)] {
		r := &table[i]
		if r.only != Unknown && r.only != f || best != nil && len(r.name) < len(best.name) {
			continue
		}
		if s == r.name || (r.form == joined || r.form == either) && strings.HasPrefix(s, r.name) {
			best = r
		}
	}
	return best
}

// options holds the indices of the table's rows by the letter behind the dash.
var options = byInitial()

func byInitial() (rows [256][]int) {
	for i, r := range table {
		rows[initial(r.name)] = append(rows[initial(r.name)], i)
	}
	return rows
}

func initial(s string) byte {
	if len(s) < 2 {
		return 0
	}
	return s[1]
}
