package pinned

import (
	"cmp"
	"runtime"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/broker/fleet"
)

// This file finds out which image a pin means. The digest of an index is that of an
// image for each platform, and on each helper it means the one of that helper's machine:
// other compilers, and perhaps other headers. A build must not be made by now the one and
// now the other.

// imaged finds the helpers that have the image of the pin: one and the same, as long as
// the agent lives and the list of hosts is this one.
func (p *Command) imaged() ([]fleet.Imaged, error) {
	ctx, digest := p.s.Context(), p.pin.Digest.String()
	var list []string
	for _, h := range p.set.Hosts {
		list = append(list, h.Address())
	}
	id, err := p.pins.ids.Get(ctx, digest+" "+strings.Join(list, " "), nil, func() (string, error) {
		all, err := p.pins.Fleet.Imaged(ctx, p.set.Hosts, digest, "")
		if err != nil {
			return "", err
		}
		return meant(all, runtime.GOARCH), nil
	})
	if err != nil {
		return nil, err
	}
	return p.pins.Fleet.Imaged(ctx, p.set.Hosts, digest, id)
}

// meant is the ID of the image that a pin means: of several that of this machine's kind,
// else the one whose digest is the least, whoever comes first.
func meant(all []fleet.Imaged, machine string) string {
	least := slices.MinFunc(all, func(a, b fleet.Imaged) int {
		return cmp.Or(own(a, machine)-own(b, machine), strings.Compare(a.Image, b.Image))
	})
	return least.Image
}

// own is 0 for a helper of the machine's kind.
func own(h fleet.Imaged, machine string) int {
	if h.Machine == machine {
		return 0
	}
	return 1
}
