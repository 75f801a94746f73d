// Package imagetest makes images for tests, and shows what came of them.
package imagetest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
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
)

// SomeDigest is one that no image has.
const SomeDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// An Entry is a file of a layer: name, and content, or -> target, or / for a
// directory.
type Entry [2]string

// Tar is a layer of entries.
func Tar(t testing.TB, entries ...Entry) []byte {
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

// Image makes an image of layers.
func Image(t testing.TB, c compression.Compression, layers ...[]byte) v1.Image {
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

// Digest is that of an image's manifest, or of an index.
func Digest(t testing.TB, img interface{ Digest() (v1.Hash, error) }) digest.Digest {
	t.Helper()
	h, err := img.Digest()
	check(t, err)
	return digest.Digest(h.String())
}

// ID is the digest of an image's configuration.
func ID(t testing.TB, img v1.Image) digest.Digest {
	t.Helper()
	h, err := img.ConfigName()
	check(t, err)
	return digest.Digest(h.String())
}

// SomeLayers are two layers that touch what layers can do to each other.
func SomeLayers(t testing.TB) [][]byte {
	return [][]byte{
		Tar(t, Entry{"usr/bin/tool", "one"}, Entry{"usr/lib/x", "lib"}, Entry{"lib", "-> usr/lib"}, Entry{"gone", "soon"}),
		Tar(t, Entry{"usr/bin/tool", "two"}, Entry{".wh.gone", ""}, Entry{"lib/y", "more"}),
	}
}

// WantSome is what is in an image of SomeLayers.
const WantSome = "lib -> usr/lib\nusr/bin/tool = two\nusr/lib/x = lib\nusr/lib/y = more"

// Show lists files and links below root.
func Show(t testing.TB, root string) string {
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

// Layout writes an OCI layout of images and indexes.
func Layout(t testing.TB, all ...mutate.Appendable) string {
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

// Archive packs a directory as a tar.
func Archive(t testing.TB, dir string) string {
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

// Saved writes what docker save of old Engines does: plain layers in directories,
// and a link where two are the same.
func Saved(t testing.TB, img v1.Image, tag string, layers ...[]byte) string {
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
	m := []map[string]any{{"Config": ID(t, img).Encoded() + ".json", "RepoTags": []string{tag}}}
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

// Serve starts a registry on loopback and returns its address.
func Serve(t testing.TB, o ...registry.Option) string {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no credentials of the user's
	server := httptest.NewServer(registry.New(append(o, registry.Logger(log.New(io.Discard, "", 0)))...))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// Push puts an image into a registry as NAME:TAG.
func Push(t testing.TB, reference string, img v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(reference)
	check(t, err)
	check(t, remote.Write(ref, img))
}

// ByHand writes an OCI layout of documents and layers as they are, whose root is the
// last of them, and returns its directory.
func ByHand(t testing.TB, blobs ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755))
	var root []byte
	for _, root = range blobs {
		check(t, os.WriteFile(filepath.Join(dir, "blobs/sha256", digest.FromBytes(root).Encoded()), root, 0o644))
	}
	index := fmt.Sprintf(`{"manifests": [{"digest": %q, "size": %d}]}`, digest.FromBytes(root), len(root))
	check(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o644))
	return dir
}

// Sparse is a layer of one sparse file a of size bytes, in GNU tar's old form, of which
// the last one is there.
func Sparse(t testing.TB, size int64) []byte {
	data := Tar(t, Entry{"a", "x"})
	h := data[:512]
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	copy(h[386:], fmt.Sprintf("%011o ", size-1)) // where the one piece is
	copy(h[398:], fmt.Sprintf("%011o ", 1))
	h[482] = 0
	copy(h[483:], fmt.Sprintf("%011o ", size))
	if size > 0o77777777777 { // base 256
		binary := func(field []byte, n int64) {
			for i := range field {
				field[len(field)-1-i] = byte(n)
				n >>= 8
			}
			field[0] |= 0x80
		}
		binary(h[386:398], size-1)
		binary(h[483:495], size)
	}
	sum := 0
	copy(h[148:156], "        ")
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return data
}
