package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An Image is one image of a place.
type Image struct {
	Root ocispec.Descriptor // its manifest, or the index over its manifests
	Name string             // without a tag; may be empty
	// Made says that Root is of a manifest that was made up here: docker save writes
	// none.
	Made bool

	files files
	paths map[digest.Digest]string // of blobs
	made  []byte                   // the manifest that was made up
}

// Close gives the files back.
func (im *Image) Close() error { return im.files.Close() }

// Blob opens what d names.
func (im *Image) Blob(d ocispec.Descriptor) (io.ReadCloser, error) {
	if im.Made && d.Digest == im.Root.Digest {
		return io.NopCloser(strings.NewReader(string(im.made))), nil
	}
	name, ok := im.paths[d.Digest]
	if !ok {
		name = "blobs/sha256/" + d.Digest.Encoded()
	}
	r, _, err := im.files.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it is not in there")
	}
	return r, err
}

// Options of Open.
type Options struct {
	Temp     string // where the copy of a compressed archive is kept; "" is the system's place
	MaxBytes int64  // of that copy
}

// Open finds at path the image that has the digest want: as its index's, its
// manifest's or its configuration's. Where want is "" there must be a single image.
func Open(path string, want digest.Digest, o Options) (*Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, err
		}
		return find(directory{root}, want)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is neither a directory nor a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return OpenFile(f, want, o)
}

// OpenFile is Open for an archive that is open, which it owns from now on.
func OpenFile(f *os.File, want digest.Digest, o Options) (*Image, error) {
	whole, err := expanded(f, o.Temp, o.MaxBytes)
	if err != nil {
		f.Close()
		return nil, err
	}
	t, err := openTar(whole)
	if err != nil {
		whole.Close()
		return nil, err
	}
	return find(t, want)
}

// find looks for the image in whichever form in has, and owns in from now on.
func find(in files, want digest.Digest) (*Image, error) {
	im, err := findLayout(in, want)
	if errors.Is(err, fs.ErrNotExist) {
		im, err = findSaved(in, want)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("it is no image: neither index.json (OCI layout) nor manifest.json (docker save) is in there")
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	im.files = in
	return im, nil
}

// findLayout finds an image of an OCI layout. No index.json is fs.ErrNotExist.
func findLayout(in files, want digest.Digest) (*Image, error) {
	data, err := document(in, "index.json")
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if want == "" {
		return single(index.Manifests)
	}
	l := &search{in: in, want: want, budget: maxSearched}
	d, err := l.among(index.Manifests)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fmt.Errorf("it has %s, and not %s", digestsOf(index.Manifests), want)
	}
	return &Image{Root: *d, Name: nameOf(*d)}, nil
}

// single is the image of a place that has one.
func single(manifests []ocispec.Descriptor) (*Image, error) {
	if len(manifests) == 0 {
		return nil, errors.New("it has no image")
	}
	for _, m := range manifests[1:] {
		if m.Digest != manifests[0].Digest { // the same one may have several tags
			return nil, fmt.Errorf("it has several images: name one by PATH@DIGEST, with one of %s", digestsOf(manifests))
		}
	}
	return &Image{Root: manifests[0], Name: nameOf(manifests[0])}, nil
}

func digestsOf(manifests []ocispec.Descriptor) string {
	var all []string
	for _, m := range manifests {
		all = append(all, m.Digest.String())
		if len(all) == 10 {
			break
		}
	}
	return strings.Join(all, ", ")
}

// nameOf is the name that a layout's annotations give an image. A tag alone is none.
func nameOf(d ocispec.Descriptor) string {
	if s := d.Annotations["io.containerd.image.name"]; s != "" {
		return familiar(s)
	}
	if s := d.Annotations[ocispec.AnnotationRefName]; strings.ContainsAny(s, "/:") {
		return familiar(s)
	}
	return ""
}

// maxSearched is how many documents of a layout are read to find a digest.
const maxSearched = 1000

// A search looks for a digest below an index.
type search struct {
	in     files
	want   digest.Digest
	budget int
}

// among finds the descriptor that has the digest, or whose configuration has it.
func (l *search) among(manifests []ocispec.Descriptor) (*ocispec.Descriptor, error) {
	for _, m := range manifests {
		if m.Digest == l.want {
			return &m, nil
		}
	}
	for _, m := range manifests {
		if l.budget--; l.budget < 0 {
			return nil, fmt.Errorf("it has more than %d images", maxSearched)
		}
		if !plain(m.Digest) {
			continue
		}
		data, err := document(l.in, "blobs/sha256/"+m.Digest.Encoded())
		if errors.Is(err, fs.ErrNotExist) {
			continue // of another platform, and left out
		}
		if err != nil {
			return nil, err
		}
		var doc struct {
			Manifests []ocispec.Descriptor `json:"manifests"`
			Config    ocispec.Descriptor   `json:"config"`
		}
		if err := json.Unmarshal(data, &doc); err != nil || digest.FromBytes(data) != m.Digest {
			continue
		}
		if doc.Config.Digest == l.want {
			return &m, nil
		}
		if d, err := l.among(doc.Manifests); d != nil || err != nil {
			return d, err
		}
	}
	return nil, nil
}

// plain reports whether d is a SHA-256, and no path.
func plain(d digest.Digest) bool {
	return d.Validate() == nil && d.Algorithm() == digest.SHA256
}
