package catalog

import (
	"slices"

	"github.com/crosscc/crosscc/broker"
)

// Pinned finds the toolchain that a job of an image's names.
func (c *Catalog) Pinned(j *broker.Job) (Located, error) {
	c.mu.Lock()
	list := c.found
	c.mu.Unlock()
	here := false
	for _, l := range list {
		if l.Digest != j.Image || l.Owner != "" {
			continue // a peer's own compilers define nothing
		}
		here = true
		if len(l.Derived) > 0 {
			continue // what words make of a compiler: nobody says these words here
		}
		if l.Identity == j.Identity && l.Fingerprint.Equal(j.Fingerprint) {
			return l, nil
		}
	}
	if here {
		return Located{}, broker.Refusef(ReasonNoMatch, "serves no such toolchain of the image %s", j.Image)
	}
	return Located{}, broker.Refusef(ReasonNoMatch, "does not serve the image %s", j.Image)
}

// OfImage is one of the toolchains of an image with this ID, to hold it by; false:
// it is not served.
func (c *Catalog) OfImage(digest string) (Located, bool) {
	c.mu.Lock()
	list := c.found
	c.mu.Unlock()
	i := slices.IndexFunc(list, func(l Located) bool { return l.Owner == "" && l.Digest == digest })
	if i < 0 {
		return Located{}, false
	}
	return list[i], true
}
