package toolchains

import (
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

func TestExplicit(t *testing.T) {
	plain := Unasked{C: []string{"-quiet", "-mtune=generic", "-march=x86-64"}, Knobs: []string{"-fPIC [enabled]", "-fPIE [enabled]", "-fcf-protection=[full|branch|return|none|check] none"}, Rest: "r"}
	with := func(words ...string) Unasked {
		u := plain.clone()
		u.C = append(u.C, words...)
		return u
	}
	knobs := func(rows ...string) Unasked {
		u := plain.clone()
		u.Knobs = rows
		return u
	}
	armv7 := Unasked{C: []string{"-mfloat-abi=hard", "-mthumb", "-mlibarch=armv7-a+fp", "-march=armv7-a+fp"}, Rest: "r"}
	armv6 := Unasked{C: []string{"-mfloat-abi=hard", "-marm", "-mlibarch=armv6+fp", "-march=armv6+fp"}, Rest: "r"}
	rest := plain.clone()
	rest.Rest = "other"
	for _, tc := range []struct {
		name       string
		want, have Unasked
		command    string
		words      string
		why        string // begins so
	}{
		{"alike", plain, plain, "-O2", "", ""},
		{"the client protects", with("-fstack-protector-strong"), plain, "-O2", "-fstack-protector-strong", ""},
		{"the helper protects", plain, with("-fstack-protector-strong", "-fcf-protection=full"), "-O2", "-fno-stack-protector -fcf-protection=none", ""},
		{"the command says it", plain, with("-fstack-protector-strong"), "-O2 -fstack-protector-all", "", ""},
		{"no PIE here", knobs("-fPIC [disabled]", "-fPIE [disabled]", plain.Knobs[2]), plain, "", "-fno-pie", ""},
		{"no PIE there", plain, knobs("-fPIC [disabled]", "-fPIE [disabled]", plain.Knobs[2]), "", "-fPIE", ""},
		{"CET by the tables", knobs(plain.Knobs[0], plain.Knobs[1], "-fcf-protection=[full|branch|return|none|check] full"), plain, "", "-fcf-protection=full", ""},
		{"fortified here", with("-D_FORTIFY_SOURCE=2"), plain, "-O2", "-D_FORTIFY_SOURCE=2", ""},
		{"fortified there", plain, with("-D_FORTIFY_SOURCE=2"), "-O2", "-U_FORTIFY_SOURCE", ""},
		{"fortified by the command too", plain, with("-D_FORTIFY_SOURCE=2"), "-O2 -D_FORTIFY_SOURCE=3", "", "of fortification"},
		{"ARM", armv6, armv7, "-O2", "-march=armv6+fp -marm", ""},
		{"ARM with a CPU", armv6, armv7, "-O2 -mcpu=arm1176jzf-s", "-marm", ""},
		{"ARM with a tuning", armv6, armv7, "-O2 -mtune=arm1176jzf-s", "", "of machine"},
		{"another word", plain, with("-fshort-enums"), "", "", "its compiler gets -fshort-enums unasked"},
		{"another word here", with("-fshort-enums"), plain, "", "", "its compiler gets no -fshort-enums unasked"},
		{"another table", plain, rest, "", "", "its option tables differ"},
		{"nothing known", Unasked{}, Unasked{}, "", "", "what they are"},
	} {
		words, why := Explicit(tc.want, tc.have, argv.C, strings.Fields(tc.command))
		if !slices.Equal(words, strings.Fields(tc.words)) || (tc.why == "") != (why == "") || !strings.HasPrefix(why, tc.why) {
			t.Errorf("%s: %q, %q, want %q, %q", tc.name, words, why, tc.words, tc.why)
		}
	}
}
