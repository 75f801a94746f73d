package images

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A File is one file of a pack.
type File struct {
	Path   string      // in the image, absolute and clean
	Mode   fs.FileMode // its type: a regular file, a directory or a symbolic link; and whether it may be executed
	Target string      // of a symbolic link
	From   string      // the file of this machine whose content it has; of a regular file
}

// BuildPack writes an image of one layer, for machines like this one, as an OCI
// archive. The same files and labels give the same bytes, in whatever order they
// come: times and owners are left out. Directories above the files need not be
// named. It returns the digest of the manifest, which a pin has.
func BuildPack(w io.Writer, files []File, labels map[string]string) (digest.Digest, error) {
	all, err := packed(files)
	if err != nil {
		return "", fmt.Errorf("pack: %w", err)
	}
	layer, err := Unnamed("")
	if err != nil {
		return "", fmt.Errorf("pack: %w", err)
	}
	defer layer.Close()
	diffID, err := writeLayer(layer, all)
	if err != nil {
		return "", fmt.Errorf("pack: %w", err)
	}
	sum, err := writeArchive(w, layer, diffID, labels)
	if err != nil {
		return "", fmt.Errorf("pack: %w", err)
	}
	return sum, nil
}

// packed are files with the directories above them, sorted and checked.
func packed(files []File) ([]File, error) {
	all := make(map[string]File, len(files))
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || strings.ContainsRune(f.Path, 0) {
			return nil, fmt.Errorf("%q is no absolute and clean path", f.Path)
		}
		if strings.HasPrefix(path.Base(f.Path), ".wh.") {
			return nil, fmt.Errorf("%s: the name means removal in an image", f.Path)
		}
		if _, twice := all[f.Path]; twice {
			return nil, fmt.Errorf("%s stands here twice", f.Path)
		}
		all[f.Path] = f
	}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			switch above, ok := all[dir]; {
			case !ok:
				all[dir] = File{Path: dir, Mode: fs.ModeDir}
			case !above.Mode.IsDir():
				return nil, fmt.Errorf("%s lies below %s, which is no directory", f.Path, dir)
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b File) int { return strings.Compare(a.Path, b.Path) }), nil
}

// writeLayer writes files as a compressed layer and returns its diff id.
func writeLayer(w io.Writer, files []File) (digest.Digest, error) {
	z := gzip.NewWriter(w)      // no name in its header
	z.ModTime = time.Unix(0, 0) // nor a time: the zero Time would be one
	sum := sha256.New()
	out := tar.NewWriter(io.MultiWriter(z, sum))
	for _, f := range files {
		if err := writeFile(out, f); err != nil {
			return "", fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := errors.Join(out.Close(), z.Close()); err != nil {
		return "", err
	}
	return digest.NewDigest(digest.SHA256, sum), nil
}

// writeFile writes one file. Of its mode only that it may be executed is kept, as it
// is when an image is unpacked.
func writeFile(out *tar.Writer, f File) error {
	h := &tar.Header{Name: f.Path[1:], Mode: 0o644, Format: tar.FormatPAX}
	switch f.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, h.Name+"/", 0o755
		return out.WriteHeader(h)
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Target, 0o777
		if f.Target == "" {
			return errors.New("a symbolic link to nothing")
		}
		return out.WriteHeader(h)
	case 0:
	default:
		return fmt.Errorf("a pack holds no %v", f.Mode.Type())
	}
	in, err := os.Open(f.From)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", f.From)
	}
	if f.Mode&0o111 != 0 {
		h.Mode = 0o755
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	if n, err := io.Copy(out, in); err != nil || n != h.Size {
		return errors.Join(err, fmt.Errorf("%s changed while it was read: %d bytes of %d", f.From, n, h.Size))
	}
	return nil
}

// writeArchive writes an OCI archive of one layer, which stands in layer.
func writeArchive(w io.Writer, layer *os.File, diffID digest.Digest, labels map[string]string) (digest.Digest, error) {
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	sum, err := digest.FromReader(layer)
	if err != nil {
		return "", err
	}
	size, err := layer.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", err
	}
	var docs documents
	config := docs.add(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: ocispec.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH},
		Config:   ocispec.ImageConfig{Labels: labels},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
	})
	manifest := docs.add(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config,
		Layers: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: sum, Size: size}},
	})
	index := docs.json(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{manifest},
	})
	version := docs.json(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if docs.err != nil {
		return "", docs.err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	out := tar.NewWriter(w)
	err = errors.Join(
		member(out, ocispec.ImageLayoutFile, int64(len(version)), strings.NewReader(version)),
		member(out, ocispec.ImageIndexFile, int64(len(index)), strings.NewReader(index)),
		docs.write(out),
		member(out, blobPath(sum), size, layer),
		out.Close())
	return manifest.Digest, err
}

func blobPath(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

func member(out *tar.Writer, name string, size int64, r io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatPAX}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(out, r)
	return err
}

// documents are the small blobs of an archive, in order.
type documents struct {
	blobs []string
	err   error
}

// add keeps v as a blob and describes it.
func (d *documents) add(mediaType string, v any) ocispec.Descriptor {
	text := d.json(v)
	d.blobs = append(d.blobs, text)
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromString(text), Size: int64(len(text))}
}

func (d *documents) json(v any) string {
	text, err := json.Marshal(v) // keys of maps are sorted
	d.err = errors.Join(d.err, err)
	return string(text)
}

func (d *documents) write(out *tar.Writer) error {
	for _, b := range d.blobs {
		if err := member(out, blobPath(digest.FromString(b)), int64(len(b)), strings.NewReader(b)); err != nil {
			return err
		}
	}
	return nil
}
