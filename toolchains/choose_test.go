package toolchains

import (
	"slices"
	"testing"

	"github.com/crosscc/crosscc/argv"
)

func TestCandidates(t *testing.T) {
	want := Identity{Family: argv.GCC, Target: "aarch64-linux-gnu", Version: "12.2.0", Package: "Debian 12.2.0-14", Assembler: "as 2.40", Defaults: "d"}
	print := Fingerprint{"driver": "1", "cc1": "2", "as": "3"}
	same := Toolchain{Identity: want, Fingerprint: print, Languages: []argv.Language{argv.C}, Path: "/same"}
	with := func(change func(*Toolchain)) Toolchain {
		tc := same
		change(&tc)
		return tc
	}
	revision := with(func(t *Toolchain) { t.Package, t.Path = "Debian 12.2.0-15", "/revision" })
	rebuilt := with(func(t *Toolchain) { t.Fingerprint, t.Path = Fingerprint{"driver": "9"}, "/rebuilt" })
	older := with(func(t *Toolchain) { t.Version, t.Path = "11.3.0", "/older" })
	x86 := with(func(t *Toolchain) { t.Target, t.Path = "x86_64-linux-gnu", "/x86" })
	noCXX := same
	for _, tc := range []struct {
		name  string
		lang  argv.Language
		list  []Toolchain
		path  string
		match Match
		why   string
	}{
		{"identical wins wherever it stands", argv.C, []Toolchain{revision, same, older}, "/same", Identical, ""},
		{"another revision", argv.C, []Toolchain{older, revision}, "/revision", Calibrated, ""},
		{"the same revision of another build", argv.C, []Toolchain{revision, rebuilt, revision}, "/rebuilt", Calibrated, ""},
		{"another version", argv.C, []Toolchain{x86, older}, "", None, "has gcc 11.3.0 for aarch64-linux-gnu, this build uses 12.2.0"},
		{"another target", argv.C, []Toolchain{x86}, "", None, "has no gcc for aarch64-linux-gnu"},
		{"no compiler for the language", argv.CXX, []Toolchain{noCXX}, "", None, "has gcc 12.2.0 for aarch64-linux-gnu without c++"},
		{"nothing", argv.C, nil, "", None, "has no gcc for aarch64-linux-gnu"},
	} {
		found, why := Candidates(Toolchain{Identity: want, Fingerprint: print}, tc.lang, nil, tc.list)
		path, match := "", None
		if len(found) > 0 {
			path, match = found[0].Path, found[0].Match
		}
		if path != tc.path || match != tc.match || why != tc.why {
			t.Errorf("%s: got %q %v %q, want %q %v %q", tc.name, path, match, why, tc.path, tc.match, tc.why)
		}
	}
}

// A clang is one compiler with all its targets, and never one for others.
func TestFor(t *testing.T) {
	clang := Toolchain{Identity: Identity{Family: argv.Clang, Target: "x86_64-linux-gnu"}, Targets: []string{"x86-64", "aarch64"}}
	gcc := Toolchain{Identity: Identity{Family: argv.GCC, Target: "x86_64-linux-gnu"}}
	for _, tc := range []struct {
		tc           Toolchain
		target, want string
	}{
		{clang, "aarch64-linux-gnu", "aarch64-linux-gnu"},
		{clang, "riscv64-linux-gnu", "x86_64-linux-gnu"},
		{gcc, "aarch64-linux-gnu", "x86_64-linux-gnu"},
	} {
		if got := tc.tc.For(tc.target).Target; got != tc.want {
			t.Errorf("%v For(%s) = %s, want %s", tc.tc.Family, tc.target, got, tc.want)
		}
	}
}

// A gcc whose target differs from the build's in the default -march serves it with
// that word said, once that is proven; never as an identical one.
func TestCandidatesOfKin(t *testing.T) {
	unasked := func(march string) Unasked {
		return Unasked{C: []string{"-mfloat-abi=hard", "-mthumb", march}, Rest: "r"}
	}
	gentoo := Toolchain{
		Identity: Identity{Family: argv.GCC, Target: "armv7a-linux-gnueabihf", Version: "12.2.0", Package: "Gentoo 12.2.0", Defaults: "g"},
		Unasked:  unasked("-march=armv7-a+vfpv3"), Fingerprint: Fingerprint{"driver": "1", "cc1": "2"}, Languages: []argv.Language{argv.C},
	}
	debian := gentoo
	debian.Target, debian.Package, debian.Defaults, debian.Unasked = "arm-linux-gnueabihf", "Debian 12.2.0-14", "d", unasked("-march=armv7-a+fp")
	soft := debian
	soft.Target = "arm-linux-gnueabi"
	found, why := Candidates(gentoo, argv.C, nil, []Toolchain{soft, debian})
	if len(found) != 1 || found[0].Match != Calibrated || !slices.Equal(found[0].Words, []string{"-march=armv7-a+vfpv3"}) {
		t.Errorf("a build for armv7a is served by %+v, %s", found, why)
	}
	if _, why := Candidates(gentoo, argv.C, nil, []Toolchain{soft}); why != "has no gcc for armv7a-linux-gnueabihf" {
		t.Errorf("a gcc for another ABI: %q", why)
	}
	if words, why := Explicit(gentoo.Unasked, debian.Unasked, argv.C, []string{"-march=armv6"}); why != "" || len(words) > 0 {
		t.Errorf("a command with a -march of its own gets %q, %s", words, why)
	}
}
