package cas

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// packedBlobs are the words in the name of a blob that travels compressed.
const packedBlobs = "compressed-blobs/zstd"

func blobs(packed bool) string {
	if packed {
		return packedBlobs
	}
	return "blobs"
}

// readResource is the ByteStream name of a blob.
func readResource(d broker.Digest, packed bool) string { return blobs(packed) + "/" + d.String() }

// writeResource is a ByteStream name for one upload of a blob.
func writeResource(d broker.Digest, packed bool) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("uploads/%x-%x-%x-%x-%x/%s/%s", b[:4], b[4:6], b[6:8], b[8:10], b[10:], blobs(packed), d)
}

// A resource is a blob as a ByteStream names it. Its digest is of the content,
// also when that travels compressed.
type resource struct {
	broker.Digest
	packed bool
}

// parseRead reads [INSTANCE/]blobs/HASH/SIZE, or compressed-blobs/zstd instead of
// blobs.
func parseRead(name string) (resource, error) {
	words := strings.Split(name, "/")
	for i := range words {
		if r, rest, ok := cutBlob(words[i:]); ok && len(rest) == 2 && instance(words[:i]) {
			return r.of(rest)
		}
	}
	return resource{}, wire.Rejectf("resource %q is not [INSTANCE/]blobs/HASH/SIZE", name)
}

// parseWrite reads [INSTANCE/]uploads/UUID/blobs/HASH/SIZE[/ANYTHING], or
// compressed-blobs/zstd instead of blobs.
func parseWrite(name string) (resource, error) {
	words := strings.Split(name, "/")
	if i := slices.Index(words, "uploads"); i >= 0 && instance(words[:i]) && len(words) > i+2 && words[i+1] != "" {
		if r, rest, ok := cutBlob(words[i+2:]); ok && len(rest) >= 2 {
			return r.of(rest)
		}
	}
	return resource{}, wire.Rejectf("resource %q is not [INSTANCE/]uploads/UUID/blobs/HASH/SIZE", name)
}

// cutBlob cuts off the words that say how a blob travels.
func cutBlob(words []string) (r resource, rest []string, ok bool) {
	if words[0] == "blobs" {
		return r, words[1:], true
	}
	if len(words) > 1 && words[0]+"/"+words[1] == packedBlobs {
		return resource{packed: true}, words[2:], true
	}
	return r, nil, false
}

// of is r with the digest that follows.
func (r resource) of(words []string) (resource, error) {
	d, err := broker.ParseDigest(words[0] + "/" + words[1])
	if err != nil {
		return resource{}, wire.Rejectf("%v", err)
	}
	r.Digest, err = wire.DigestFromProto(wire.DigestToProto(d))
	return r, err
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
