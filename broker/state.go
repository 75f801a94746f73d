package broker

import (
	"slices"
	"strings"

	"github.com/crosscc/crosscc/toolchains"
)

// A Peer is who is at the other end of a door.
type Peer struct {
	// Name is made of a secret that only the peer has: nobody can take another's. ""
	// says that it told none. It is no secret itself.
	Name string
	// Address is where it comes from, which others may share: for limits and for people.
	Address string
}

// A State is what a helper tells of itself: what REAPI has no words for. A
// new one is sent whenever something in it changes.
type State struct {
	Version string // of crosscc, for people
	Sandbox string // the runner's name, and what it lacks: bwrap, bwrap without cgroups, docker, none
	Slots   int    // jobs it runs at once
	Running int    // jobs that run now
	Queued  int    // jobs admitted that wait for a slot
	// Draining says that it takes no new jobs.
	Draining bool
	// Toolchains are sorted by identity. Nobody changes them after.
	Toolchains []toolchains.Toolchain
	// Images are those that it serves toolchains of, or means to, by name. Nobody
	// changes them after.
	Images []ImageState
	// Machine is what the helper's programs run on, as Go calls it (amd64).
	Machine string
	// Packs says that a peer may send its own compilers (broker/pack).
	Packs bool
	// Peers are those that did, by name. A door tells each of its own, by For.
	Peers map[string]PeerState
}

// A PeerState is what a helper has for one peer.
type PeerState struct {
	Toolchains []toolchains.Toolchain // the peer's, and those that are there for all
	Images     []ImageState           // the same of images
}

// For is the state as one peer is told of it.
func (s State) For(peer string) State {
	if own, ok := s.Peers[peer]; ok {
		s.Toolchains, s.Images = own.Toolchains, own.Images
	}
	s.Peers = nil
	return s
}

// An ImageState says how far a helper is with one image.
type ImageState struct {
	Name       string // a reference, NAME@sha256:…, or a digest alone
	Phase      ImagePhase
	Detail     string // progress, or why not; in one line
	Toolchains int    // of the image, that are served
	// Digests are all that a pin of it may have, blanks between, its ID first; "" while
	// it is not there.
	Digests string
	// Shared are those of Digests by which other machines have other images, blanks
	// between: an index's.
	Shared string
}

// ID is the one of the image's digests that is no other image's: an index's is that of
// its images for all platforms. "" while the image is not there.
func (i ImageState) ID() string {
	id, _, _ := strings.Cut(i.Digests, " ")
	return id
}

// Has reports whether a pin with this digest means the image.
func (i ImageState) Has(digest string) bool {
	return slices.Contains(strings.Fields(i.Digests), digest)
}

// Shares reports whether a pin with this digest means other images on other machines.
func (i ImageState) Shares(digest string) bool {
	return slices.Contains(strings.Fields(i.Shared), digest)
}

// An ImagePhase is a word for that.
type ImagePhase string

const (
	ImageWaiting   ImagePhase = "waiting"   // for its turn
	ImageFetching  ImagePhase = "fetching"  // from where its row says
	ImageUnpacking ImagePhase = "unpacking" // into the helper's store
	ImageProbing   ImagePhase = "probing"   // its compilers are asked what they are
	ImageReady     ImagePhase = "ready"
	ImageFailed    ImagePhase = "failed" // tried again later
)
