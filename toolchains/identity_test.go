package toolchains

import (
	"maps"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

func TestMatchOf(t *testing.T) {
	want := Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14", Assembler: "as 2.40", Defaults: "d"}
	print := Fingerprint{"driver": "1", "driver++": "2", "cc1": "3", "cc1plus": "4", "as": "5", "lib:libz.so.1": "6"}
	const has = "has gcc 12.2.0 for aarch64-linux-gnu"
	for _, tc := range []struct {
		name   string
		lang   argv.Language
		change func(*Toolchain)
		want   Match
		reason string
	}{
		{"equal", argv.C, func(*Toolchain) {}, Identical, ""},
		{"equal, preprocessed", argv.CPPOutput, func(*Toolchain) {}, Identical, ""},
		{"equal, C++", argv.CXXCPPOutput, func(*Toolchain) {}, Identical, ""},
		{"another cc1plus, C", argv.C, func(h *Toolchain) { h.Fingerprint["cc1plus"] = "x" }, Identical, ""},
		{"another cc1, assembler", argv.Asm, func(h *Toolchain) { h.Fingerprint["cc1"] = "x" }, Identical, ""},
		{"another cc1, assembler that is preprocessed", argv.AsmCPP, func(h *Toolchain) { h.Fingerprint["cc1"] = "x" }, Calibrated, ""},
		{"another as, assembler", argv.Asm, func(h *Toolchain) { h.Fingerprint["as"] = "x" }, Calibrated, ""},
		{"another driver, assembler", argv.Asm, func(h *Toolchain) { h.Fingerprint["driver"] = "x" }, Calibrated, ""},
		{"another cc1plus, C++", argv.CXX, func(h *Toolchain) { h.Fingerprint["cc1plus"] = "x" }, Calibrated, ""},
		{"another library", argv.C, func(h *Toolchain) { h.Fingerprint["lib:libz.so.1"] = "x" }, Calibrated, ""},
		{"one library more", argv.C, func(h *Toolchain) { h.Fingerprint["lib:libisl.so.1"] = "x" }, Calibrated, ""},
		{"a specs file", argv.C, func(h *Toolchain) { h.Fingerprint["specs"] = "x" }, Calibrated, ""},
		{"no fingerprint", argv.C, func(h *Toolchain) { h.Fingerprint = nil }, Calibrated, ""},
		{"another revision", argv.C, func(h *Toolchain) { h.Package = "Debian 12.2.0-14+deb12u1" }, Calibrated, ""},
		{"another assembler", argv.C, func(h *Toolchain) { h.Assembler = "as 2.44" }, Calibrated, ""},
		{"another version", argv.C, func(h *Toolchain) { h.Version = "11.3.0" }, None, "has gcc 11.3.0 for aarch64-linux-gnu, this build uses 12.2.0"},
		{"another target", argv.C, func(h *Toolchain) { h.Target = "x86_64-linux-gnu" }, None, "has gcc 12.2.0 for x86_64-linux-gnu, this build uses gcc 12.2.0 for aarch64-linux-gnu"},
		{"another family", argv.C, func(h *Toolchain) { h.Family = argv.Clang }, None, "has clang 12.2.0 for aarch64-linux-gnu, this build uses gcc 12.2.0 for aarch64-linux-gnu"},
		{"other defaults that no word says", argv.C, func(h *Toolchain) { h.Defaults, h.Unasked.C = "x", []string{"-fx"} }, None, has + " with other defaults than this build's: its compiler gets -fx unasked"},
		{"other defaults", argv.C, func(h *Toolchain) { h.Defaults, h.Unasked.C = "x", []string{"-fPIE"} }, Calibrated, ""},
		{"another libm", argv.C, func(h *Toolchain) { h.Libm = "x" }, None, has + " on a C library that folds mathematical functions otherwise than this build's"},
		{"no Objective-C", argv.ObjC, func(*Toolchain) {}, None, has + " without " + argv.ObjC.String()},
		{"no C++", argv.CXX, func(h *Toolchain) { h.Languages = []argv.Language{argv.C} }, None, has + " without " + argv.CXX.String()},
	} {
		have := Toolchain{Identity: want, Fingerprint: maps.Clone(print), Languages: []argv.Language{argv.C, argv.CXX}, Unasked: Unasked{Rest: "r"}}
		tc.change(&have)
		if got, _, reason := MatchOf(Toolchain{Identity: want, Fingerprint: print, Unasked: Unasked{Rest: "r"}}, tc.lang, nil, have); got != tc.want || reason != tc.reason {
			t.Errorf("%s: %v, %q, want %v, %q", tc.name, got, reason, tc.want, tc.reason)
		}
	}
	if m, _, _ := MatchOf(Toolchain{Identity: want}, argv.C, nil, Toolchain{Identity: want, Languages: []argv.Language{argv.C}}); m != Calibrated {
		t.Errorf("two toolchains without fingerprints are %v", m)
	}
	for _, tc := range []struct {
		here, there, word string
		want              Match
	}{
		{"1", "1", "-gsplit-dwarf", Identical},
		{"1", "2", "-gsplit-dwarf", Calibrated},
		{"1", "", "-gsplit-dwarf", Calibrated},
		{"", "", "-gsplit-dwarf", Calibrated},
		{"1", "2", "-g", Identical},
		{"1", "", "-g", Identical},
	} {
		here, there := maps.Clone(print), maps.Clone(print)
		here["objcopy"], there["objcopy"] = tc.here, tc.there
		have := Toolchain{Identity: want, Fingerprint: there, Languages: []argv.Language{argv.C}}
		if m, _, _ := MatchOf(Toolchain{Identity: want, Fingerprint: here}, argv.C, []string{"-O2", tc.word}, have); m != tc.want {
			t.Errorf("objcopy %q and %q with %s: %v", tc.here, tc.there, tc.word, m)
		}
	}
	if got := want.String(); got != "gcc 12.2.0 (Debian 12.2.0-14) for aarch64-linux-gnu" {
		t.Error(got)
	}
}

func TestCanTarget(t *testing.T) {
	gcc := Toolchain{Identity: Identity{Family: argv.GCC, Target: "x86_64-linux-gnu"}}
	clang := Toolchain{Identity: Identity{Family: argv.Clang, Target: "x86_64-linux-gnu"}, Targets: []string{"aarch64", "x86-64", "x86"}}
	for _, tc := range []struct {
		t      Toolchain
		target string
		want   bool
	}{
		{gcc, "x86_64-pc-linux-gnu", true}, {gcc, "aarch64-linux-gnu", false}, {gcc, "", false},
		{clang, "arm64-apple-darwin22", true}, {clang, "i686-linux-gnu", true}, {clang, "riscv64-linux-gnu", false}, {clang, "..", false},
	} {
		if got := tc.t.CanTarget(tc.target); got != tc.want {
			t.Errorf("%s can target %q: %v", tc.t, tc.target, got)
		}
	}
}

// A key's text has every field.
func TestIdentityText(t *testing.T) {
	base := Identity{Family: argv.GCC}
	for _, other := range []Identity{
		{Family: argv.Clang}, {Family: argv.GCC, Target: "t"}, {Family: argv.GCC, Version: "v"}, {Family: argv.GCC, Package: "p"},
		{Family: argv.GCC, Assembler: "a"}, {Family: argv.GCC, Defaults: "d"}, {Family: argv.GCC, Libm: "l"},
	} {
		if other.Text() == base.Text() {
			t.Errorf("%+v has the text of another", other)
		}
	}
}
