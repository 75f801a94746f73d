// Package states words what a helper tells of itself, broker.State, as messages of
// helperpb, and reads them back. Start with Message and Parse.
package states

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/toolchains"
)

// Message words a state; same leaves the toolchains out, for a peer that was told of
// them.
func Message(state broker.State, same bool) *helperpb.State {
	p := &helperpb.State{
		Version: state.Version, Sandbox: state.Sandbox, Slots: int32(state.Slots), Running: int32(state.Running),
		Queued: int32(state.Queued), Draining: state.Draining, SameToolchains: same,
		Machine: state.Machine, Packs: state.Packs,
	}
	for _, i := range state.Images {
		p.Images = append(p.Images, &helperpb.Image{
			Name: i.Name, Phase: string(i.Phase), Detail: strings.ToValidUTF8(i.Detail, "\uFFFD"), Toolchains: int32(i.Toolchains),
			Digests: i.Digests, Shared: i.Shared,
		})
	}
	if same {
		return p
	}
	for _, t := range state.Toolchains {
		p.Toolchains = append(p.Toolchains, toolchainMessage(t))
	}
	return p
}

func toolchainMessage(t toolchains.Toolchain) *helperpb.Toolchain {
	id := t.Identity
	p := &helperpb.Toolchain{
		Family: wire.FamilyName(id.Family), Target: id.Target, Version: id.Version, Package: id.Package,
		Assembler: id.Assembler, Defaults: id.Defaults, Libm: id.Libm, Fingerprint: t.Fingerprint,
		// For people to read: a path that is not UTF-8 still must not end the stream.
		Path: strings.ToValidUTF8(t.Path, "\uFFFD"), CxxPath: strings.ToValidUTF8(t.CXXPath, "\uFFFD"),
		Targets: t.Targets, UnaskedC: t.Unasked.C, UnaskedCxx: t.Unasked.CXX, Knobs: t.Unasked.Knobs, Rest: t.Unasked.Rest,
		Derived: t.Derived,
		Image:   t.Image,
	}
	for _, l := range t.Languages {
		p.Languages = append(p.Languages, l.XName())
	}
	return p
}

// Parse reads a state. last are the toolchains of the one before, which one may say
// that it has too. What a newer helper says and this version does not understand is
// left out.
func Parse(p *helperpb.State, last []toolchains.Toolchain) broker.State {
	if !p.SameToolchains {
		last = make([]toolchains.Toolchain, 0, len(p.Toolchains))
		for _, tp := range p.Toolchains {
			if t, err := parseToolchain(tp); err == nil {
				last = append(last, t)
			}
		}
	}
	return broker.State{
		Version: p.Version, Sandbox: p.Sandbox, Slots: int(p.Slots), Running: int(p.Running),
		Queued: int(p.Queued), Draining: p.Draining, Toolchains: last, Images: imagesOf(p.Images),
		Machine: p.Machine, Packs: p.Packs,
	}
}

// parseToolchain leaves out languages of a newer helper.
func parseToolchain(p *helperpb.Toolchain) (toolchains.Toolchain, error) {
	family, ok := wire.ParseFamily(p.Family)
	if !ok {
		return toolchains.Toolchain{}, fmt.Errorf("compiler family %q is not known", p.Family)
	}
	t := toolchains.Toolchain{
		Identity: toolchains.Identity{
			Family: family, Target: p.Target, Version: p.Version, Package: p.Package,
			Assembler: p.Assembler, Defaults: p.Defaults, Libm: p.Libm,
		},
		Fingerprint: p.Fingerprint, Path: p.Path, CXXPath: p.CxxPath, Targets: p.Targets,
		Unasked: toolchains.Unasked{C: p.UnaskedC, CXX: p.UnaskedCxx, Knobs: p.Knobs, Rest: p.Rest},
		Derived: p.Derived,
		Image:   p.Image,
	}
	for l := argv.C; l <= argv.Asm; l++ {
		if slices.Contains(p.Languages, l.XName()) {
			t.Languages = append(t.Languages, l)
		}
	}
	return t, nil
}

func imagesOf(list []*helperpb.Image) []broker.ImageState {
	var out []broker.ImageState
	for _, i := range list {
		out = append(out, broker.ImageState{
			Name: i.Name, Phase: broker.ImagePhase(i.Phase), Detail: i.Detail, Toolchains: int(i.Toolchains),
			Digests: i.Digests, Shared: i.Shared,
		})
	}
	return out
}
