package pinned

import (
	"testing"

	"github.com/crosscc/crosscc/broker/fleet"
)

// Of several images of this kind of machine it is the same one whoever answers first.
func TestMeant(t *testing.T) {
	one, two, three := fleet.Imaged{Image: "sha256:1"}, fleet.Imaged{Image: "sha256:2"}, fleet.Imaged{Image: "sha256:3"}
	for _, all := range [][]fleet.Imaged{{one}, {one, two}, {two, one}, {three, one, two}} {
		if got := meant(all); got != one.Image {
			t.Errorf("%v: %s", all, got)
		}
	}
}
