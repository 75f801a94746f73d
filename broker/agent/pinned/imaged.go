package pinned

import (
	"runtime"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/broker/fleet"
)

// This file finds out which image a pin means. The digest of an index is that of an
// image for each platform, and a helper has by it the one of its own machine: other
// compilers, and perhaps other headers. What the project means must not depend on which
// helpers there are and which of them answer today, so it is the client's, as it is for
// whoever runs that image here; a helper of another kind says which digest its own has. And
// a build must not be made by now the one and now the other (an arm machine has one of several).

// imaged finds the helpers that have the image of the pin: one and the same, as long as
// the agent lives and the list of hosts is this one.
func (p *Command) imaged() ([]fleet.Imaged, error) {
	ctx, digest := p.s.Context(), p.pin.Digest.String()
	var list []string
	for _, h := range p.set.Hosts {
		list = append(list, h.Address())
	}
	w := fleet.Meaning{Digest: digest, Machine: runtime.GOARCH}
	id, err := p.pins.ids.Get(ctx, digest+" "+strings.Join(list, " "), nil, func() (string, error) {
		all, err := p.pins.Fleet.Imaged(ctx, p.set.Hosts, w)
		if err != nil {
			return "", err
		}
		return meant(all), nil
	})
	if err != nil {
		return nil, err
	}
	w.ID = id
	return p.pins.Fleet.Imaged(ctx, p.set.Hosts, w)
}

// meant is the ID of the image that a pin means: of several the least, whoever comes first.
func meant(all []fleet.Imaged) string {
	least := slices.MinFunc(all, func(a, b fleet.Imaged) int { return strings.Compare(a.Image, b.Image) })
	return least.Image
}
