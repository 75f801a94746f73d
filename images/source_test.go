package images_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/compression"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/internal/imagetest"
)

const someDigest = imagetest.SomeDigest

// offline are options that ask nobody.
var offline = images.SourceOptions{Engine: "off"}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenErrors(t *testing.T) {
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	other := imagetest.Image(t, compression.GZip, imagetest.Tar(t, imagetest.Entry{"x", "y"}))
	one, two := imagetest.Layout(t, img), imagetest.Layout(t, img, other)
	host := imagetest.Serve(t)
	imagetest.Push(t, host+"/a:1", img)
	cut := imagetest.Archive(t, one)
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
		{host + "/b@" + imagetest.Digest(t, img).String(), true, "registry " + host},
		{"127.0.0.1:1/b@" + someDigest, true, "connection refused"},
		{"docker:debian:12", false, "pin it: crossctl image pin docker:debian:12"},
		{"docker:sha256:12", false, "\"sha256:12\" is not a digest"},
		{"docker://debian:12", false, "leave docker:// out"},
		{someDigest, false, "a digest alone does not say where it is"},
		{"no-such.tar", false, "image in no-such.tar: stat no-such.tar: no such file"},
		{one + "@sha256:12", false, "image in " + one + ": \"sha256:12\" is not a digest"},
		{"docker:debian@" + someDigest, true, "the Docker Engine cannot be asked"},
		{"docker:" + someDigest, true, "the Docker Engine cannot be asked"},
		{"/no/such/file", false, "image in /no/such/file: stat /no/such/file: no such file"},
		{"/dev/null", false, "neither a directory nor a regular file"},
		{none, false, "it is no image: neither index.json (OCI layout) nor manifest.json (docker save) is in there"},
		{fifo, false, "it is no image: "},
		{noTar, false, "read tar: archive/tar: invalid tar header"},
		{cut, false, "the archive is cut off"},
		{one + "@" + someDigest, false, "it has " + imagetest.Digest(t, img).String() + ", and not " + someDigest},
		{two, false, "it has several images: name one by PATH@DIGEST, with one of " + imagetest.Digest(t, img).String()},
		{imagetest.Saved(t, img, "a:1", imagetest.SomeLayers(t)...) + "@" + imagetest.Digest(t, img).String(), false, "it has the images " + imagetest.ID(t, img).String() + " a:1, and not"},
	}
	for _, tt := range tests {
		src, err := images.Open(context.Background(), tt.reference, images.SourceOptions{Engine: "off", Pull: tt.pull})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %+v, %v\nwant %s", tt.reference, src, err, tt.says)
		}
	}
}

// A file whose name could be an image's is one where it ends as archives' do.
func TestFileOrName(t *testing.T) {
	t.Chdir(t.TempDir())
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	d := imagetest.Digest(t, img).String()
	layout := imagetest.Layout(t, img)
	check(t, os.Rename(imagetest.Archive(t, layout), "tools.tar"))
	check(t, os.Rename(layout, "tools"))
	for reference, says := range map[string]string{
		"tools.tar": "", "tools.tar@" + d: "", "./tools@" + d: "", "tools": "",
		"tools.tar@" + someDigest: "image in tools.tar: it has " + d + ", and not",
		"tools@" + d:              "the image is nowhere to be had",
		"none.tar@" + d:           "the image is nowhere to be had",
		"none.tar":                "stat none.tar: no such file",
	} {
		src, err := images.Open(t.Context(), reference, offline)
		if err == nil {
			check(t, src.Close())
		}
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v, want %q", reference, err, says)
		}
	}
}

func TestResolve(t *testing.T) {
	img := imagetest.Image(t, compression.GZip, imagetest.SomeLayers(t)...)
	host := imagetest.Serve(t)
	imagetest.Push(t, host+"/me/tools:1", img)
	imagetest.Push(t, host+"/me/tools:latest", img)
	d, saved := imagetest.Digest(t, img), imagetest.Saved(t, img, "me/tools:1", imagetest.SomeLayers(t)...)
	dir := imagetest.Layout(t, img)
	pull := images.SourceOptions{Engine: "off", Pull: true}
	for _, tt := range []struct{ reference, want, from string }{
		{host + "/me/tools:1", host + "/me/tools@" + d.String(), "registry " + host},
		{host + "/me/tools", host + "/me/tools@" + d.String(), "registry " + host},
		{host + "/me/tools:1@" + someDigest, host + "/me/tools@" + someDigest, ""},
		{dir, "local@" + d.String(), dir},
		{saved, "me/tools@" + imagetest.ID(t, img).String(), saved},
	} {
		pin, from, err := images.Resolve(context.Background(), tt.reference, pull)
		if err != nil || pin.String() != tt.want || from != tt.from {
			t.Errorf("%s: %s from %s, %v", tt.reference, pin, from, err)
		}
	}
	for reference, says := range map[string]string{
		host + "/me/tools:2": "registry " + host, "docker:a:1": "the Docker Engine cannot be asked", "A": "is no name such as", "a@sha256:1": "\"sha256:1\" is not a digest", "https://a/b:1": "leave https:// out", someDigest: "a digest alone", "no-such.tgz": "stat no-such.tgz: no such file", "/no/such": "no such file",
	} {
		if pin, _, err := images.Resolve(context.Background(), reference, pull); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %s, %v", reference, pin, err)
		}
	}
	if _, _, err := images.Resolve(context.Background(), "a:1", offline); err == nil {
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
		_, err := images.Open(ctx, host+"/a@"+someDigest, images.SourceOptions{Engine: "off", Pull: true})
		cancel()
		if err == nil {
			t.Errorf("%s was asked", host)
		}
		if host != "192.168.255.254:5000" && !strings.Contains(err.Error(), "plain http is spoken with this machine only") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// Who has pulled nothing has asked no registry.
func TestNoPull(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(server.Close)
	_, err := images.Open(context.Background(), strings.TrimPrefix(server.URL, "http://")+"/a@"+someDigest, offline)
	if !errors.Is(err, images.ErrNowhere) || asked {
		t.Errorf("asked %v, %v", asked, err)
	}
}
