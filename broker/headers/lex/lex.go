// Package lex finds, in the text of one C, C++, Objective-C or assembler file,
// everything that can make a compiler look for another file, without expanding
// macros and in every branch of every #if.
//
// Names that ## makes are not seen. What is a piece of such a name and nothing
// else, as __TI or __has_, is trouble; a name made of three pieces or of such as
// mean anything (__ ## TIME ## __) is missed.
//
// Start with File and with Facts, what it gives. scan.go is the loop over the
// text, directive.go reads a # line, asm.go looks into assembler text, words.go
// holds the words that others want to know of, and clean.go does what comes
// before all that: line splices, trigraphs, carriage returns.
//
// The rule of the package is that a Ref too many does no harm and a Ref too few
// makes a wrong tree. Where the text reads differently in two languages (is
// R"( a raw string? is // a comment? is ??/ a backslash?), it is read in each
// way and the results are put together.
package lex

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// A Kind says what is done with the file that a Ref names.
type Kind uint8

// The kinds.
const (
	Include     Kind = iota // #include, #import: it is read as source
	IncludeNext             // #include_next
	Probe                   // __has_include, #embed: it is found, but not read as source
	ProbeNext               // __has_include_next
	Shown                   // #line: diagnostics show lines of it
	AsmInclude              // .include: the assembler reads it as assembler text
	AsmBinary               // .incbin: the assembler copies it
)

// A Form says how a Ref names its file.
type Form uint8

// The forms.
const (
	Quote   Form = iota // "name"
	Angle               // <name>
	Macro               // Name is a macro that stands for one of the above
	Call                // Name is a macro with arguments
	Wrapped             // Name is the argument of some macro on an #if line, which may be __has_include in disguise
)

// A Ref is one mention of another file.
type Ref struct {
	Kind Kind
	Form Form
	// Early: no #include outside of all #if blocks stands before this one, so
	// it may be the first that is executed.
	Early bool
	Name  string
}

// A Text is a macro without parameters that is defined to nothing but "name",
// <name> or another identifier.
type Text struct {
	Macro uint64 // HashName of its name
	Body  string // with its quotes or brackets
}

// A Trouble is something that makes it impossible to say what would be read.
type Trouble struct {
	Kind TroubleKind
	Text string // one line for people
}

// TroubleKind is a short fixed word for a Trouble.
type TroubleKind string

// The kinds of trouble.
const (
	AsmName    TroubleKind = "incbin"     // the assembler reads a file whose name can't be seen
	Dependency TroubleKind = "dependency" // #pragma GCC dependency, which compares ages
	Alias      TroubleKind = "pragma"     // a pragma that changes what an #include means
	Modules    TroubleKind = "modules"    // import of a header unit
	Encoding   TroubleKind = "encoding"   // not ASCII's kin
	Pasted     TroubleKind = "pasted"     // ## may make __TIME__ or __has_include
	TooMany    TroubleKind = "too-many"   // more names than a file can want
	RawString  TroubleKind = "raw-string" // a raw string whose end we can't be sure of
)

// Facts are what one file's text says. They are never changed once made.
type Facts struct {
	Refs   []Ref
	Texts  []Text   // sorted by Macro
	Others []uint64 // HashName of every macro that is defined in another way, sorted
	// Wrapper: a macro hands one of its arguments on to __has_include.
	Wrapper bool
	// Words are the words of words.go that occur, sorted: attributes,
	// "pragma …", __DATE__ and its kin.
	Words    []string
	Troubles []Trouble
}

// Size is about how many bytes of memory f takes.
func (f *Facts) Size() int {
	n := 200 + 48*len(f.Refs) + 48*len(f.Texts) + 8*len(f.Others) + 16*len(f.Words) + 48*len(f.Troubles)
	for _, r := range f.Refs {
		n += len(r.Name)
	}
	for _, t := range f.Texts {
		n += len(t.Body)
	}
	return n
}

// Defines reports whether the text defines the macro in a way that Texts does
// not hold.
func (f *Facts) Defines(macro uint64) bool {
	_, ok := slices.BinarySearch(f.Others, macro)
	return ok
}

// Plain are those of Texts that are of one macro.
func (f *Facts) Plain(macro uint64) []Text {
	i, ok := slices.BinarySearchFunc(f.Texts, macro, func(t Text, h uint64) int { return cmp.Compare(t.Macro, h) })
	n := i
	for ok && n < len(f.Texts) && f.Texts[n].Macro == macro {
		n++
	}
	return f.Texts[i:n]
}

// seed makes hashes of names; they never leave the process.
var seed = maphash.MakeSeed()

// HashName stands for a macro's name.
func HashName(name string) uint64 { return maphash.String(seed, name) }

func hashBytes(name []byte) uint64 { return maphash.Bytes(seed, name) }

// A Language is what decides how a text is read.
type Language uint8

// The languages.
const (
	Source    Language = iota // C and its kin
	AsmSource                 // assembler text that the preprocessor reads first, .S
	Asm                       // assembler text alone
)

// File reads the text of one file. It does not keep data, nor change it.
func File(data []byte, lang Language) *Facts {
	f := &facts{seen: map[Ref]struct{}{}, texts: map[Text]struct{}{}, words: map[string]struct{}{}}
	if lang != Source {
		asmText(f, data, true)
	}
	if lang != Asm {
		f.everyWay(data, lang)
	}
	return f.done()
}

// everyWay reads data in each way that could be the compiler's.
func (f *facts) everyWay(data []byte, lang Language) {
	if len(data) >= 2 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff) {
		f.trouble(Encoding, "the text is UTF-16")
		return
	}
	var read [allModes + 1]bool
	ambiguous, ways := ambiguities(data), 0
	for again := true; again; {
		again = false
		for m := range mode(allModes + 1) {
			if m&^ambiguous == 0 && !read[m] {
				if ways++; ways > 1 && ways*len(data) > maxWork {
					f.trouble(TooMany, "a large text that can be read in many ways")
					return
				}
				read[m], again = true, true
				s := scanner{facts: f, mode: m, asm: lang == AsmSource}
				ambiguous |= s.text(data)
			}
		}
	}
}

// Bounds of what one file may say: one of 32 MiB could name millions of others.
const (
	maxRefs    = 20000
	maxNames   = 4 << 20   // bytes of all names in Refs and Texts
	maxTexts   = 100_000   //
	maxOthers  = 1_000_000 // with repetitions
	maxWords   = 2000      //
	maxWork    = 96 << 20  // bytes read, in all ways together
	maxName    = 8 << 10   // bytes of a name; the kernel's bound of a path is 4 KiB
	maxParams  = 64 << 10  // bytes of a macro's parameters
	tooManyOne = "one file says more of names, macros and pragmas than is kept of it"
)

// facts are Facts in the making.
type facts struct {
	Facts
	seen  map[Ref]struct{}
	texts map[Text]struct{}
	words map[string]struct{}
	names int // bytes of names
}

func (f *facts) ref(r Ref) {
	if r.Name == "" {
		return // an error of the source's, and no file
	}
	if _, ok := f.seen[r]; ok || f.full(len(f.seen) >= maxRefs, len(r.Name)) {
		return
	}
	f.seen[r] = struct{}{}
	f.Refs = append(f.Refs, r)
}

// full makes trouble when a bound is reached.
func (f *facts) full(list bool, name int) bool {
	if list || f.names+name > maxNames {
		f.trouble(TooMany, tooManyOne)
		return true
	}
	f.names += name
	return false
}

func (f *facts) word(w string) {
	if _, ok := f.words[w]; !ok && !f.full(len(f.words) >= maxWords, 0) {
		f.words[w] = struct{}{}
	}
}

// define notes a macro that is more than one plain text.
func (f *facts) define(macro uint64) {
	if !f.full(len(f.Others) >= maxOthers, 0) {
		f.Others = append(f.Others, macro)
	}
}

// plain notes a macro's plain text.
func (f *facts) plain(t Text) {
	if _, ok := f.texts[t]; !ok && !f.full(len(f.texts) >= maxTexts, len(t.Body)) {
		f.texts[t] = struct{}{}
		f.Texts = append(f.Texts, t)
	}
}

func (f *facts) trouble(k TroubleKind, text string) {
	t := Trouble{k, text}
	if !slices.Contains(f.Troubles, t) && len(f.Troubles) < 8 {
		f.Troubles = append(f.Troubles, t)
	}
}

// done puts the parts in order and lets go of what only the making needed.
func (f *facts) done() *Facts {
	slices.Sort(f.Others)
	f.Others = slices.Clip(slices.Compact(f.Others))
	for w := range f.words {
		f.Words = append(f.Words, w)
	}
	slices.Sort(f.Words)
	slices.SortStableFunc(f.Texts, func(a, b Text) int { return cmp.Compare(a.Macro, b.Macro) })
	f.Refs, f.Texts = slices.Clip(f.Refs), slices.Clip(f.Texts)
	out := f.Facts
	return &out
}
