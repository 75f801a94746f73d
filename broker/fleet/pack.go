package fleet

import (
	"context"
	"fmt"

	"github.com/crosscc/crosscc/broker"
)

// Packs reports whether the helper has no toolchain for the job and would take the
// client's own: it says so, and its programs run on machines like this one.
func (p Prospect) Packs() bool { return p.packs }

// SendPack sends a pack of the client's compiler to the helper and returns when the
// helper knows it; its state tells soon after that it serves it. say is called with
// how far that is.
func (p Prospect) SendPack(ctx context.Context, b broker.Blob, say func(string)) error {
	if !p.packs {
		return fmt.Errorf("helper %s takes no packs", p.Address)
	}
	return p.member.link.Pack(ctx, b, say)
}
