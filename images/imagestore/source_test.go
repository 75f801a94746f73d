package imagestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/images/internal/imagetest"
)

// The same image is the same directory, wherever it comes from.
func TestSources(t *testing.T) {
	layers := imagetest.SomeLayers(t)
	layers = append(layers, layers[1]) // docker archives have such a one once
	img := imagetest.Image(t, compression.GZip, layers...)
	id, manifest := imagetest.ID(t, img), imagetest.Digest(t, img)
	host := imagetest.Serve(t)
	imagetest.Push(t, host+"/me/tools:1", img)

	ggcr := filepath.Join(t.TempDir(), "ggcr.tar")
	tag, err := name.NewTag("me/tools:1")
	check(t, err)
	check(t, tarball.WriteToFile(ggcr, tag, img))
	saved := imagetest.Saved(t, img, "me/tools:1", layers...)
	data, err := os.ReadFile(saved)
	check(t, err)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err = w.Write(data)
	check(t, err)
	check(t, w.Close())
	zipped := filepath.Join(t.TempDir(), "saved.tar.gz")
	check(t, os.WriteFile(zipped, z.Bytes(), 0o644))
	dir := imagetest.Layout(t, img)
	two := imagetest.Layout(t, img, imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"x", "y"})))
	plain, zstd := imagetest.Image(t, compression.None, layers...), imagetest.Image(t, compression.ZStd, layers...)

	tests := []struct {
		name, reference string
		digests         []digest.Digest
		names           []string
	}{
		{"layout", dir, []digest.Digest{manifest, id}, nil},
		{"layout, its manifest", dir + "@" + manifest.String(), []digest.Digest{manifest, id}, nil},
		{"layout, its ID", dir + "@" + id.String(), []digest.Digest{id, manifest}, nil},
		{"layout of two", two + "@" + id.String(), []digest.Digest{id, manifest}, nil},
		{"plain layers", imagetest.Layout(t, plain), []digest.Digest{imagetest.Digest(t, plain), id}, nil},
		{"zstd layers", imagetest.Layout(t, zstd), []digest.Digest{imagetest.Digest(t, zstd), id}, nil},
		{"archive", imagetest.Archive(t, dir), []digest.Digest{manifest, id}, nil},
		{"docker archive", saved, []digest.Digest{id}, []string{"me/tools"}},
		{"docker archive, its ID", saved + "@" + id.String(), []digest.Digest{id}, []string{"me/tools"}},
		{"docker archive, compressed", zipped, []digest.Digest{id}, []string{"me/tools"}},
		{"docker archive of another tool", ggcr, []digest.Digest{id}, []string{"me/tools"}},
		{"registry", host + "/me/tools@" + manifest.String(), []digest.Digest{manifest, id}, []string{host + "/me/tools"}},
		{"registry, with the tag", host + "/me/tools:9@" + manifest.String(), []digest.Digest{manifest, id}, []string{host + "/me/tools"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := storeIn(t, Options{})
			e, err := add(t, s, tt.reference)
			check(t, err)
			if e.ID != id || !cmp.Equal(e.Digests, tt.digests) || len(e.Shared) > 0 || !cmp.Equal(e.Names, tt.names) || e.Platform != "linux/"+runtime.GOARCH ||
				e.Labels["who"] != "me" || len(e.Env) != 2 || e.Layers != 3 || !e.Unpacked || e.Entries != 8 || e.Size < 1 || e.Packed < 1 {
				t.Errorf("entry %+v", e)
			}
			for _, d := range tt.digests {
				r := mustUse(t, s, d)
				if got := imagetest.Show(t, r.Dir); got != imagetest.WantSome || r.Digest != id || r.Labels["who"] != "me" {
					t.Errorf("%s is %+v, with\n%s", d, r, got)
				}
			}
			damage, err := s.Verify(context.Background(), id)
			if err != nil || damage != nil {
				t.Errorf("verify says %v, %v", damage, err)
			}
		})
	}
}

// An index leads to this machine's image, whichever digest the pin has.
func TestIndex(t *testing.T) {
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	index := indexOf(t, map[string]v1.Image{
		"linux/s390x":             imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"s390x", ""})),
		"linux/" + runtime.GOARCH: img,
		"unknown/unknown":         imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"attestation", ""})),
	})
	host := imagetest.Serve(t)
	ref, err := name.ParseReference(host + "/multi:1")
	check(t, err)
	check(t, remote.WriteIndex(ref, index))
	dir := imagetest.Layout(t, index)
	top, manifest, id := imagetest.Digest(t, index), imagetest.Digest(t, img), imagetest.ID(t, img)
	for _, tt := range []struct {
		reference string
		digests   []digest.Digest
	}{
		{dir, []digest.Digest{top, manifest, id}},
		{dir + "@" + top.String(), []digest.Digest{top, manifest, id}},
		{dir + "@" + manifest.String(), []digest.Digest{manifest, id}},
		{dir + "@" + id.String(), []digest.Digest{id, manifest}},
		{host + "/multi@" + top.String(), []digest.Digest{top, manifest, id}},
		{host + "/multi@" + manifest.String(), []digest.Digest{manifest, id}},
	} {
		s := storeIn(t, Options{})
		e, err := add(t, s, tt.reference)
		var shared []digest.Digest // with other machines' images
		if slices.Contains(tt.digests, top) {
			shared = append(shared, top)
		}
		if err != nil || e.ID != id || !cmp.Equal(e.Digests, tt.digests) || !slices.Equal(e.Shared, shared) {
			t.Errorf("%s: %+v, of these shared %+v, %v", tt.reference, e.Digests, e.Shared, err)
		}
	}
	// One that leads to no other image is as good as the manifest: what builders add to it
	// is none.
	lone := indexOf(t, map[string]v1.Image{
		"linux/" + runtime.GOARCH: img,
		"unknown/unknown":         imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"attestation", ""})),
	})
	if e, err := add(t, storeIn(t, Options{}), imagetest.Layout(t, lone)); err != nil || !slices.Contains(e.Digests, imagetest.Digest(t, lone)) || len(e.Shared) > 0 {
		t.Errorf("of one image: %+v, %v", e, err)
	}
	// One and the same image has then all its digests and names.
	s := storeIn(t, Options{})
	for _, reference := range []string{dir + "@" + manifest.String(), host + "/multi@" + top.String()} {
		if _, err := add(t, s, reference); err != nil {
			t.Error(err)
		}
	}
	if all, err := s.List(); err != nil || len(all) != 1 || !cmp.Equal(all[0].Digests, []digest.Digest{manifest, id, top}) || !cmp.Equal(all[0].Shared, []digest.Digest{top}) || !cmp.Equal(all[0].Names, []string{host + "/multi"}) {
		t.Errorf("%+v, %v", all, err)
	}
	// No image for this machine.
	foreign := imagetest.Layout(t, indexOf(t, map[string]v1.Image{"linux/s390x": img, "windows/" + runtime.GOARCH: img}))
	_, err = add(t, s, foreign)
	if err == nil || !strings.Contains(err.Error(), "the image is for ") || !strings.Contains(err.Error(), "; this machine is linux/"+runtime.GOARCH) {
		t.Errorf("got %v", err)
	}
}

func indexOf(t *testing.T, all map[string]v1.Image) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for platform, img := range all {
		p, err := v1.ParsePlatform(platform)
		check(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	return index
}

// An archive that was made to be wrong is refused, with the reason, and an image
// that was cut or changed on its way.
func TestRefused(t *testing.T) {
	layers := imagetest.SomeLayers(t)
	img := imagetest.Image(t, compression.GZip, layers...)
	blobs, err := img.Layers()
	check(t, err)
	layerFile := func(dir string, i int) string {
		return filepath.Join(dir, "blobs/sha256", imagetest.Digest(t, blobs[i]).Encoded())
	}
	change := func(path string, f func([]byte) []byte) {
		data, err := os.ReadFile(path)
		check(t, err)
		check(t, os.WriteFile(path, f(data), 0o644))
	}
	tarLayer, noTar := imagetest.Tar(t, imagetest.Entry{"a", "b"}), bytes.Repeat([]byte("no tar"), 100)
	tests := []struct {
		name string
		make func() string
		says string
	}{
		{"a flipped bit in a layer", func() string {
			dir := imagetest.Layout(t, img)
			change(layerFile(dir, 1), func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
			return dir
		}, "layer 2 of 2: blob " + imagetest.Digest(t, blobs[1]).String() + ": what came has the digest sha256:"},
		{"a layer that is cut off", func() string {
			dir := imagetest.Layout(t, img)
			change(layerFile(dir, 0), func(b []byte) []byte { return b[:len(b)-1] })
			return dir
		}, "it is cut off"},
		{"a layer with more behind it", func() string {
			dir := imagetest.Layout(t, img)
			change(layerFile(dir, 0), func(b []byte) []byte { return append(b, 'x') })
			return dir
		}, "it has more than the "},
		{"a layer that is not there", func() string {
			dir := imagetest.Layout(t, img)
			check(t, os.Remove(layerFile(dir, 0)))
			return dir
		}, "it is not in there"},
		{"a manifest that was changed", func() string {
			dir := imagetest.Layout(t, img)
			change(filepath.Join(dir, "blobs/sha256", imagetest.Digest(t, img).Encoded()), func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
			return dir
		}, "blob " + imagetest.Digest(t, img).String() + ": what came has the digest"},
		{"a diff id that is another's", func() string {
			config, err := img.ConfigFile()
			check(t, err)
			config = config.DeepCopy()
			config.RootFS.DiffIDs[0] = config.RootFS.DiffIDs[1]
			bad, err := mutate.ConfigFile(img, config)
			check(t, err)
			return imagetest.Layout(t, bad)
		}, "layer 1 of 2, " + imagetest.Digest(t, blobs[0]).String() + ": expanded it has the digest"},
		{"fewer diff ids", func() string {
			config, err := img.ConfigFile()
			check(t, err)
			config = config.DeepCopy()
			config.RootFS.DiffIDs = config.RootFS.DiffIDs[:1]
			bad, err := mutate.ConfigFile(img, config)
			check(t, err)
			return imagetest.Layout(t, bad)
		}, "it has 1 layers of type \"layers\", and the manifest 2"},
		{"more diff ids", func() string {
			config, err := img.ConfigFile()
			check(t, err)
			config = config.DeepCopy()
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, config.RootFS.DiffIDs[0])
			bad, err := mutate.ConfigFile(img, config)
			check(t, err)
			return imagetest.Layout(t, bad)
		}, "it has 3 layers of type \"layers\", and the manifest 2"},
		{"diff ids in another order", func() string {
			config, err := img.ConfigFile()
			check(t, err)
			config = config.DeepCopy()
			slices.Reverse(config.RootFS.DiffIDs)
			bad, err := mutate.ConfigFile(img, config)
			check(t, err)
			return imagetest.Layout(t, bad)
		}, "layer 1 of 2, " + imagetest.Digest(t, blobs[0]).String() + ": expanded it has the digest"},
		{"a configuration that is no JSON", func() string { return byHand(t, "no JSON", gzipLayer, tarLayer) }, "configuration: invalid character"},
		{"labels that take more when they are written down", func() string {
			config := strings.Replace(configOf(tarLayer), "{", `{"config": {"Labels": {"x": "`+strings.Repeat("<", 7<<20)+`"}}, `, 1)
			return byHand(t, config, gzipLayer, tarLayer)
		}, "labels and environment of the image take "},
		{"a configuration that is an artifact's", func() string { return byHand(t, `{"name": "chart"}`, gzipLayer, tarLayer) }, `configuration: it has 0 layers of type ""`},
		{"a configuration with something behind it", func() string { return byHand(t, configOf(tarLayer)+"{}", gzipLayer, tarLayer) }, "configuration: invalid character '{' after top-level value"},
		{"a layer whose type says that it is compressed", func() string { return byHand(t, configOf([]byte("other")), gzipLayer, tarLayer) }, "expanded it has the digest"},
		{"a layer that is no tar", func() string { return byHand(t, configOf(noTar), gzipLayer, noTar) }, "read tar: archive/tar: invalid tar header"},
		{"garbage behind a compressed layer", func() string {
			layer := append(gzipOf(t, tarLayer), "garbage behind"...)
			return byHand(t, configOf(tarLayer), gzipLayer, layer)
		}, "gzip: invalid header"},
		{"a manifest that is an index as well", func() string {
			config := configOf(tarLayer)
			return imagetest.ByHand(t, []byte(config), tarLayer, fmt.Appendf(nil, `{"config": {"digest": %q, "size": %d}, "layers": [], "manifests": []}`, digest.FromString(config), len(config)))
		}, "manifest: it is an index as well"},
		{"an index of what is no manifest", func() string {
			return imagetest.ByHand(t, tarLayer, fmt.Appendf(nil, `{"manifests": [{"digest": %q, "size": %d}]}`, digest.FromBytes(tarLayer), len(tarLayer)))
		}, "manifest: invalid character"},
		{"a layer that climbs", func() string {
			return imagetest.Layout(t, imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"../x", "out"})))
		}, `entry "../x": its name leads out of the image`},
		{"an absolute link that is written through", func() string {
			return imagetest.Layout(t, imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"a", "-> /tmp"}), imagetest.Tar(t, imagetest.Entry{"a/x", "out"})))
		}, "absolute ones are not followed"},
		{"a zip bomb", func() string {
			return imagetest.Layout(t, imagetest.Image(t, compression.GZip, append(imagetest.Tar(t, imagetest.Entry{"a", "b"}), make([]byte, 5<<20)...)))
		}, "the image expands to more than 2097152 bytes, which is the limit"},
		{"too many entries", func() string {
			var many []imagetest.Entry
			for i := range 101 {
				many = append(many, imagetest.Entry{strings.Repeat("x", i+1), "/"})
			}
			return imagetest.Layout(t, imagetest.Image(t, compression.GZip, imagetest.Tar(t, many...)))
		}, "the image has more than 100 entries"},
		{"a docker archive with a flipped bit", func() string {
			path := imagetest.Saved(t, img, "a:1", layers...)
			change(path, func(b []byte) []byte { return bytes.Replace(b, []byte("two"), []byte("twp"), 1) })
			return path
		}, "what came has the digest sha256:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			above := t.TempDir()
			s, err := Open(filepath.Join(above, "images"), Options{Limits: Limits{Bytes: 2 << 20, Entries: 100}})
			check(t, err)
			_, err = add(t, s, tt.make())
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v\nwant %s", err, tt.says)
			}
			nothing(t, s, above)
		})
	}
}

// gzipLayer is the type of a layer that is said to be compressed.
const gzipLayer = "application/vnd.oci.image.layer.v1.tar+gzip"

// configOf is the configuration of an image with one layer, expanded.
func configOf(layer []byte) string {
	return fmt.Sprintf(`{"rootfs": {"type": "layers", "diff_ids": [%q]}}`, digest.FromBytes(layer))
}

func gzipOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	check(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

// byHand is a layout of an image with one layer.
func byHand(t *testing.T, config, kind string, layer []byte) string {
	t.Helper()
	manifest := fmt.Appendf(nil, `{"config": {"digest": %q, "size": %d}, "layers": [{"mediaType": %q, "digest": %q, "size": %d}]}`,
		digest.FromString(config), len(config), kind, digest.FromBytes(layer), len(layer))
	return imagetest.ByHand(t, []byte(config), layer, manifest)
}

// What a layer's type says of its compression counts for nothing: its content says it.
// What stands behind a tar's end belongs to its digest, and to no file.
func TestTypeOfLayer(t *testing.T) {
	one := imagetest.Tar(t, imagetest.Entry{"a", "b"})
	two := append(bytes.Clone(one), imagetest.Tar(t, imagetest.Entry{"c", "d"})...)
	for name, dir := range map[string]string{
		"plain, said to be compressed": byHand(t, configOf(one), gzipLayer, one),
		"compressed, said to be plain": byHand(t, configOf(one), "application/vnd.oci.image.layer.v1.tar", gzipOf(t, one)),
		"one tar behind another":       byHand(t, configOf(two), gzipLayer, gzipOf(t, two)),
	} {
		s := storeIn(t, Options{})
		e, err := add(t, s, dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := imagetest.Show(t, mustUse(t, s, e.ID).Dir); got != "a = b" {
			t.Errorf("%s: there is\n%s", name, got)
		}
	}
}

// An image with whatever names is what its list says.
func TestOddNames(t *testing.T) {
	s := storeIn(t, Options{})
	var entries []imagetest.Entry
	for _, name := range []string{"a\nb", "\xff\xfe", "\"q\"", "back\\slash", " lead", "trail ", "-rf", "\t", "🙂", "a\u2028b", ".wh", "..."} {
		entries = append(entries, imagetest.Entry{name, "x"}, imagetest.Entry{"d/" + name + "/l", "-> " + name})
	}
	e := mustAdd(t, s, imagetest.Tar(t, entries...))
	if damage, err := s.Verify(context.Background(), e.ID); err != nil || damage != nil || e.Entries != 3*12+2 {
		t.Errorf("%+v, %v, of %d entries", damage, err, e.Entries)
	}
}

// nothing checks that a store has no image, nothing half done, and no neighbours.
func nothing(t *testing.T, s *Store, above string) {
	t.Helper()
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("the store has %+v, %v", all, err)
	}
	for _, folder := range []string{"roots", "work", "incoming", "trash"} {
		if files, err := os.ReadDir(s.in(folder, "")); err != nil || len(files) != 0 {
			t.Errorf("in %s are %v, %v", folder, files, err)
		}
	}
	if files, err := os.ReadDir(above); err != nil || len(files) != 1 {
		t.Errorf("beside the store are %v, %v", files, err)
	}
}

// A million entries of a layer that is some kilobytes long are refused when the bound
// is passed.
func TestMillionEntries(t *testing.T) {
	var some bytes.Buffer
	w := gzip.NewWriter(&some)
	_, err := w.Write(bytes.Repeat(imagetest.Tar(t, imagetest.Entry{"d", "/"})[:512], 10_000))
	check(t, err)
	check(t, w.Close())
	data := bytes.Repeat(some.Bytes(), 100) // one gzip after the other is a gzip
	config := []byte(`{"rootfs": {"type": "layers", "diff_ids": ["` + imagetest.SomeDigest + `"]}}`)
	manifest := fmt.Appendf(nil, `{"config": {"digest": %q, "size": %d}, "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": %q, "size": %d}]}`,
		digest.FromBytes(config), len(config), digest.FromBytes(data), len(data))
	above := t.TempDir()
	s, err := Open(filepath.Join(above, "images"), Options{})
	check(t, err)
	_, err = add(t, s, imagetest.ByHand(t, config, data, manifest))
	if err == nil || !strings.Contains(err.Error(), "the image has more than 500000 entries, which is the limit") {
		t.Errorf("got %v", err)
	}
	nothing(t, s, above)
}

// Credentials come from the docker configuration in each of its forms, else from
// podman's; a registry hears what is said for it alone.
func TestCredentials(t *testing.T) {
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	plain := imagetest.Serve(t)
	imagetest.Push(t, plain+"/a:1", img)
	host, heard := behindPassword(t, plain)
	helpers := t.TempDir()
	for program, body := range map[string]string{
		"mine":  `printf '{"ServerURL": "%s", "Username": "me", "Secret": "secret"}' "$host"`,
		"empty": `echo "credentials not found in native keychain"; exit 1`,
		"dead":  `exit 3`,
	} {
		script := "#!/bin/sh\nread host\necho \"$1 $host\" >> " + helpers + "/asked\n" + body + "\n"
		check(t, os.WriteFile(filepath.Join(helpers, "docker-credential-"+program), []byte(script), 0o755))
	}
	t.Setenv("PATH", helpers+":"+os.Getenv("PATH"))
	const auth = `{"auth": "bWU6c2VjcmV0"}` // me:secret
	for _, tt := range []struct {
		name, docker, podman string
		says                 string // part of the error, "" for none
	}{
		{"nothing", "", "", "401"},
		{"auths", `{"auths": {"` + host + `": ` + auth + `}}`, "", ""},
		{"auths with name and password", `{"auths": {"` + host + `": {"username": "me", "password": "secret"}}}`, "", ""},
		{"auths of another", `{"auths": {"registry.example": ` + auth + `}}`, "", "401"},
		{"a wrong password", `{"auths": {"` + host + `": {"auth": "bWU6d3Jvbmc="}}}`, "", "401"},
		{"credHelpers", `{"credHelpers": {"` + host + `": "mine"}}`, "", ""},
		{"credHelpers before auths", `{"auths": {"` + host + `": {"auth": "bWU6d3Jvbmc="}}, "credHelpers": {"` + host + `": "mine"}}`, "", ""},
		{"credHelpers of another", `{"credHelpers": {"registry.example": "mine"}}`, "", "401"},
		{"credsStore", `{"auths": {"` + host + `": {}}, "credsStore": "mine"}`, "", ""},
		{"credsStore that has nothing", `{"credsStore": "empty"}`, "", "401"},
		{"credsStore that fails", `{"credsStore": "dead"}`, "", "error getting credentials"},
		{"podman's", "", `{"auths": {"` + host + `": ` + auth + `}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_CONFIG", t.TempDir())
			if tt.docker != "" {
				check(t, os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(tt.docker), 0o600))
			}
			if tt.podman != "" {
				t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(t.TempDir(), "auth.json"))
				check(t, os.WriteFile(os.Getenv("REGISTRY_AUTH_FILE"), []byte(tt.podman), 0o600))
			}
			heard.Store(0)
			_, err := add(t, storeIn(t, Options{}), host+"/a@"+imagetest.Digest(t, img).String())
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if strings.HasSuffix(tt.name, "of another") && heard.Load() != 0 {
				t.Error("it heard another's password")
			}
		})
	}
	asked, err := os.ReadFile(filepath.Join(helpers, "asked"))
	check(t, err)
	for line := range strings.Lines(string(asked)) {
		if line := strings.TrimSpace(line); line != "get "+host && line != "get "+host+"/a" {
			t.Errorf("a helper was asked to %s", line)
		}
	}
}

// behindPassword is a registry that lets in who says me and secret; heard counts what
// passwords were said.
func behindPassword(t *testing.T, plain string) (host string, heard *atomic.Int32) {
	t.Helper()
	heard = new(atomic.Int32)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: plain})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, said := r.BasicAuth()
		if said {
			heard.Add(1)
		}
		if user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), heard
}

// A registry that breaks off, or has other bytes under a digest, is refused; what came
// whole is not fetched again.
func TestBadRegistry(t *testing.T) {
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	layers, err := img.Layers()
	check(t, err)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var asked []string
	mode := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			asked = append(asked, path.Base(r.URL.Path))
			if r.URL.Path == "/v2/a/blobs/"+imagetest.Digest(t, layers[1]).String() && mode != "" {
				w = &badWriter{ResponseWriter: w, mode: mode}
			}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	imagetest.Push(t, host+"/a:1", img)
	s := storeIn(t, Options{})
	for _, tt := range []struct{ mode, says string }{{"cut", "unexpected EOF"}, {"changed", "error verifying sha256 checksum"}} {
		mode = tt.mode
		if _, err := add(t, s, host+"/a@"+imagetest.Digest(t, img).String()); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.mode, err)
		}
	}
	mode, asked = "", nil
	e, err := add(t, s, host+"/a@"+imagetest.Digest(t, img).String())
	check(t, err)
	if got := imagetest.Show(t, mustUse(t, s, e.ID).Dir); got != imagetest.WantSome {
		t.Errorf("there is\n%s", got)
	}
	if want := []string{imagetest.Digest(t, layers[1]).String()}; !cmp.Equal(asked, want) {
		t.Errorf("fetched again %q, want %q", asked, want)
	}
}

// A badWriter breaks off in the middle, or changes a byte.
type badWriter struct {
	http.ResponseWriter
	mode string
}

func (b *badWriter) Write(p []byte) (int, error) {
	if b.mode == "cut" {
		_, _ = b.ResponseWriter.Write(p[:len(p)/2])
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	changed := bytes.Clone(p)
	changed[len(p)/2] ^= 1
	return b.ResponseWriter.Write(changed)
}
