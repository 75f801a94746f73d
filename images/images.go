// Package images finds container images by their digests: in a directory, an archive,
// a Docker Engine or a registry, and reads what describes them.
//
// A newcomer starts with Open, which finds an image; package imagestore keeps it, as
// a directory to compile in. Pin is how people name one, BuildPack makes one of files
// of this machine.
package images

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A Pin names one image for good: NAME@sha256:HEX. The digest is that of the
// image's manifest, of an index that has one manifest for each platform, or the
// image's id (its configuration's digest, as `docker images --digests --no-trunc`
// and docker archives have it).
type Pin struct {
	Name   string // as it was written, without a tag: debian, ghcr.io/x/y, localhost:5000/z
	Digest digest.Digest
}

// String prints a pin as ParsePin reads it.
func (p Pin) String() string { return p.Name + "@" + p.Digest.String() }

// maxReference bounds a reference, in bytes: a name may have 255.
const maxReference = 1024

// repository is the grammar of references that registries and the Docker Engine share
// (github.com/distribution/reference), in capture groups: name, tag.
var repository = regexp.MustCompile(`^((?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?` +
	component + `(?:/` + component + `)*)(?::([a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}))?$`)

const component = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`

// sha256Digest is the one form of digest that we take.
var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ParsePin reads a pin. A tag, which may lead to another image tomorrow, is an
// error with the command that pins it; beside a digest a tag says nothing and is
// dropped.
func ParsePin(s string) (Pin, error) {
	if len(s) > maxReference {
		return Pin{}, fmt.Errorf("image %.40q…: longer than %d bytes", s, maxReference)
	}
	if sha256Digest.MatchString(s) {
		return Pin{}, fmt.Errorf("image %s: a digest alone does not say where it is: NAME@%[1]s, or docker:%[1]s for one of the Docker Engine", s)
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return Pin{}, fmt.Errorf("image %q: leave %s:// out: NAME is looked for in its registry, docker:NAME in the Docker Engine", s, scheme)
	}
	before, sum, pinned := strings.Cut(s, "@")
	parts := repository.FindStringSubmatch(before)
	if parts == nil {
		return Pin{}, fmt.Errorf("image %q: %q is not a name such as debian or ghcr.io/me/tools", s, before)
	}
	bare, tag := parts[1], parts[2]
	if !pinned {
		if tag == "" {
			tag = "latest"
		}
		return Pin{}, fmt.Errorf("image %q has no digest, and a tag may lead to another image tomorrow; pin it: crossctl image pin %s:%s", s, bare, tag)
	}
	d, err := ParseDigest(sum)
	if err != nil {
		return Pin{}, fmt.Errorf("image %q: %w", s, err)
	}
	return Pin{Name: bare, Digest: d}, nil
}

// ParseDigest reads sha256:HEX, the one kind that is taken.
func ParseDigest(s string) (digest.Digest, error) {
	if !sha256Digest.MatchString(s) {
		return "", fmt.Errorf("%.80q is not a digest: sha256: and 64 digits of 0-9a-f", s)
	}
	return digest.Digest(s), nil
}
