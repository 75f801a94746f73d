package images

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An Image is what an image's documents say, checked: its manifest, the indexes that
// led to it, and its configuration.
type Image struct {
	ID       digest.Digest     // of the configuration
	Digests  []digest.Digest   // what a pin may have; the first is what people name it by
	Shared   []digest.Digest   // of Digests: other images' as well, on other machines, or nobody knows
	Names    []string          // by which the source knows it, without tags; may be empty
	Platform string            // linux/amd64, linux/arm/v7
	Labels   map[string]string // of the configuration
	Env      []string          // of the configuration
	Layers   []Layer
	Blobs    []Blob // the documents and the layers
}

// A Layer is a blob and what it is when it is expanded.
type Layer struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	DiffID digest.Digest `json:"diff_id"`
}

// A Blob is what a digest names.
type Blob struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

// Describe reads what describes the source's image. The caller's read has to return
// what d names, verified; it is asked for small documents only. Layers of more than
// maxBytes, all together and as they are stored, are an error, as is an image without
// the digest that the source was opened with.
func (s *Source) Describe(read func(d ocispec.Descriptor, manifest bool) ([]byte, error), maxBytes int64) (Image, error) {
	var im Image
	document := func(d ocispec.Descriptor, manifest bool, limit int64) ([]byte, error) {
		if err := checkDescriptor(d, limit); err != nil {
			return nil, err
		}
		im.Blobs = append(im.Blobs, Blob{d.Digest, d.Size})
		return read(d, manifest)
	}
	data, shared, err := manifestBelow(s.root, func(d ocispec.Descriptor) ([]byte, error) {
		data, err := document(d, true, maxManifest)
		im.Digests = append(im.Digests, d.Digest)
		return data, err
	})
	im.Shared = shared
	if err != nil {
		return Image{}, err
	}
	m, err := parseManifest(data, maxBytes)
	if err != nil {
		return Image{}, err
	}
	config, err := document(m.config, false, maxConfig)
	if err == nil {
		err = m.configure(config)
	}
	if err != nil {
		return Image{}, err
	}
	s.note(&im, m)
	if s.want != "" && !slices.Contains(im.Digests, s.want) {
		return Image{}, fmt.Errorf("it has %s, and not %s", im.Digests[0], s.want)
	}
	return im, nil
}

// Blob opens what d names: a manifest or index, or another blob. The caller closes
// it, and verifies it.
func (s *Source) Blob(ctx context.Context, d ocispec.Descriptor, manifest bool) (io.ReadCloser, error) {
	return s.blob(ctx, d, manifest)
}

// manifestBelow reads the manifest that d leads to: itself, or that for this machine
// in an index. shared are the indexes on the way that lead to others on other machines.
func manifestBelow(d ocispec.Descriptor, read func(ocispec.Descriptor) ([]byte, error)) (data []byte, shared []digest.Digest, err error) {
	var way []digest.Digest
	for range maxIndexes + 1 {
		data, err := read(d)
		if err != nil {
			return nil, nil, err
		}
		manifests, ok, err := parseIndex(data)
		if err != nil || !ok {
			return data, shared, err
		}
		way = append(way, d.Digest)
		next, several, err := choose(manifests)
		if err != nil {
			return nil, nil, err
		}
		if several {
			shared = slices.Clone(way)
		}
		d = next
	}
	return nil, nil, fmt.Errorf("more than %d indexes within each other", maxIndexes)
}

// note fills in what the source and the manifest m say.
func (s *Source) note(im *Image, m image) {
	im.ID, im.Platform, im.Labels, im.Env, im.Layers = m.id, m.platform, m.labels, m.env, m.layers
	for _, l := range m.layers {
		im.Blobs = append(im.Blobs, Blob{l.Digest, l.Size})
	}
	if s.made { // the manifest is ours, and nobody's pin
		im.Digests, im.Shared = nil, nil
	}
	im.Digests = union(im.Digests, []digest.Digest{m.id})
	// The first is what people name it by.
	switch i := slices.Index(im.Digests, s.want); {
	case s.also != "":
		im.Digests = union([]digest.Digest{s.also}, im.Digests)
		im.Shared = union(im.Shared, []digest.Digest{s.also}) // an Engine does not say whether it is an index's
	case i > 0:
		im.Digests = union([]digest.Digest{s.want}, im.Digests)
	}
	if s.Name != "" {
		im.Names = []string{s.Name}
	}
}

func union[T comparable](a, b []T) []T {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}
