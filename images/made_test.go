package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An entry is a file of a layer: name, and content, or -> target, or / for a
// directory.
type entry [2]string

// tarOf is a layer of entries.
func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e[0], Mode: 0o755, Size: int64(len(e[1])), ModTime: time.Unix(1e9, 0)}
		content := e[1]
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, content = tar.TypeSymlink, target, 0, ""
		} else if content == "/" {
			h.Typeflag, h.Size, content = tar.TypeDir, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// imageOf makes an image of layers.
func imageOf(t testing.TB, c compression.Compression, layers ...[]byte) v1.Image {
	t.Helper()
	img := v1.Image(empty.Image)
	for _, data := range layers {
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, tarball.WithCompression(c))
		check(t, err)
		// A layer that is not compressed has no type of its own in that library.
		kind := map[compression.Compression]types.MediaType{compression.ZStd: types.OCILayerZStd, compression.None: types.OCIUncompressedLayer, compression.GZip: types.OCILayer}[c]
		img, err = mutate.Append(img, mutate.Addendum{Layer: l, MediaType: kind})
		check(t, err)
	}
	config, err := img.ConfigFile()
	check(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Labels = map[string]string{"who": "me"}
	config.Config.Env = []string{"PATH=/usr/bin", "LANG=C"}
	img, err = mutate.ConfigFile(img, config)
	check(t, err)
	return mutate.MediaType(img, types.OCIManifestSchema1)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func digestOf(t testing.TB, img interface{ Digest() (v1.Hash, error) }) digest.Digest {
	t.Helper()
	h, err := img.Digest()
	check(t, err)
	return digest.Digest(h.String())
}

func idOf(t testing.TB, img v1.Image) digest.Digest {
	t.Helper()
	h, err := img.ConfigName()
	check(t, err)
	return digest.Digest(h.String())
}

// someLayers are two layers that touch what layers can do to each other.
func someLayers(t testing.TB) [][]byte {
	return [][]byte{
		tarOf(t, entry{"usr/bin/tool", "one"}, entry{"usr/lib/x", "lib"}, entry{"lib", "-> usr/lib"}, entry{"gone", "soon"}),
		tarOf(t, entry{"usr/bin/tool", "two"}, entry{".wh.gone", ""}, entry{"lib/y", "more"}),
	}
}

// wantSome is what is in an image of someLayers.
const wantSome = "lib -> usr/lib\nusr/bin/tool = two\nusr/lib/x = lib\nusr/lib/y = more"

// show lists files and links below root.
func show(t testing.TB, root string) string {
	t.Helper()
	var lines []string
	check(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if d.Type() == os.ModeSymlink {
			text, err := os.Readlink(path)
			lines = append(lines, name+" -> "+text)
			return err
		}
		data, err := os.ReadFile(path)
		lines = append(lines, name+" = "+string(data))
		return err
	}))
	return strings.Join(lines, "\n")
}

// layoutOf writes an OCI layout of images and indexes.
func layoutOf(t testing.TB, all ...mutate.Appendable) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	p, err := layout.Write(dir, empty.Index)
	check(t, err)
	for _, a := range all {
		switch a := a.(type) {
		case v1.Image:
			check(t, p.AppendImage(a))
		case v1.ImageIndex:
			check(t, p.AppendIndex(a))
		}
	}
	return dir
}

// archiveOf packs a directory as a tar.
func archiveOf(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oci.tar")
	f, err := os.Create(path)
	check(t, err)
	w := tar.NewWriter(f)
	check(t, w.AddFS(os.DirFS(dir)))
	check(t, w.Close())
	check(t, f.Close())
	return path
}

// savedOf writes what docker save of old Engines does: plain layers in directories,
// and a link where two are the same.
func savedOf(t testing.TB, img v1.Image, tag string, layers ...[]byte) string {
	t.Helper()
	config, err := img.RawConfigFile()
	check(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, content []byte) {
		h.Size, h.Mode = int64(len(content)), 0o644
		check(t, w.WriteHeader(&h))
		_, err := w.Write(content)
		check(t, err)
	}
	m := []map[string]any{{"Config": idOf(t, img).Encoded() + ".json", "RepoTags": []string{tag}}}
	var names []string
	for i, l := range layers {
		dir := strings.Repeat("a", i+1)
		put(tar.Header{Name: dir + "/VERSION"}, []byte("1.0"))
		if i > 0 && bytes.Equal(l, layers[i-1]) {
			put(tar.Header{Name: dir + "/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../" + strings.Repeat("a", i) + "/layer.tar"}, nil)
		} else {
			put(tar.Header{Name: dir + "/layer.tar"}, l)
		}
		names = append(names, dir+"/layer.tar")
	}
	m[0]["Layers"] = names
	put(tar.Header{Name: m[0]["Config"].(string)}, config)
	text, err := json.Marshal(m)
	check(t, err)
	put(tar.Header{Name: "manifest.json"}, text)
	check(t, w.Close())
	path := filepath.Join(t.TempDir(), "saved.tar")
	check(t, os.WriteFile(path, b.Bytes(), 0o644))
	return path
}

// serve starts a registry on loopback and returns its address.
func serve(t testing.TB, o ...registry.Option) string {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no credentials of the user's
	server := httptest.NewServer(registry.New(append(o, registry.Logger(log.New(io.Discard, "", 0)))...))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push puts an image into a registry as NAME:TAG.
func push(t testing.TB, reference string, img v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(reference)
	check(t, err)
	check(t, remote.Write(ref, img))
}

// storeIn opens a store of the test's own.
func storeIn(t testing.TB, o Options) *Store {
	t.Helper()
	o.Logf = t.Logf
	s, err := OpenStore(filepath.Join(t.TempDir(), "images"), o)
	check(t, err)
	return s
}

// offline are options that ask nobody.
var offline = SourceOptions{Engine: "off"}

// add adds the image of reference.
func add(t testing.TB, s *Store, reference string) (Entry, error) {
	t.Helper()
	src, err := Open(context.Background(), reference, SourceOptions{Engine: "off", Pull: true, Temp: s.Temp()})
	if err != nil {
		return Entry{}, err
	}
	defer src.Close()
	return s.Add(context.Background(), src, nil)
}

// mustAdd adds an image of layers through a layout.
func mustAdd(t testing.TB, s *Store, layers ...[]byte) Entry {
	t.Helper()
	e, err := add(t, s, layoutOf(t, imageOf(t, compression.GZip, layers...)))
	check(t, err)
	return e
}

// mustUse holds an image until the test ends.
func mustUse(t testing.TB, s *Store, d digest.Digest) *Rootfs {
	t.Helper()
	r, err := s.Use(context.Background(), d)
	check(t, err)
	t.Cleanup(r.Release)
	return r
}

// sourceOf is a source of blobs made by hand, whose root is the last.
func sourceOf(blobs map[digest.Digest][]byte, root []byte) *Source {
	return &Source{
		From: "test", root: ocispec.Descriptor{Digest: digest.FromBytes(root), Size: int64(len(root))},
		blob: func(_ context.Context, d ocispec.Descriptor, _ bool) (io.ReadCloser, error) {
			data, ok := blobs[d.Digest]
			if !ok {
				return nil, os.ErrNotExist
			}
			return io.NopCloser(bytes.NewReader(data)), nil
		},
	}
}
