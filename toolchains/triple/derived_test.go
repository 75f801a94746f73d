package triple

import (
	"slices"
	"testing"
)

func TestDerivations(t *testing.T) {
	for _, tc := range []struct {
		target, want string
		words        []string
	}{
		{"x86_64-pc-linux-gnu", "i686-linux-gnu", []string{"-m32"}},
		{"x86_64-alpine-linux-musl", "i686-linux-musl", []string{"-m32"}},
		{"powerpc64-linux-gnu", "powerpc-linux-gnu", []string{"-m32"}},
		{"s390x-linux-gnu", "s390-linux-gnu", []string{"-m31"}},
		{"sparc64-linux-gnu", "sparc-linux-gnu", []string{"-m32"}},
		{"x86_64-linux-gnux32", "", nil}, {"x86_64-w64-mingw32", "", nil}, {"powerpc64le-linux-gnu", "", nil}, {"aarch64-linux-gnu", "", nil}, {"..", "", nil},
	} {
		got := Derivations(tc.target)
		if tc.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Target != tc.want || !slices.Equal(got[0].Words, tc.words) {
			t.Errorf("%s leads to %v, want %s by %q", tc.target, got, tc.want, tc.words)
		}
	}
}

// What a derived gcc makes is what the table says of its target.
func TestDerivedObjects(t *testing.T) {
	for _, r := range derivedRules {
		from, err := Parse(r.From + "-linux-gnu")
		if err != nil {
			t.Fatal(err)
		}
		to, err := Parse(r.To + "-linux-gnu")
		if err != nil {
			t.Fatal(err)
		}
		want, ok := to.Machine(nil)
		if !ok {
			continue // the table knows no such machine: nothing of it is taken
		}
		got, ok := from.Machine(r.Words)
		if got.Target = want.Target; !ok || got != want {
			t.Errorf("%s %q makes %v, want %v", r.From, r.Words, got, want)
		}
	}
}
