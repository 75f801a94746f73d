package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What bounds the documents of an image. Real ones have some kilobytes.
const (
	maxManifest = 4 << 20
	maxConfig   = 8 << 20
	maxLayers   = 256 // Docker itself makes at most 127
	maxIndexes  = 4   // indexes within indexes
)

// Media types of Docker's own, beside OCI's (the image manifest specification,
// version 2, schema 2).
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerSchema1  = "application/vnd.docker.distribution.manifest.v1"
)

// An image is what a manifest and its configuration say, checked.
type image struct {
	id       digest.Digest // of the configuration
	config   ocispec.Descriptor
	layers   []Layer
	platform string
	labels   map[string]string
	env      []string
}

// parseIndex returns the manifests in data if it is an index.
func parseIndex(data []byte) (manifests []ocispec.Descriptor, ok bool, err error) {
	var doc struct {
		MediaType     string               `json:"mediaType"`
		SchemaVersion int                  `json:"schemaVersion"`
		Manifests     []ocispec.Descriptor `json:"manifests"`
		Config        json.RawMessage      `json:"config"`
		Layers        json.RawMessage      `json:"layers"`
		FSLayers      json.RawMessage      `json:"fsLayers"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, false, fmt.Errorf("manifest: %w", err)
	}
	if strings.HasPrefix(doc.MediaType, dockerSchema1) || doc.FSLayers != nil {
		return nil, false, errors.New("manifest: its form is Docker's schema 1, which does not name layers by what is in them; push the image again with a newer Docker")
	}
	if doc.Manifests == nil {
		return nil, false, nil
	}
	if doc.Config != nil || doc.Layers != nil {
		return nil, false, errors.New("manifest: it is an index as well, and would be one image for us and another for others")
	}
	for _, m := range doc.Manifests {
		if err := checkDescriptor(m, maxManifest); err != nil {
			return nil, true, fmt.Errorf("index: %w", err)
		}
	}
	return doc.Manifests, true, nil
}

// parseManifest reads a manifest: its configuration's descriptor, and its layers
// without diff ids.
func parseManifest(data []byte, maxBytes int64) (image, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return image{}, fmt.Errorf("manifest: %w", err)
	}
	if err := checkDescriptor(m.Config, maxConfig); err != nil {
		return image{}, fmt.Errorf("manifest: configuration: %w", err)
	}
	if len(m.Layers) > maxLayers {
		return image{}, fmt.Errorf("manifest: %d layers; %d are the limit", len(m.Layers), maxLayers)
	}
	im := image{id: m.Config.Digest, config: m.Config}
	var sum int64
	for i, l := range m.Layers {
		if err := checkDescriptor(l, maxBytes-sum); err != nil {
			return image{}, fmt.Errorf("manifest: layer %d: %w", i+1, err)
		}
		if !layerType(l.MediaType) {
			return image{}, fmt.Errorf("manifest: layer %d is of type %.100q, which is no layer of files", i+1, l.MediaType)
		}
		sum += l.Size
		im.layers = append(im.layers, Layer{Digest: l.Digest, Size: l.Size})
	}
	return im, nil
}

// layerType knows the layers of OCI and Docker. How one is compressed its content
// says; encrypted ones are no layers to us.
func layerType(t string) bool {
	for _, prefix := range []string{"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar"} {
		if rest, ok := strings.CutPrefix(t, prefix); ok {
			return slices.Contains([]string{"", "+gzip", "+zstd", ".gzip", ".zstd"}, rest)
		}
	}
	return false
}

// checkDescriptor refuses what names no blob of at most limit bytes.
func checkDescriptor(d ocispec.Descriptor, limit int64) error {
	if _, err := ParseDigest(d.Digest.String()); err != nil {
		return err
	}
	if d.Size < 0 || d.Size > limit {
		return fmt.Errorf("%s has %d bytes; %d are the limit", d.Digest, d.Size, max(limit, 0))
	}
	return nil
}

// configure completes im with its configuration.
func (im *image) configure(data []byte) error {
	var c ocispec.Image
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if n := len(c.RootFS.DiffIDs); n != len(im.layers) || c.RootFS.Type != "layers" {
		return fmt.Errorf("configuration: it has %d layers of type %.40q, and the manifest %d", n, c.RootFS.Type, len(im.layers))
	}
	for i, d := range c.RootFS.DiffIDs {
		if _, err := ParseDigest(d.String()); err != nil {
			return fmt.Errorf("configuration: layer %d: %w", i+1, err)
		}
		im.layers[i].DiffID = d
	}
	im.platform = platformOf(c.Platform)
	im.labels, im.env = c.Config.Labels, c.Config.Env
	return nil
}

// platformOf is linux/amd64, linux/arm/v7.
func platformOf(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// variants are what a machine of some architecture runs besides images that name
// no variant, the best first. amd64's v2 to v4 need CPUs that not each helper is.
func variants(arch string) []string {
	switch arch {
	case "arm":
		return []string{"v7", "v6", "v5"}
	case "arm64":
		return []string{"v8"}
	case "amd64":
		return []string{"v1"}
	}
	return nil
}

// choose picks the manifest of an index for this machine; several says that there are
// others for others.
func choose(manifests []ocispec.Descriptor) (d ocispec.Descriptor, several bool, err error) {
	if len(manifests) == 1 && manifests[0].Platform == nil {
		return manifests[0], false, nil
	}
	var there []string
	for _, m := range manifests {
		if m.Platform == nil {
			continue
		}
		if p := platformOf(*m.Platform); p != "unknown/unknown" { // attestations beside the images
			there = append(there, p)
		}
	}
	host := platformOf(ocispec.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH})
	wanted := []string{host}
	for _, v := range variants(runtime.GOARCH) {
		wanted = append(wanted, host+"/"+v)
	}
	for _, want := range wanted {
		for _, m := range manifests {
			if m.Platform != nil && platformOf(*m.Platform) == want {
				return m, slices.ContainsFunc(there, func(p string) bool { return p != want }), nil
			}
		}
	}
	return ocispec.Descriptor{}, false, fmt.Errorf("the image is for %.200s; this machine is %s", strings.Join(there, ", "), host)
}
