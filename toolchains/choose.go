package toolchains

import (
	"fmt"
	"maps"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// Driver is the driver that stands for the toolchain: the C driver where there
// is one.
func (t Toolchain) Driver() string {
	if t.Path != "" {
		return t.Path
	}
	return t.CXXPath
}

// For is the toolchain as a build for target sees it: a clang that has the
// target's architecture is one for that target, and the same in all else that
// its Identity holds.
func (t Toolchain) For(target string) Toolchain {
	if t.CanTarget(target) {
		t.Target = triple.Canonical(target)
	}
	return t
}

// Equal reports whether two fingerprints are of the same files.
func (f Fingerprint) Equal(g Fingerprint) bool { return maps.Equal(f, g) }

// Best finds, among the toolchains of one helper, the one that fits a build
// best: of those that match alike, one of the same revision before others. When
// none fits it is nil and the string says why, as MatchOf does, of the
// toolchains that come nearest.
func Best(want Identity, print Fingerprint, lang argv.Language, list []Toolchain) (*Toolchain, Match, string) {
	var best *Toolchain
	match, kinship := None, -1
	var near []string
	for _, t := range list {
		t = t.For(want.Target)
		m, why := MatchOf(want, print, lang, t)
		k := kin(want, t.Identity)
		if m > match || m == match && m != None && k > kinship {
			best, match, kinship = &t, m, k
		}
		if m == None && t.Family == want.Family && t.Target == want.Target {
			near = append(near, why)
		}
	}
	switch {
	case best != nil:
		return best, match, ""
	case len(near) > 0:
		return nil, None, strings.Join(near, ", and ")
	}
	return nil, None, fmt.Sprintf("has no %s for %s", want.Family, want.Target)
}

// kin is how near two identities are that match alike.
func kin(a, b Identity) int {
	switch {
	case a == b:
		return 2
	case a.Package == b.Package:
		return 1
	}
	return 0
}
