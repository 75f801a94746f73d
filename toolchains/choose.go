package toolchains

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
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

// A Candidate is a toolchain that may serve a build.
type Candidate struct {
	Toolchain
	Match Match // Identical, or Calibrated: to be proven first
	// Words make the build's own defaults explicit; see [Explicit].
	Words []string
}

// Candidates finds, among the toolchains of one helper, those that may serve a
// build, the best first: of those that match alike, one of the same revision
// before others. words are the command's own, which decide which defaults count.
// When there is none the string says why, as MatchOf does, of the toolchains that
// come nearest.
func Candidates(want Toolchain, lang argv.Language, words []string, list []Toolchain) ([]Candidate, string) {
	var found []Candidate
	var near []string
	for _, t := range list {
		t = t.For(want.Target)
		m, explicit, why := MatchOf(want, lang, words, t)
		if m != None {
			found = append(found, Candidate{t, m, explicit})
		} else if t.Family == want.Family && t.Target == want.Target && !slices.Contains(near, why) {
			near = append(near, why)
		}
	}
	slices.SortStableFunc(found, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Match, a.Match), cmp.Compare(kin(want.Identity, b.Identity), kin(want.Identity, a.Identity)))
	})
	switch {
	case len(found) > 0:
		return found, ""
	case len(near) > 0:
		return nil, strings.Join(near, ", and ")
	}
	return nil, fmt.Sprintf("has no %s for %s", want.Family, want.Target)
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

// Compiles reports whether the toolchain has a compiler for the language.
func (t Toolchain) Compiles(lang argv.Language) bool {
	return slices.Contains(t.Languages, base(lang))
}

// Digest is the hex SHA-256 of all that decides what the toolchain makes: its
// identity and the contents of its files. Where it lies is no part of it.
func (t Toolchain) Digest() string {
	var b strings.Builder
	fmt.Fprintf(&b, "crosscc toolchain v1\nidentity %s\n", t.Identity.Text())
	for _, role := range slices.Sorted(maps.Keys(t.Fingerprint)) {
		fmt.Fprintf(&b, "%q %s\n", role, t.Fingerprint[role])
	}
	return digestText(b.String())
}

func digestText(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// Clone is a copy that shares nothing that could be changed.
func (t Toolchain) Clone() Toolchain {
	print := Fingerprint{}
	for role, sum := range t.Fingerprint {
		print[role] = sum
	}
	t.Fingerprint = print
	t.Languages = slices.Clone(t.Languages)
	t.Programs = slices.Clone(t.Programs)
	t.Targets = slices.Clone(t.Targets)
	t.Unasked = t.Unasked.clone()
	t.Derived = slices.Clone(t.Derived)
	return t
}
