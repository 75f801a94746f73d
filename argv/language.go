package argv

import (
	"strings"

	"github.com/crosscc/crosscc/argv/option"
)

// Language is a source language as -x names it.
type Language int

// The languages that are read. NoLanguage is anything else.
const (
	NoLanguage Language = iota
	C
	CXX
	ObjC
	ObjCXX
	CPPOutput // preprocessed C
	CXXCPPOutput
	ObjCCPPOutput
	ObjCXXCPPOutput
	AsmCPP // assembler to be preprocessed, .S
	Asm    // .s
)

// languages holds a row for each Language, in order.
var languages = [...]struct {
	x, suffix    string
	preprocessed Language
}{
	NoLanguage:      {"", "", NoLanguage},
	C:               {"c", ".c", CPPOutput},
	CXX:             {"c++", ".cc", CXXCPPOutput},
	ObjC:            {"objective-c", ".m", ObjCCPPOutput},
	ObjCXX:          {"objective-c++", ".mm", ObjCXXCPPOutput},
	CPPOutput:       {"cpp-output", ".i", CPPOutput},
	CXXCPPOutput:    {"c++-cpp-output", ".ii", CXXCPPOutput},
	ObjCCPPOutput:   {"objective-c-cpp-output", ".mi", ObjCCPPOutput},
	ObjCXXCPPOutput: {"objective-c++-cpp-output", ".mii", ObjCXXCPPOutput},
	AsmCPP:          {"assembler-with-cpp", ".S", Asm},
	Asm:             {"assembler", ".s", Asm},
}

// XName is the operand of -x.
func (l Language) XName() string { return languages[l].x }

// Suffix is the usual suffix of a file in the language, with its dot.
func (l Language) Suffix() string { return languages[l].suffix }

// Preprocessed is the language of the preprocessor's output; a preprocessed one is its own.
func (l Language) Preprocessed() Language { return languages[l].preprocessed }

// IsPreprocessed reports whether no preprocessor is run for the language.
func (l Language) IsPreprocessed() bool { return l != NoLanguage && l.Preprocessed() == l }

// Assembles reports whether the source is assembler text, so that the compiler proper has no part in it.
func (l Language) Assembles() bool { return l == Asm || l == AsmCPP }

func (l Language) String() string {
	if l == NoLanguage {
		return "none"
	}
	return l.XName()
}

// suffixLanguages are the suffixes that both families read alike.
var suffixLanguages = map[string]Language{
	"c": C, "i": CPPOutput,
	"C": CXX, "cc": CXX, "cp": CXX, "cpp": CXX, "CPP": CXX, "cxx": CXX, "c++": CXX, "ii": CXXCPPOutput,
	"m": ObjC, "mi": ObjCCPPOutput, "mm": ObjCXX, "M": ObjCXX, "mii": ObjCXXCPPOutput,
	"s": Asm, "S": AsmCPP,
}

// clangSuffixes are C++ for clang and objects for gcc.
var clangSuffixes = map[string]Language{"CC": CXX, "CXX": CXX, "C++": CXX}

// headers are suffixes that make a precompiled header.
var headers = map[string]bool{
	"h": true, "hh": true, "H": true, "hp": true, "hpp": true, "HPP": true, "hxx": true, "h++": true, "tcc": true,
}

// otherSources are suffixes of languages that we leave alone; whatever is not known at all is the linker's.
var otherSources = map[string]bool{
	"sx": true, "ads": true, "adb": true, "d": true, "dd": true, "di": true, "go": true, "f": true, "F": true, "for": true,
	"fpp": true, "FOR": true, "f90": true, "F90": true, "f95": true, "F95": true, "f03": true, "f08": true, "cu": true,
	"cui": true, "hip": true, "hipi": true, "cl": true, "clcpp": true, "ll": true, "bc": true, "rs": true, "zig": true,
	"cppm": true, "ccm": true, "cxxm": true, "c++m": true, "ixx": true, "iim": true, "ast": true, "pcm": true, "pch": true,
}

// languageOf finds the language of an input; a reason where it is none that can be sent.
func languageOf(name, x string, cxx bool, f Family) (Language, Reason) {
	if x != "" && x != "none" {
		return namedLanguage(x)
	}
	_, suffix := splitSuffix(name)
	if headers[suffix] {
		return NoLanguage, option.PrecompiledHeader
	}
	l, ok := suffixLanguages[suffix]
	if !ok && f == Clang {
		l, ok = clangSuffixes[suffix]
	}
	switch {
	case otherSources[suffix]:
		return NoLanguage, option.OtherLanguage
	case !ok:
		return NoLanguage, option.NotASource
	case cxx && l == C:
		l = CXX
	case cxx && l == CPPOutput:
		l = CXXCPPOutput
	}
	return l, ""
}

// namedLanguage reads the operand of -x.
func namedLanguage(x string) (Language, Reason) {
	for l, row := range languages {
		if row.x == x && x != "" {
			return Language(l), ""
		}
	}
	if strings.HasSuffix(x, "-header") {
		return NoLanguage, option.PrecompiledHeader
	}
	return NoLanguage, option.OtherLanguage
}

// Base is the language that a preprocessed text was written in, and C for assembler, whose preprocessor is C's; of every
// other language it is the language itself.
func (l Language) Base() Language {
	if l.Assembles() {
		return C
	}
	for b, row := range languages {
		if b := Language(b); b != l && l != NoLanguage && row.preprocessed == l {
			return b
		}
	}
	return l
}

// misread names an input whose language g++ takes from other words than gcc does; "" when there is none. g++ puts -x c++
// before a name that ends in .c, .h or .i and -x none behind it, unless an -x, even -x none, stands between that name and
// the input before (lang_specific_driver in g++spec.cc).
func (c *Command) misread(cxx bool) string {
	if !cxx || c.family == Clang {
		return ""
	}
	x, fresh, over := "", false, false
	for _, w := range c.words {
		switch {
		case w.Kind == option.KindLanguage:
			x, fresh, over = w.Value, true, false
		case w.Kind != option.KindInput || x == "":
		case fresh:
			if fresh = false; x == "none" && wrapped(w.Value) {
				return w.Value
			}
		case x != "none" && (over || wrapped(w.Value) && x != "c++"):
			return w.Value
		default:
			over = over || wrapped(w.Value)
		}
	}
	return ""
}

// wrapped reports whether g++ puts a language before an input of this name.
func wrapped(name string) bool {
	return len(name) > 2 && name[len(name)-2] == '.' && strings.ContainsRune("chi", rune(name[len(name)-1]))
}
