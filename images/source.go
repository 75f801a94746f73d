package images

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Source is a place that one image can be read from. Nothing that it says is
// believed: the store verifies each blob that it takes.
type Source struct {
	// Name is the image's name where the place has one, else "".
	Name string
	// From says where, for people: registry ghcr.io, archive /srv/x.tar.
	From string
	// root is the manifest, or the index over manifests of several platforms.
	root ocispec.Descriptor
	// also are further digests by which this place knows the image.
	also []digest.Digest
	// blob opens what d names; the caller closes it.
	blob  func(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error)
	close func() error
}

// Close gives back what the source holds: files, connections, temporary copies.
func (s *Source) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// SourceOptions say where Open may look. The zero value looks into files and the
// local Docker Engine.
type SourceOptions struct {
	// Pull allows the network: the registry of the image's name is asked, and so may
	// the Docker Engine.
	Pull bool
	// Engine is the Docker Engine's address. "" is what DOCKER_HOST says, else
	// /var/run/docker.sock; "off" is none.
	Engine string
	// Temp is where a copy is kept until Close of what cannot be read in place.
	// "" is the system's directory for such files.
	Temp string
}

// errNotBuilt is what the parts say that are not there yet.
var errNotBuilt = errors.New("images: not built yet")

// Open finds the image that reference names:
//
//   - a path (it begins with / or .), alone or with @sha256:HEX: a directory in OCI
//     layout, an OCI archive, or a docker archive (docker save). With a digest the
//     image must have it; without one the place must hold a single image;
//   - docker:NAME@sha256:HEX, docker:sha256:HEX: only in the Docker Engine;
//   - NAME@sha256:HEX: in the Docker Engine, then, if o allows it, in the registry.
//
// A tag is ParsePin's error. The caller closes the source.
func Open(ctx context.Context, reference string, o SourceOptions) (*Source, error) {
	return nil, errNotBuilt
}

// Resolve finds out which image a tag leads to today: NAME:TAG, docker:NAME:TAG, or
// a path. It is how a pin is made, never how one is used.
func Resolve(ctx context.Context, reference string, o SourceOptions) (Pin, error) {
	return Pin{}, errNotBuilt
}
