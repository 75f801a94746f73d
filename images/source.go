package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/crosscc/crosscc/images/internal/archive"
	"github.com/crosscc/crosscc/images/internal/engine"
	"github.com/crosscc/crosscc/images/internal/registry"
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
	// made says that the manifest is made up by us, of an archive that has none.
	made bool
	// want is a digest that the image must have; "" is any.
	want digest.Digest
	// also is a further digest by which this place knows the image; it is believed.
	also digest.Digest
	// blob opens what d names, a manifest or index or another blob; the caller closes
	// it.
	blob  func(ctx context.Context, d ocispec.Descriptor, manifest bool) (io.ReadCloser, error)
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
	// Pull allows the network: the registry of the image's name is asked, and with
	// docker: the Engine may fetch it.
	Pull bool
	// Engine is the Docker Engine's address. "" is what DOCKER_HOST says, else
	// /var/run/docker.sock; "off" is none.
	Engine string
	// Temp is where a copy is kept until Close of what cannot be read in place: what
	// an Engine saves, a compressed archive. "" is the system's directory for such
	// files; the store's own is a good place.
	Temp string
	// MaxBytes bounds that copy; 0 is 16 GiB.
	MaxBytes int64
}

func (o SourceOptions) archive() archive.Options {
	if o.MaxBytes == 0 {
		o.MaxBytes = 16 << 30
	}
	return archive.Options{Temp: o.Temp, MaxBytes: o.MaxBytes}
}

// ErrNowhere is an image that none of the places has that may be asked.
var ErrNowhere = errors.New("the image is nowhere to be had")

// Open finds the image that reference names:
//
//   - a path (it begins with / or ., or there is a file of that name and it is no
//     pin, or the name ends as archives' do), alone or with @sha256:HEX: a directory in OCI layout, an OCI archive, or a
//     docker archive (docker save). With a digest the image must have it; without one
//     the place must hold a single image;
//   - docker:NAME@sha256:HEX, docker:sha256:HEX: only in the Docker Engine, which
//     fetches it if o allows that;
//   - NAME@sha256:HEX: in the Docker Engine, then, if o allows it, in the registry.
//
// A tag is ParsePin's error, and an image that is in none of these ErrNowhere. The
// caller closes the source.
func Open(ctx context.Context, reference string, o SourceOptions) (*Source, error) {
	if path, want, ok := cutPath(reference); ok {
		return openPath(path, want, o)
	}
	if rest, ok := cutEngine(reference); ok {
		pin, err := parseEngine(rest)
		if err != nil {
			return nil, err
		}
		return openEngine(ctx, pin, o)
	}
	pin, err := ParsePin(reference)
	if err != nil {
		return nil, err
	}
	return openPin(ctx, pin, o)
}

// OpenPin is Open for a pin.
func OpenPin(ctx context.Context, pin Pin, o SourceOptions) (*Source, error) {
	return Open(ctx, pin.String(), o)
}

// openPin looks into the Engine, then into the registry.
func openPin(ctx context.Context, pin Pin, o SourceOptions) (*Source, error) {
	local := o
	local.Pull = false
	src, away := openEngine(ctx, pin, local)
	if away == nil {
		return src, nil
	}
	if !o.Pull {
		return nil, fmt.Errorf("image %s: %w: %w; its registry was not asked", pin, ErrNowhere, away)
	}
	src, err := openRegistry(ctx, pin)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w; %w", pin, err, away)
	}
	return src, nil
}

// pathDigest is a digest at the end of a path.
var pathDigest = regexp.MustCompile(`^(.+)@(sha256:[0-9a-f]{64})$`)

// cutPath takes a reference apart that names a file.
func cutPath(reference string) (path string, want digest.Digest, ok bool) {
	path = reference
	if m := pathDigest.FindStringSubmatch(reference); m != nil {
		path, want = m[1], digest.Digest(m[2])
	}
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, ".") {
		return path, want, true
	}
	_, absent := os.Stat(path)
	_, err := ParsePin(reference)
	switch archive := archiveName.MatchString(path); {
	case absent == nil && (err != nil || archive), err != nil && archive: // of which the error speaks then
		return path, want, true
	}
	return "", "", false
}

// archiveName is the end of a name that people give to archives and not to images.
var archiveName = regexp.MustCompile(`\.(tar|tgz|gz|zst|xz|oci)$`)

// cutEngine takes the word docker: off a reference. docker://NAME is other tools' word
// for a registry.
func cutEngine(reference string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(reference, "docker:")
	if !ok || strings.HasPrefix(rest, "//") {
		return reference, false
	}
	return rest, true
}

func openPath(path string, want digest.Digest, o SourceOptions) (*Source, error) {
	im, err := archive.Open(path, want, o.archive())
	if file, sum, ok := strings.Cut(path, "@sha256:"); ok && errors.Is(err, fs.ErrNotExist) {
		if _, no := ParseDigest("sha256:" + sum); no != nil {
			return nil, fmt.Errorf("image in %s: %w", file, no)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("image in %s: %w", path, err)
	}
	return ofArchive(im, path, want), nil
}

func ofArchive(im *archive.Image, from string, want digest.Digest) *Source {
	name := im.Name
	if repository.FindStringSubmatch(name) == nil {
		name = ""
	}
	return &Source{
		Name: name, From: from, root: im.Root, made: im.Made, want: want, close: im.Close,
		blob: func(_ context.Context, d ocispec.Descriptor, _ bool) (io.ReadCloser, error) { return im.Blob(d) },
	}
}

// parseEngine reads what follows docker: a pin, or an ID alone.
func parseEngine(s string) (Pin, error) {
	if d, err := ParseDigest(s); err == nil || strings.HasPrefix(s, "sha256:") {
		return Pin{Digest: d}, err
	}
	pin, err := ParsePin(s)
	if err != nil {
		return Pin{}, inEngine(err)
	}
	return pin, nil
}

// inEngine makes of a command that pins a tag the one that asks the Engine.
func inEngine(err error) error {
	return errors.New(strings.Replace(err.Error(), "crossctl image pin ", "crossctl image pin docker:", 1))
}

// openEngine finds an image in the Docker Engine, by what a registry calls it or by
// its ID. That the Engine's image is the one that a registry gave it under that
// digest is the Engine's word.
func openEngine(ctx context.Context, pin Pin, o SourceOptions) (*Source, error) {
	if o.Engine == "off" {
		return nil, fmt.Errorf("%w: %w", ErrNowhere, errOff)
	}
	e, err := engine.Open(o.Engine)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Close() }()
	found, err := findHere(ctx, e, pin)
	if errors.Is(err, engine.ErrAbsent) && o.Pull && pin.Name != "" {
		if err = e.Pull(ctx, pin.String()); err == nil {
			found, err = findHere(ctx, e, pin)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNowhere, err)
	}
	id, err := ParseDigest(found.ID)
	if err != nil {
		return nil, fmt.Errorf("image %s: its ID in the Docker Engine: %w", pin, err)
	}
	saved, err := e.Save(ctx, found.ID)
	if err != nil {
		return nil, err
	}
	defer saved.Close()
	file, err := archive.Spool(saved, o.Temp, o.archive().MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("image %s from the Docker Engine: %w", pin, err)
	}
	im, err := archive.OpenFile(file, id, o.archive())
	if err != nil {
		return nil, fmt.Errorf("image %s from the Docker Engine: %w", pin, err)
	}
	src := ofArchive(im, "Docker Engine", id)
	src.also = pin.Digest
	if pin.Name != "" {
		src.Name = pin.Name
	}
	return src, nil
}

// errOff is what SourceOptions.Engine forbids.
var errOff = fmt.Errorf("%w: it is off (--docker)", engine.ErrAway)

// findHere is findInEngine, and content only with what the pin means on this machine. An
// Engine can have another platform's image under the digest of an index (docker pull
// --platform).
func findHere(ctx context.Context, e *engine.Engine, pin Pin) (engine.Found, error) {
	found, err := findInEngine(ctx, e, pin)
	if err == nil && found.ID != pin.Digest.String() && (found.OS != runtime.GOOS || found.Arch != runtime.GOARCH) {
		return engine.Found{}, fmt.Errorf("what the Docker Engine has as %s is for %s/%s, and this machine is %s/%s: docker pull --platform %[4]s/%[5]s %[1]s, or name it by its ID, %[6]s",
			pin, found.OS, found.Arch, runtime.GOOS, runtime.GOARCH, found.ID)
	}
	return found, err
}

func findInEngine(ctx context.Context, e *engine.Engine, pin Pin) (engine.Found, error) {
	if pin.Name != "" {
		found, err := e.Find(ctx, pin.String())
		if !errors.Is(err, engine.ErrAbsent) {
			return found, err
		}
	}
	found, err := e.Find(ctx, pin.Digest.String())
	if err == nil && found.ID != pin.Digest.String() {
		// It would be a name that looks like a digest.
		return engine.Found{}, engine.ErrAbsent
	}
	return found, err
}

func openRegistry(ctx context.Context, pin Pin) (*Source, error) {
	r, err := registry.Open(pin.Name)
	if err != nil {
		return nil, err
	}
	root, err := r.Manifest(ctx, pin.Digest)
	if err != nil {
		return nil, fmt.Errorf("registry %s: %w", r.Host(), err)
	}
	root.Digest = pin.Digest // whatever it says: this is verified
	return &Source{Name: pin.Name, From: "registry " + r.Host(), root: root, want: pin.Digest, blob: r.Blob}, nil
}

// Resolve finds out which image a tag leads to today, and where: NAME:TAG (in the
// registry; without o.Pull in the Docker Engine), docker:NAME:TAG, or a path. It is
// how a pin is made, never how one is used.
func Resolve(ctx context.Context, reference string, o SourceOptions) (pin Pin, from string, err error) {
	if path, want, ok := cutPath(reference); ok {
		return resolvePath(path, want, o)
	}
	rest, ofEngine := cutEngine(reference)
	pin, err = ParsePin(rest)
	m := repository.FindStringSubmatch(rest)
	switch {
	case err == nil:
		return pin, "", nil
	case strings.Contains(rest, "@"), strings.Contains(rest, "://"), sha256Digest.MatchString(rest):
		return Pin{}, "", err // that is not for want of a digest
	case m == nil:
		return Pin{}, "", fmt.Errorf("image %.200q: %q is no name such as debian:bookworm or ghcr.io/me/tools:2", reference, rest)
	}
	tag := m[2]
	if tag == "" {
		tag = "latest"
	}
	if ofEngine || !o.Pull {
		return resolveEngine(ctx, m[1], tag, o)
	}
	r, err := registry.Open(m[1])
	if err != nil {
		return Pin{}, "", fmt.Errorf("image %s: %w", rest, err)
	}
	d, err := r.Tag(ctx, tag)
	if err != nil {
		return Pin{}, "", fmt.Errorf("image %s: registry %s: %w", rest, r.Host(), err)
	}
	sum, err := ParseDigest(d.Digest.String())
	return Pin{Name: m[1], Digest: sum}, "registry " + r.Host(), err
}

// resolvePath pins the image of a file by the best digest that it has: that of its
// manifest, or of its configuration where it has none.
func resolvePath(path string, want digest.Digest, o SourceOptions) (Pin, string, error) {
	src, err := openPath(path, want, o)
	if err != nil {
		return Pin{}, "", err
	}
	defer func() { _ = src.Close() }()
	pin := Pin{Name: src.Name, Digest: want}
	if pin.Name == "" {
		pin.Name = "local"
	}
	if want == "" {
		pin.Digest, err = src.digest()
	}
	return pin, path, err
}

// digest is what names the image for good.
func (s *Source) digest() (digest.Digest, error) {
	if !s.made {
		return ParseDigest(s.root.Digest.String())
	}
	r, err := s.blob(context.Background(), s.root, true)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return "", err
	}
	im, err := parseManifest(data, 1<<62)
	return im.id, err
}

func resolveEngine(ctx context.Context, name, tag string, o SourceOptions) (Pin, string, error) {
	if o.Engine == "off" {
		return Pin{}, "", errOff
	}
	e, err := engine.Open(o.Engine)
	if err != nil {
		return Pin{}, "", err
	}
	defer func() { _ = e.Close() }()
	found, err := e.Find(ctx, name+":"+tag)
	if err != nil {
		return Pin{}, "", fmt.Errorf("image %s:%s: %w", name, tag, err)
	}
	for _, d := range found.Digests { // as a registry knows it: others can have it too
		if pin, err := ParsePin(d); err == nil && pin.Name == name {
			return pin, "Docker Engine", nil
		}
	}
	id, err := ParseDigest(found.ID)
	return Pin{Name: name, Digest: id}, "Docker Engine", err
}
