package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// saved is one image in the manifest.json that docker save writes (Docker image
// specification 1.2, "Combined Image JSON + Filesystem Changeset Format"). All
// names are of members.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Media types of what docker save holds, and of the manifest that we make of it.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
)

// findSaved finds an image of a docker archive. No manifest.json is fs.ErrNotExist.
func findSaved(in files, want digest.Digest) (*Image, error) {
	data, err := document(in, "manifest.json")
	if err != nil {
		return nil, err
	}
	var all []saved
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("it has no image")
	}
	var ids []string
	for _, s := range all {
		config, err := document(in, path.Clean(s.Config))
		if err != nil {
			return nil, fmt.Errorf("configuration %.100q: %w", s.Config, hide(err))
		}
		id := digest.FromBytes(config)
		if want == "" && len(all) == 1 || id == want {
			return s.image(in, config)
		}
		ids = append(ids, strings.Join(append([]string{id.String()}, s.RepoTags...), " "))
	}
	if want == "" {
		return nil, fmt.Errorf("it has %d images: name one by PATH@ID, with one of %.1000s", len(all), strings.Join(ids, ", "))
	}
	return nil, fmt.Errorf("it has the images %.1000s, and not %s; a docker archive knows images by their IDs, not by what a registry calls them", strings.Join(ids, ", "), want)
}

// hide makes of an error one that is not fs.ErrNotExist.
func hide(err error) error { return errors.New(err.Error()) }

// image makes a manifest for s.
func (s saved) image(in files, config []byte) (*Image, error) {
	var c ocispec.Image
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(c.RootFS.DiffIDs) != len(s.Layers) {
		return nil, fmt.Errorf("its configuration has %d layers and its manifest %d", len(c.RootFS.DiffIDs), len(s.Layers))
	}
	if len(s.Layers) > maxLayers {
		return nil, fmt.Errorf("it has %d layers; %d are the limit", len(s.Layers), maxLayers)
	}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerManifest,
		Config: ocispec.Descriptor{MediaType: dockerConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
	}
	im := &Image{Made: true, paths: map[digest.Digest]string{m.Config.Digest: path.Clean(s.Config)}}
	known := map[string]*ocispec.Descriptor{} // what is counted is counted once, though it stands there many times
	for i, name := range s.Layers {
		d, err := layerOf(in, path.Clean(name), c.RootFS.DiffIDs[i], known)
		if err != nil {
			return nil, fmt.Errorf("layer %.100q: %w", name, hide(err))
		}
		m.Layers = append(m.Layers, d)
		im.paths[d.Digest] = path.Clean(name)
	}
	if len(s.RepoTags) > 0 {
		im.Name = familiar(s.RepoTags[0])
	}
	var err error
	if im.made, err = json.Marshal(m); err != nil {
		return nil, err
	}
	im.Root = ocispec.Descriptor{MediaType: dockerManifest, Digest: digest.FromBytes(im.made), Size: int64(len(im.made))}
	return im, nil
}

// layerOf describes the layer at name. A plain tar has its diff id as its digest;
// of one that is compressed, which other tools than Docker write, it is counted, and
// kept in known.
func layerOf(in files, name string, diffID digest.Digest, known map[string]*ocispec.Descriptor) (ocispec.Descriptor, error) {
	if d := known[name]; d != nil {
		return *d, nil
	}
	r, size, err := in.open(name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer r.Close()
	d := ocispec.Descriptor{MediaType: dockerLayer, Digest: diffID, Size: size}
	head := make([]byte, 4)
	n, err := io.ReadFull(r, head)
	if err != nil && n < len(head) && size >= int64(len(head)) {
		return d, err
	}
	head = head[:n]
	if !bytes.HasPrefix(head, []byte{0x1f, 0x8b}) && !bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return d, nil
	}
	if d.Digest, err = digest.FromReader(io.MultiReader(bytes.NewReader(head), r)); err != nil {
		return d, err
	}
	known[name] = &d
	return d, nil
}
