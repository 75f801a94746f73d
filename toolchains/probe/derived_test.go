package probe

import (
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// A gcc for i686 and one for x86_64 of the same version, told -m32, are one compiler
// by all that can be asked.
func TestDerivedGCC(t *testing.T) {
	h := drivertest.New(t)
	want := probed(t, h, "i686-linux-gnu-gcc-12", "")
	d := triple.Derivations("x86_64-linux-gnu")
	if len(d) != 1 {
		t.Fatalf("x86_64 leads to %v", d)
	}
	h.Cache = &drivers.Cache{}
	have, err := Derived(t.Context(), h.System, drivertest.Need(t, "x86_64-linux-gnu-gcc-12"), d[0])
	if err != nil {
		t.Fatal(err)
	}
	if have.Target != "i686-linux-gnu" || !slices.Equal(have.Derived, []string{"-m32"}) {
		t.Errorf("it is %v by %q", have, have.Derived)
	}
	if have.Defaults != want.Defaults {
		t.Errorf("defaults differ: %+v, want %+v", have.Unasked, want.Unasked)
	}
	m, words, why := toolchains.MatchOf(want, argv.C, []string{"-O2"}, have)
	if m != toolchains.Calibrated || !slices.Equal(words, []string{"-m32"}) {
		t.Errorf("matches as %v with %q, %s", m, words, why)
	}
	if m, _, why = toolchains.MatchOf(want, argv.CXX, []string{"-O2", "-g"}, have); m != toolchains.None || !strings.Contains(why, "-m32") {
		t.Errorf("with -g it matches as %v, %s", m, why)
	}
	if own, err := Toolchain(t.Context(), h.System, drivertest.Need(t, "x86_64-linux-gnu-gcc-12"), ""); err != nil || own.Derived != nil || own.Digest() == have.Digest() {
		t.Errorf("its own target: %v by %q, %v", own, own.Derived, err)
	}
	// One that is equal in all but its files is no identical one.
	if m, _, _ := toolchains.MatchOf(want, argv.C, nil, func() toolchains.Toolchain { t := want.Clone(); t.Derived = []string{"-m32"}; return t }()); m != toolchains.Calibrated {
		t.Errorf("a derived toolchain is %v", m)
	}
	if _, err := Derived(t.Context(), h.System, drivertest.Need(t, "x86_64-linux-gnu-gcc-12"), triple.Derivation{Target: "arm-linux-gnueabi", Words: []string{"-m32"}}); err == nil {
		t.Error("x86_64 leads to arm")
	}
}
