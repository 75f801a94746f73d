package preprocessed

import (
	"testing"

	"github.com/crosscc/crosscc/argv"
)

// What preprocessed text can't say stays at home.
func TestUnsendable(t *testing.T) {
	const system, user = "# 1 \"/usr/include/x.h\" 1 3 4\n", "# 2 \"a.c\" 2\n"
	for _, tc := range []struct {
		text   string
		family argv.Family
		cxx    bool
		want   bool
	}{
		{"int x;\n", argv.GCC, false, false},
		{"int include;\n", argv.GCC, false, false},
		{"__asm__(\".incbin \\\"logo.png\\\"\");", argv.GCC, false, true},
		{"__asm__(\".include \\\"m.inc\\\"\");", argv.Clang, false, true},
		{"auto l = __builtin_source_location();", argv.GCC, true, true},
		{"int c = __builtin_COLUMN();", argv.GCC, false, true},
		{"int l = __builtin_LINE();", argv.GCC, false, false},
		{"int l = __builtin_LINE();", argv.Clang, false, true},
		{"const char *f = __PRETTY_FUNCTION__;", argv.Clang, true, true},
		{"const char *f = __PRETTY_FUNCTION__;", argv.Clang, false, false},
		{user + "#pragma GCC target(\"sse4.2\")\n", argv.GCC, false, true},
		{user + "#pragma GCC optimize (\"O3\")\n", argv.GCC, false, true},
		{user + "#pragma GCC diagnostic error \"-Wundef\"\n", argv.GCC, false, true},
		{user + "#pragma GCC diagnostic ignored \"-Wundef\"\n", argv.GCC, false, false},
		{user + "#pragma GCC pch_preprocess \"a.h.gch\"\n", argv.GCC, false, true},
		{user + "#pragma pack(1)\n", argv.GCC, false, false},
		{system + "#pragma GCC target(\"sse4.2\")\n" + user + "int x;\n", argv.GCC, false, false},
		{system + user + "#pragma GCC target(\"sse4.2\")\n", argv.GCC, false, true},
		{"# 1 \"/dev/stdin\" 1\n", argv.GCC, false, true},
	} {
		if got := Unsendable([]byte(tc.text), tc.family, tc.cxx); (got != "") != tc.want {
			t.Errorf("Unsendable(%q, %v, %t) = %q, want a reason: %t", tc.text, tc.family, tc.cxx, got, tc.want)
		}
	}
}
