package fleet

import (
	"context"
	"runtime"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
)

// A pack is for a helper of this kind of machine that has nothing for the job and
// says that it takes packs.
func TestPacks(t *testing.T) {
	took := 0
	pack := func(context.Context, broker.Blob, func(string)) error { took++; return nil }
	other := gcc12()
	other.Version = "11.3.0"
	for name, tc := range map[string]struct {
		state broker.State
		pack  func(context.Context, broker.Blob, func(string)) error
		takes bool
	}{
		"it takes them":        {broker.State{Packs: true, Machine: runtime.GOARCH, Toolchains: []toolchains.Toolchain{other}}, pack, true},
		"it takes none":        {broker.State{Machine: runtime.GOARCH}, pack, false},
		"of another kind":      {broker.State{Packs: true, Machine: "pdp11"}, pack, false},
		"it has the toolchain": {broker.State{Packs: true, Machine: runtime.GOARCH, Toolchains: []toolchains.Toolchain{gcc12()}}, pack, false},
		"no helper of ours":    {broker.State{Packs: true, Machine: runtime.GOARCH}, nil, false},
	} {
		p := newPeer(1, good("a"))
		p.state, p.pack = tc.state, tc.pack
		p.state.Slots = 1
		f, hosts := fleetOf(t, map[string]*peer{"a:3634": p})
		list := f.Prospects(t.Context(), hosts("grpc://a"), want())
		if len(list) != 1 || list[0].Packs() != tc.takes {
			t.Errorf("%s: %+v", name, list)
			continue
		}
		before := took
		if err := list[0].SendPack(t.Context(), broker.Blob{}, func(string) {}); (err == nil) != tc.takes || took != before+map[bool]int{true: 1}[tc.takes] {
			t.Errorf("%s: sent with %v, taken %d times", name, err, took-before)
		}
	}
}
