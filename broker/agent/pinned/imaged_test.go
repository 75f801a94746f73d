package pinned

import (
	"slices"
	"testing"

	"github.com/crosscc/crosscc/broker/fleet"
)

// What an index means is this machine's image, and where no helper is such a machine the
// same one whoever answers first.
func TestMeant(t *testing.T) {
	arm := fleet.Imaged{Machine: "arm64", Image: "sha256:1"}
	amd := fleet.Imaged{Machine: "amd64", Image: "sha256:2"}
	risc := fleet.Imaged{Machine: "riscv64", Image: "sha256:0"}
	for name, tt := range map[string]struct {
		all     []fleet.Imaged
		machine string
		want    string
	}{
		"this machine's":           {[]fleet.Imaged{arm, amd, risc}, "amd64", "sha256:2"},
		"the only one":             {[]fleet.Imaged{arm}, "amd64", "sha256:1"},
		"none of this machine's":   {[]fleet.Imaged{arm, amd}, "s390x", "sha256:1"},
		"two of one kind, by what": {[]fleet.Imaged{amd, {Machine: "amd64", Image: "sha256:1"}}, "amd64", "sha256:1"},
	} {
		for range 2 {
			if got := meant(tt.all, tt.machine); got != tt.want {
				t.Errorf("%s: %s, want %s", name, got, tt.want)
			}
			slices.Reverse(tt.all)
		}
	}
}
