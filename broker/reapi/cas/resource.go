package cas

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// readResource is the ByteStream name of a blob.
func readResource(d broker.Digest) string { return "blobs/" + d.String() }

// writeResource is a ByteStream name for one upload of a blob.
func writeResource(d broker.Digest) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("uploads/%x-%x-%x-%x-%x/blobs/%s", b[:4], b[4:6], b[6:8], b[8:10], b[10:], d)
}

// parseRead reads [INSTANCE/]blobs/HASH/SIZE.
func parseRead(name string) (broker.Digest, error) {
	words := strings.Split(name, "/")
	n := len(words)
	if n < 3 || words[n-3] != "blobs" || !instance(words[:n-3]) {
		return broker.Digest{}, wire.Rejectf("resource %q is not [INSTANCE/]blobs/HASH/SIZE", name)
	}
	return parseDigest(words[n-2], words[n-1])
}

// parseWrite reads [INSTANCE/]uploads/UUID/blobs/HASH/SIZE[/ANYTHING].
func parseWrite(name string) (broker.Digest, error) {
	words := strings.Split(name, "/")
	for i, w := range words {
		if w != "uploads" || !instance(words[:i]) {
			continue
		}
		if rest := words[i+1:]; len(rest) >= 4 && rest[0] != "" && rest[1] == "blobs" {
			return parseDigest(rest[2], rest[3])
		}
		break
	}
	return broker.Digest{}, wire.Rejectf("resource %q is not [INSTANCE/]uploads/UUID/blobs/HASH/SIZE", name)
}

// instance reports whether words can be an instance name: it has none of the
// words that the API keeps for itself.
func instance(words []string) bool {
	for _, w := range words {
		switch w {
		case "blobs", "uploads", "actions", "actionResults", "operations", "capabilities", "compressed-blobs":
			return false
		}
	}
	return true
}

func parseDigest(hash, size string) (broker.Digest, error) {
	d, err := broker.ParseDigest(hash + "/" + size)
	if err != nil {
		return broker.Digest{}, wire.Rejectf("%v", err)
	}
	return wire.DigestFromProto(wire.DigestToProto(d))
}
