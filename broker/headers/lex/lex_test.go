package lex

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// show writes Facts on one line: include "x", next <y>, probe macro X …
func show(f *Facts) string {
	kinds := map[Kind]string{Include: "", IncludeNext: "next ", Probe: "probe ", ProbeNext: "probenext ", Shown: "line ", AsmInclude: "asm ", AsmBinary: "bin "}
	forms := map[Form]string{Quote: `"%s"`, Angle: "<%s>", Macro: "%s", Call: "%s()", Wrapped: "(%s)"}
	var out []string
	for _, r := range f.Refs {
		out = append(out, kinds[r.Kind]+fmt.Sprintf(forms[r.Form], r.Name))
	}
	for _, t := range f.Troubles {
		out = append(out, "!"+string(t.Kind))
	}
	return strings.Join(out, " ")
}

func TestRefs(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"#include <a.h>", "<a.h>"},
		{"  # /* x */ include /* y */ \"a b.h\" // z\n", `"a b.h"`},
		{"%:include <a>\n??=include <b>\n", "<a> <b>"},
		{"/* #include <a>\n */ #include <b>\n", "<b>"},
		{"/* c */ # /* \n */ include <a>\n", "<a>"},
		{"// x \\\n#include <a>\n#include <b>", "<b>"},
		{"// x ??/\n#include <a>\n", "<a>"},
		{"// /* \n#include <a>\n", "<a>"},
		{"char *s = \"/*\"; char c = '\"'; \n#include <a>\n", "<a>"},
		{"#if 0\nit's \"open\n#include <a>\n#endif", "<a>"},
		{"int n = 1'000'000; /* it's */ char c = '\\''; \n#include <a>", "<a>"},
		{"#inc\\\nlude \\  \n <a>\n", "<a>"},
		{"#define X \\\n#include <a>\n", ""},
		{"auto s = R\"(\n#include <a>\n)\";\n#include <b>\n", "<b> <a> <b>"},
		{"auto s = u8R\"x(\n)\" /* \n)x\";\n#include <b>\n", "<b>"},
		{"#R\"(\n#include <a>\n)\" /*\n*/\n#include <b>\n", "<b> <a> <b>"},
		{"x = FOOR\"(\";\n#include <b>\n", "<b>"},
		{"\xef\xbb\xbf#include <a>", "<a>"},
		{"#include <a>\r\n#include <b>\r\n", "<a> <b>"},
		{"x // y\r#include <a>\r", "<a>"},
		{"#include_next <a>\n#import \"b\"\n#embed \"c\" limit(4)\n", `next <a> "b" probe "c"`},
		{"#include X\n#include Y(z)\n#include <broken\n#include\n", "X Y()"},
		{"#include <sys//a.h>\n", "<sys//a.h>"},
		{"#if __has_include(<a>) || defined(__has_include) && __has_include_next(\"b\")\n#elif __has_include ( X )\n#endif", `probe <a> probenext "b" probe X`},
		{"#if F(<a>) && G(\"b\") || H(X) || I(1) || __has_attribute(y) || J(x, y)\n#endif", `probe <a> probenext <a> probe "b" probenext "b" probe (X)`},
		{"#ifdef __has_include\n#if defined __has_include\n#endif\n#endif", ""},
		{"#line 7 \"g.y\"\n# 1 \"h\\\"i\" 3 4\n# 1 \"<built-in>\"\n#line X\n#line 4\n#line __LINE__ \"k\"\n", `line "g.y" line "h"i" line X line "k"`},
		{"#line 1 \"\\166.h\"\n# 2 \"a\\x62\"\n", "!encoding"},
		{"#line 1 \"a\\\\\\\"b\"\n", `line "a\"b"`},
		{"asm(\".incbin \\\"a\\\"\" \"\");", `bin "a"`},
		{"asm(\".\" \"inc\" /**/ \n \"bin \\\"a\\\", 1\");", `bin "a"`},
		{"asm(R\"(.incbin \"a\")\");", `bin "a" !incbin`}, // read as no raw string too
		{"asm(\".incbin %0\" :: \"i\"(x));", "!incbin"},
		{"asm(\".incbin \\\"\" NAME \"\\\"\");", "!incbin"},
		{"#define I(f) asm(\".incbin \" #f)\n", "!incbin"},
		{"STR(.incbin \"a\")", "!incbin"},
		{"s = \"x.include\"; t = \".includes\"; u = \"see.incbin\"; v = \"#include <a>\"; w = x.include;", ""},
		{"asm(\".Incbin \\\"a\\\"\"); asm(\".\" \"INCBIN \\\"b\\\"\");", `bin "a" bin "b"`},
		{"asm(\".inc\\142in \\42a\\x22\"); asm(\"\\56\" \"\\u0069ncbin \\\"b\\U00000022\");", `bin "a" bin "b"`},
		{"asm(\".incbin \\\"\\1\\\"\");", "!incbin"},
		{"asm(\".incbin \\\"\\u0162\\\"\");", "!incbin"},
		{"asm(\".incbin \\\"\\\\n\\\"\");", "!incbin"},
		{"s = \"the end.\"; t = \"include <a>\"; u = \"\\033[1mincbin\\\\\";", ""},
		{"asm(\".include \\\"m.s\\\"\");", `asm "m.s"`},
		{"_Pragma(\"GCC dependency \\\"x\\\"\")", "!dependency"},
		{"#pragma include_alias(<a>, <b>)", "!pragma"},
		{"C2(__TI,ME__)", "!pasted !pasted"},
		{"C2(__TIM,E__) C2(__TIME,__)", "!pasted !pasted !pasted"},
		{"C2(_,_TIME__) C2(__,DATE__) C2(__TIMESTAMP_,_)", "!pasted !pasted !pasted"},
		{"C2(__T,IME__) C2(__TIMESTAM, P__)", "!pasted !pasted !pasted"},
		{"#if CAT(__has_,include)(\"v.h\")", "!pasted !pasted"},
		{"#if CAT(_,_has_include)(\"v.h\") || CAT(__has_inc,lude_next)(<v.h>)", `!pasted !pasted`},
		{"#define P C2(_Pra,gma)(\"GCC dependency \\\"x\\\"\")", "!pasted"},
		{"#define HAS(x) __has_##x\n#if HAS(include)(\"v.h\")\n#endif", "probe (include) !pasted"},
		{"#define HAS(x) __has_ ## x\n#define H HAS(include_next)\n", "!pasted"},
		{"#define HAS CAT(__has_,x)\n", "!pasted"},
		{"__has_attribute(x) __has_builtin TIME DATE __h __T __time__ __TIME_T_TYPE include _P E__x #x __has_##x##_##y __##n##__", ""},
		{"import <a>;\nexport import \"b\";\nint import;\n", "!modules"},
		{"\xff\xfe#\x00", "!encoding"},
		{"/* never closed\n#include <a>", ""},
		{"#", ""},
		{"#include \"", ""},
		{"\"\\", ""},
		{"R\"(", ""},
		{"'", ""},
		{"#define", ""},
		{"#if F(", ""},
	}
	for _, tt := range tests {
		if got := show(File([]byte(tt.text), Source)); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestAssembler(t *testing.T) {
	tests := []struct {
		text string
		lang Language
		want string
	}{
		{".include \"a.s\"\n\t.INCBIN\t\"b\",1,2\n", Asm, `asm "a.s" bin "b"`},
		{"#include <a.h>\n.incbin \"b\"\n# it's a comment\n#include \"c.h\"\n", AsmSource, `bin "b" <a.h> "c.h"`},
		{".macro m f\n.incbin \"\\f\"\n.endm\n", Asm, "!incbin"},
		{".incbin NAME\n", AsmSource, "!incbin"},
		{"#include <a.h>\n", Asm, ""},
		{".incbin", Asm, "!incbin"},
	}
	for _, tt := range tests {
		if got := show(File([]byte(tt.text), tt.lang)); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestMacros(t *testing.T) {
	f := File([]byte("#define A \"a.h\"\n#define B <b.h> // x\n#define C A\n#define D \"d\" \"e\"\n#define E(x) \"e\"\n#define F\n#define G 1\n#define H(x) __has_include(x)\n"), Source)
	for name, body := range map[string]string{"A": `"a.h"`, "B": "<b.h>", "C": "A"} {
		if !slices.Contains(f.Texts, Text{HashName(name), body}) || f.Defines(HashName(name)) {
			t.Errorf("%s is not %s", name, body)
		}
	}
	for _, name := range []string{"D", "E", "F", "G", "H"} {
		if !f.Defines(HashName(name)) {
			t.Errorf("%s is not defined otherwise", name)
		}
	}
	if !f.Wrapper || len(f.Texts) != 3 {
		t.Errorf("wrapper %v, texts %v", f.Wrapper, f.Texts)
	}
}

func TestWords(t *testing.T) {
	tests := []struct{ text, want string }{
		{"__attribute__((cold, optimize(\"O2\"))) int f;", "cold optimize"},
		{"#define COLD __attribute ((__cold__))", "cold"},
		{"[[gnu::hot]] int f; int a[b[c]]; int hot;", "hot"},
		{"ATTR(stack_protect) ATTR(__naked__) ATTR(target(\"avx\")) ATTR(cold)", "naked stack_protect target"},
		{"int target = section + mode; /* noinline */ char *s = \"noinline\";", ""},
		{"#pragma once\n#pragma GCC optimize (\"O3\")\n#pragma omp parallel\n#pragma GCC diagnostic push", "optimize pragma GCC optimize pragma omp"},
		{"_Pragma(\"STDC FP_CONTRACT ON\")", "pragma STDC FP_CONTRACT"},
		{"f(__DATE__, __TIME__, DATE, TIME, __TIMESTAMP__)", "__DATE__ __TIMESTAMP__ __TIME__"},
		{"void f(void) { asm(\"nop\"); __COUNTER__; }", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(File([]byte(tt.text), Source).Words, " "); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestEarly(t *testing.T) {
	f := File([]byte("#ifdef X\n#include <a>\n#endif\n#include <b>\n#include <c>\n"), Source)
	var early []string
	for _, r := range f.Refs {
		if r.Early {
			early = append(early, r.Name)
		}
	}
	if fmt.Sprint(early) != "[a b]" {
		t.Errorf("early: %v", early)
	}
}

// FuzzFile: no text makes it crash or run long, and what a plain reader of lines
// finds outside of comments and literals is found.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"#include <a.h>\n", "R\"x(\n)x\"", "/* ??/\n*/ # include X(", "#if F(<a//b>) \\\n", "asm(\".incbin \\\"a\\\"\")", "\r??='\n", "[[x", "_Pragma(\"GCC"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := string(data)
		for _, lang := range []Language{Source, AsmSource, Asm} {
			File(data, lang)
		}
		if string(data) != kept {
			t.Fatal("the text was changed")
		}
		if strings.ContainsAny(kept, "\"'/\\\r?(") || len(kept) > 0 && kept[0] >= 0xfe {
			return
		}
		// Without quotes, comments and splices each such line is a directive.
		got := File([]byte(kept+"\n#include <fuzz.h>\n"), Source)
		if !slices.ContainsFunc(got.Refs, func(r Ref) bool { return r.Name == "fuzz.h" }) {
			t.Fatalf("a directive behind %q is not seen", kept)
		}
	})
}

func BenchmarkFile(b *testing.B) {
	names, _ := filepath.Glob("/usr/include/c++/12/bits/*.h")
	var texts [][]byte
	for _, n := range names {
		data, err := os.ReadFile(n)
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, data)
		b.SetBytes(int64(len(data)))
	}
	sum := int64(0)
	for _, d := range texts {
		sum += int64(len(d))
	}
	b.SetBytes(sum)
	for b.Loop() {
		for _, d := range texts {
			File(d, Source)
		}
	}
}
