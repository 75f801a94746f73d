package catalog

import (
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
)

// What a word makes of a compiler defines nothing: a job of the image's has no such word.
func TestPinnedIsNotDerived(t *testing.T) {
	const sumOf = "sha256:1"
	own := Located{Toolchain: toolchains.Toolchain{Identity: toolchains.Identity{Target: "x86_64-linux-gnu"}}, Digest: sumOf}
	derived := own
	derived.Target, derived.Derived = "i686-linux-gnu", []string{"-m32"}
	c := &Catalog{found: []Located{derived, own}}
	if _, err := c.Pinned(&broker.Job{Image: sumOf, Identity: own.Identity}); err != nil {
		t.Error(err)
	}
	if got, err := c.Pinned(&broker.Job{Image: sumOf, Identity: derived.Identity}); err == nil {
		t.Errorf("a job for i686 gets %+v", got.Toolchain)
	}
}
