package lex

import (
	"slices"
	"strings"
	"testing"
)

// TestLarge reads texts that are made to take long: the time must grow with the
// text and not with its square, which would be hours.
func TestLarge(t *testing.T) {
	const size = 6 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	tests := []struct{ name, text, want string }{
		{"one line of names", "#if " + fill(`__has_include("a") `), ""},
		{"names that don't end", "#if " + fill("__has_include(<"), ""},
		{"calls with names", "#if " + fill("F(<a"), ""},
		{"attributes", fill("[["), ""},
		{"attributes that end late", fill("[[a " + strings.Repeat(" b", 2000)), ""},
		{"attributes in attributes", fill("__attribute__((a "), ""},
		{"comments", fill("/* * / "), ""},
		{"comments that don't end", fill("x /"), ""},
		{"slashes", fill("/"), ""},
		{"quotes", fill("'\""), ""},
		{"literals", fill(`"inc" `), ""},
		{"literals apart", fill("\"inc\" /*" + strings.Repeat(" ", 5000) + "*/ x "), ""},
		{"raw strings", fill(`R"(`), ""},
		{"raw strings that look alike", fill(`R"a()b" `), ""},
		{"splices", fill("\\\n"), ""},
		{"backslashes", fill("\\ "), ""},
		{"parameters", "#define F(" + fill("a,") + ") " + fill("__has_include(x) "), ""},
		{"pragmas", fill("_Pragma("), ""},
		{"one long pragma", fill("#pragma "), ""},
		{"brackets", fill("("), ""},
		{"incbin", fill(`asm(".incbin `), ""},
		{"blanks", fill("\t "), ""},
		{"digits", fill("1'"), ""},
		{"names", fill("a"), ""},
		{"a long name", `#include "` + fill("n") + `"`, ""},
		{"many defines", numbered("#define a", " b\n", size), "too-many"},
		{"many values", numbered("#define a", " 1\n", size), ""},
		{"many pragmas", numbered("#pragma a", "\n", size), "too-many"},
		{"many names", numbered("#include <a", ">\n", size), "too-many"},
	}
	for _, tt := range tests {
		f := File([]byte(tt.text), Source)
		has := slices.ContainsFunc(f.Troubles, func(t Trouble) bool { return t.Kind == TooMany })
		if has != (tt.want == "too-many") {
			t.Errorf("%s: %v", tt.name, f.Troubles)
		}
		if n := f.Size(); n > 16<<20 {
			t.Errorf("%s: takes %d bytes of memory", tt.name, n)
		}
	}
}

// numbered repeats a text with a number of letters in it.
func numbered(before, after string, size int) string {
	var b strings.Builder
	for n := 0; b.Len() < size; n++ {
		b.WriteString(before)
		for i := n; i > 0; i /= 26 {
			b.WriteByte(byte('a' + i%26))
		}
		b.WriteString(after)
	}
	return b.String()
}
