package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
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
)

// The same image is the same directory, wherever it comes from.
func TestSources(t *testing.T) {
	layers := someLayers(t)
	layers = append(layers, layers[1]) // docker archives have such a one once
	img := imageOf(t, compression.GZip, layers...)
	id, manifest := idOf(t, img), digestOf(t, img)
	host := serve(t)
	push(t, host+"/me/tools:1", img)

	ggcr := filepath.Join(t.TempDir(), "ggcr.tar")
	tag, err := name.NewTag("me/tools:1")
	check(t, err)
	check(t, tarball.WriteToFile(ggcr, tag, img))
	saved := savedOf(t, img, "me/tools:1", layers...)
	data, err := os.ReadFile(saved)
	check(t, err)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err = w.Write(data)
	check(t, err)
	check(t, w.Close())
	zipped := filepath.Join(t.TempDir(), "saved.tar.gz")
	check(t, os.WriteFile(zipped, z.Bytes(), 0o644))
	dir := layoutOf(t, img)
	two := layoutOf(t, img, imageOf(t, compression.GZip, tarOf(t, entry{"x", "y"})))
	plain, zstd := imageOf(t, compression.None, layers...), imageOf(t, compression.ZStd, layers...)

	tests := []struct {
		name, reference string
		digests         []digest.Digest
		names           []string
	}{
		{"layout", dir, []digest.Digest{manifest, id}, nil},
		{"layout, its manifest", dir + "@" + manifest.String(), []digest.Digest{manifest, id}, nil},
		{"layout, its ID", dir + "@" + id.String(), []digest.Digest{id, manifest}, nil},
		{"layout of two", two + "@" + id.String(), []digest.Digest{id, manifest}, nil},
		{"plain layers", layoutOf(t, plain), []digest.Digest{digestOf(t, plain), id}, nil},
		{"zstd layers", layoutOf(t, zstd), []digest.Digest{digestOf(t, zstd), id}, nil},
		{"archive", archiveOf(t, dir), []digest.Digest{manifest, id}, nil},
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
			if e.ID != id || !cmp.Equal(e.Digests, tt.digests) || !cmp.Equal(e.Names, tt.names) || e.Platform != "linux/"+runtime.GOARCH ||
				e.Labels["who"] != "me" || len(e.Env) != 2 || e.Layers != 3 || !e.Unpacked || e.Entries != 8 || e.Size < 1 || e.Packed < 1 {
				t.Errorf("entry %+v", e)
			}
			for _, d := range tt.digests {
				r := mustUse(t, s, d)
				if got := show(t, r.Dir); got != wantSome || r.Digest != id || r.Labels["who"] != "me" {
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
	img := imageOf(t, compression.GZip, someLayers(t)...)
	index := indexOf(t, map[string]v1.Image{
		"linux/s390x":             imageOf(t, compression.GZip, tarOf(t, entry{"s390x", ""})),
		"linux/" + runtime.GOARCH: img,
		"unknown/unknown":         imageOf(t, compression.GZip, tarOf(t, entry{"attestation", ""})),
	})
	host := serve(t)
	ref, err := name.ParseReference(host + "/multi:1")
	check(t, err)
	check(t, remote.WriteIndex(ref, index))
	dir := layoutOf(t, index)
	top, manifest, id := digestOf(t, index), digestOf(t, img), idOf(t, img)
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
		if err != nil || e.ID != id || !cmp.Equal(e.Digests, tt.digests) {
			t.Errorf("%s: %+v, %v", tt.reference, e.Digests, err)
		}
	}
	// One and the same image has then all its digests and names.
	s := storeIn(t, Options{})
	for _, reference := range []string{dir + "@" + manifest.String(), host + "/multi@" + top.String()} {
		if _, err := add(t, s, reference); err != nil {
			t.Error(err)
		}
	}
	if all, err := s.List(); err != nil || len(all) != 1 || !cmp.Equal(all[0].Digests, []digest.Digest{manifest, id, top}) || !cmp.Equal(all[0].Names, []string{host + "/multi"}) {
		t.Errorf("%+v, %v", all, err)
	}
	// No image for this machine.
	foreign := layoutOf(t, indexOf(t, map[string]v1.Image{"linux/s390x": img, "windows/" + runtime.GOARCH: img}))
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

func TestOpenErrors(t *testing.T) {
	img := imageOf(t, compression.GZip, someLayers(t)...)
	other := imageOf(t, compression.GZip, tarOf(t, entry{"x", "y"}))
	one, two := layoutOf(t, img), layoutOf(t, img, other)
	host := serve(t)
	push(t, host+"/a:1", img)
	cut := archiveOf(t, one)
	check(t, os.Truncate(cut, 3000))
	fifo, none := filepath.Join(t.TempDir(), "none"), t.TempDir()
	check(t, os.WriteFile(fifo, nil, 0o644))
	noTar := filepath.Join(t.TempDir(), "x")
	check(t, os.WriteFile(noTar, bytes.Repeat([]byte("x"), 5000), 0o644))
	tests := []struct {
		reference string
		pull      bool
		says      string
	}{
		{"debian:12", true, "pin it: crossctl image pin debian:12"},
		{"debian@" + someDigest, false, "image debian@" + someDigest + ": the image is nowhere to be had"},
		{host + "/a@" + someDigest, true, "registry " + host},
		{host + "/b@" + digestOf(t, img).String(), true, "registry " + host},
		{"127.0.0.1:1/b@" + someDigest, true, "connection refused"},
		{"docker:debian:12", false, "pin it: crossctl image pin debian:12"},
		{"docker:debian@" + someDigest, true, "the Docker Engine cannot be asked"},
		{"docker:" + someDigest, true, "the Docker Engine cannot be asked"},
		{"/no/such/file", false, "image in /no/such/file: stat /no/such/file: no such file"},
		{"/dev/null", false, "neither a directory nor a regular file"},
		{none, false, "it is no image: neither index.json (OCI layout) nor manifest.json (docker save) is in there"},
		{fifo, false, "it is no image: "},
		{noTar, false, "read tar: archive/tar: invalid tar header"},
		{cut, false, "the archive is cut off"},
		{one + "@" + someDigest, false, "it has " + digestOf(t, img).String() + ", and not " + someDigest},
		{two, false, "it has several images: name one by PATH@DIGEST, with one of " + digestOf(t, img).String()},
		{savedOf(t, img, "a:1", someLayers(t)...) + "@" + digestOf(t, img).String(), false, "it has the images " + idOf(t, img).String() + ", and not"},
	}
	for _, tt := range tests {
		src, err := Open(context.Background(), tt.reference, SourceOptions{Engine: "off", Pull: tt.pull})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %+v, %v\nwant %s", tt.reference, src, err, tt.says)
		}
	}
}

// An archive that was made to be wrong is refused, with the reason, and an image
// that was cut or changed on its way.
func TestRefused(t *testing.T) {
	layers := someLayers(t)
	img := imageOf(t, compression.GZip, layers...)
	blobs, err := img.Layers()
	check(t, err)
	layerFile := func(dir string, i int) string {
		return filepath.Join(dir, "blobs/sha256", digestOf(t, blobs[i]).Encoded())
	}
	change := func(path string, f func([]byte) []byte) {
		data, err := os.ReadFile(path)
		check(t, err)
		check(t, os.WriteFile(path, f(data), 0o644))
	}
	tests := []struct {
		name string
		make func() string
		says string
	}{
		{"a flipped bit in a layer", func() string {
			dir := layoutOf(t, img)
			change(layerFile(dir, 1), func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
			return dir
		}, "layer 2 of 2: blob " + digestOf(t, blobs[1]).String() + ": what came has the digest sha256:"},
		{"a layer that is cut off", func() string {
			dir := layoutOf(t, img)
			change(layerFile(dir, 0), func(b []byte) []byte { return b[:len(b)-1] })
			return dir
		}, "it is cut off"},
		{"a layer with more behind it", func() string {
			dir := layoutOf(t, img)
			change(layerFile(dir, 0), func(b []byte) []byte { return append(b, 'x') })
			return dir
		}, "it has more than the "},
		{"a layer that is not there", func() string {
			dir := layoutOf(t, img)
			check(t, os.Remove(layerFile(dir, 0)))
			return dir
		}, "it is not in there"},
		{"a manifest that was changed", func() string {
			dir := layoutOf(t, img)
			change(filepath.Join(dir, "blobs/sha256", digestOf(t, img).Encoded()), func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
			return dir
		}, "blob " + digestOf(t, img).String() + ": what came has the digest"},
		{"a diff id that is another's", func() string {
			config, err := img.ConfigFile()
			check(t, err)
			config = config.DeepCopy()
			config.RootFS.DiffIDs[0] = config.RootFS.DiffIDs[1]
			bad, err := mutate.ConfigFile(img, config)
			check(t, err)
			return layoutOf(t, bad)
		}, "layer 1 of 2, " + digestOf(t, blobs[0]).String() + ": expanded it has the digest"},
		{"fewer diff ids", func() string {
			config, err := img.ConfigFile()
			check(t, err)
			config = config.DeepCopy()
			config.RootFS.DiffIDs = config.RootFS.DiffIDs[:1]
			bad, err := mutate.ConfigFile(img, config)
			check(t, err)
			return layoutOf(t, bad)
		}, "it has 1 layers of type \"layers\", and the manifest 2"},
		{"a layer that climbs", func() string {
			return layoutOf(t, imageOf(t, compression.GZip, tarOf(t, entry{"../x", "out"})))
		}, `entry "../x": its name leads out of the image`},
		{"an absolute link that is written through", func() string {
			return layoutOf(t, imageOf(t, compression.GZip, tarOf(t, entry{"a", "-> /tmp"}), tarOf(t, entry{"a/x", "out"})))
		}, "absolute ones are not followed"},
		{"a zip bomb", func() string {
			return layoutOf(t, imageOf(t, compression.GZip, append(tarOf(t, entry{"a", "b"}), make([]byte, 5<<20)...)))
		}, "the image expands to more than 2097152 bytes, which is the limit"},
		{"too many entries", func() string {
			var many []entry
			for i := range 101 {
				many = append(many, entry{strings.Repeat("x", i+1), "/"})
			}
			return layoutOf(t, imageOf(t, compression.GZip, tarOf(t, many...)))
		}, "the image has more than 100 entries"},
		{"a docker archive with a flipped bit", func() string {
			path := savedOf(t, img, "a:1", layers...)
			change(path, func(b []byte) []byte { return bytes.Replace(b, []byte("two"), []byte("twp"), 1) })
			return path
		}, "what came has the digest sha256:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			above := t.TempDir()
			s, err := OpenStore(filepath.Join(above, "images"), Options{Limits: Limits{Bytes: 2 << 20, Entries: 100}})
			check(t, err)
			_, err = add(t, s, tt.make())
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v\nwant %s", err, tt.says)
			}
			nothing(t, s, above)
		})
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
	_, err := w.Write(bytes.Repeat(tarOf(t, entry{"d", "/"})[:512], 10_000))
	check(t, err)
	check(t, w.Close())
	data := bytes.Repeat(some.Bytes(), 100) // one gzip after the other is a gzip
	config := []byte(`{"rootfs": {"type": "layers", "diff_ids": ["` + someDigest + `"]}}`)
	manifest := fmt.Appendf(nil, `{"config": {"digest": %q, "size": %d}, "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": %q, "size": %d}]}`,
		digest.FromBytes(config), len(config), digest.FromBytes(data), len(data))
	blobs := map[digest.Digest][]byte{}
	for _, b := range [][]byte{config, manifest, data} {
		blobs[digest.FromBytes(b)] = b
	}
	above := t.TempDir()
	s, err := OpenStore(filepath.Join(above, "images"), Options{})
	check(t, err)
	_, err = s.Add(context.Background(), sourceOf(blobs, manifest), nil)
	if err == nil || !strings.Contains(err.Error(), "the image has more than 500000 entries, which is the limit") {
		t.Errorf("got %v", err)
	}
	nothing(t, s, above)
}

func TestResolve(t *testing.T) {
	img := imageOf(t, compression.GZip, someLayers(t)...)
	host := serve(t)
	push(t, host+"/me/tools:1", img)
	push(t, host+"/me/tools:latest", img)
	d, saved := digestOf(t, img), savedOf(t, img, "me/tools:1", someLayers(t)...)
	dir := layoutOf(t, img)
	pull := SourceOptions{Engine: "off", Pull: true}
	for _, tt := range []struct{ reference, want, from string }{
		{host + "/me/tools:1", host + "/me/tools@" + d.String(), "registry " + host},
		{host + "/me/tools", host + "/me/tools@" + d.String(), "registry " + host},
		{host + "/me/tools:1@" + someDigest, host + "/me/tools@" + someDigest, ""},
		{dir, "local@" + d.String(), dir},
		{saved, "me/tools@" + idOf(t, img).String(), saved},
	} {
		pin, from, err := Resolve(context.Background(), tt.reference, pull)
		if err != nil || pin.String() != tt.want || from != tt.from {
			t.Errorf("%s: %s from %s, %v", tt.reference, pin, from, err)
		}
	}
	for reference, says := range map[string]string{
		host + "/me/tools:2": "registry " + host, "docker:a:1": "the Docker Engine cannot be asked", "A": "is no name such as", "/no/such": "no such file",
	} {
		if pin, _, err := Resolve(context.Background(), reference, pull); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %s, %v", reference, pin, err)
		}
	}
	if _, _, err := Resolve(context.Background(), "a:1", offline); err == nil {
		t.Error("a tag was resolved by nobody")
	}
}

// A registry on another machine has to have TLS, redirections and all.
func TestPlainHTTP(t *testing.T) {
	away := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/v2/", http.StatusTemporaryRedirect))
	t.Cleanup(away.Close)
	for _, host := range []string{"192.168.255.254:5000", strings.TrimPrefix(away.URL, "http://")} {
		ctx, cancel := context.WithCancel(context.Background())
		if host == "192.168.255.254:5000" {
			cancel() // nobody is asked at all
		}
		_, err := Open(ctx, host+"/a@"+someDigest, SourceOptions{Engine: "off", Pull: true})
		cancel()
		if err == nil {
			t.Errorf("%s was asked", host)
		}
		if host != "192.168.255.254:5000" && !strings.Contains(err.Error(), "plain http is spoken with this machine only") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// Credentials come from the docker configuration.
func TestCredentials(t *testing.T) {
	img := imageOf(t, compression.GZip, someLayers(t)...)
	plain := serve(t)
	push(t, plain+"/a:1", img)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.RequestURI = ""
		r.URL.Scheme, r.URL.Host = "http", plain
		r.Header.Del("Authorization")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		var b bytes.Buffer
		_, _ = b.ReadFrom(resp.Body)
		_, _ = w.Write(b.Bytes())
	}))
	t.Cleanup(behind.Close)
	host := strings.TrimPrefix(behind.URL, "http://")
	s := storeIn(t, Options{})
	if _, err := add(t, s, host+"/a@"+digestOf(t, img).String()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a password: %v", err)
	}
	config := `{"auths": {"` + host + `": {"auth": "bWU6c2VjcmV0"}}}`
	check(t, os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600))
	if _, err := add(t, s, host+"/a@"+digestOf(t, img).String()); err != nil {
		t.Errorf("with the password: %v", err)
	}
}

// A registry that breaks off, or has other bytes under a digest, is refused; what came
// whole is not fetched again.
func TestBadRegistry(t *testing.T) {
	img := imageOf(t, compression.GZip, someLayers(t)...)
	layers, err := img.Layers()
	check(t, err)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var asked []string
	mode := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			asked = append(asked, path.Base(r.URL.Path))
			if r.URL.Path == "/v2/a/blobs/"+digestOf(t, layers[1]).String() && mode != "" {
				w = &badWriter{ResponseWriter: w, mode: mode}
			}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	push(t, host+"/a:1", img)
	s := storeIn(t, Options{})
	for _, tt := range []struct{ mode, says string }{{"cut", "unexpected EOF"}, {"changed", "error verifying sha256 checksum"}} {
		mode = tt.mode
		if _, err := add(t, s, host+"/a@"+digestOf(t, img).String()); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.mode, err)
		}
	}
	mode, asked = "", nil
	e, err := add(t, s, host+"/a@"+digestOf(t, img).String())
	check(t, err)
	if got := show(t, mustUse(t, s, e.ID).Dir); got != wantSome {
		t.Errorf("there is\n%s", got)
	}
	if want := []string{digestOf(t, layers[1]).String()}; !cmp.Equal(asked, want) {
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

// Who has pulled nothing has asked no registry.
func TestNoPull(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(server.Close)
	_, err := Open(context.Background(), strings.TrimPrefix(server.URL, "http://")+"/a@"+someDigest, offline)
	if !errors.Is(err, ErrNowhere) || asked {
		t.Errorf("asked %v, %v", asked, err)
	}
}
