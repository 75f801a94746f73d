package imagestore

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/compression"

	"github.com/crosscc/crosscc/e2e/dockerd"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/internal/imagetest"
)

// A real Docker Engine: what was loaded into it is found by its ID, what it pulled by
// the digest of its registry, and either is the image that was made.
func TestDockerEngine(t *testing.T) {
	d, err := dockerd.Start(t.Context())
	if errors.Is(err, dockerd.ErrNone) {
		t.Skipf("NOT TESTED: %v", err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, d.Stop()) })
	layers := imagetest.SomeLayers(t)
	img := imagetest.Image(t, compression.GZip, layers...)
	host := imagetest.Serve(t)
	imagetest.Push(t, host+"/me/tools:1", img)
	load := exec.Command("/usr/bin/docker", "load", "--input", imagetest.Saved(t, img, "me/loaded:1", layers...))
	load.Env = []string{"DOCKER_HOST=" + d.Host(), "HOME=" + t.TempDir()}
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", load, err, out)
	}
	id, manifest := imagetest.ID(t, img), imagetest.Digest(t, img)
	local := images.SourceOptions{Engine: d.Host(), Temp: t.TempDir()}
	pull := local
	pull.Pull = true
	for _, tt := range []struct {
		name, reference string
		o               images.SourceOptions
	}{
		{"ID", "docker:" + id.String(), local},
		{"name and ID", "me/loaded@" + id.String(), local},
		{"the Engine pulls", "docker:" + host + "/me/tools@" + manifest.String(), pull},
		{"repository digest", "docker:" + host + "/me/tools@" + manifest.String(), local},
		{"the Engine before the registry", host + "/me/tools@" + manifest.String(), pull},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := storeIn(t, Options{})
			src, err := images.Open(t.Context(), tt.reference, tt.o)
			check(t, err)
			defer func() { check(t, src.Close()) }()
			e, err := s.Add(t.Context(), src, nil)
			check(t, err)
			if e.ID != id || src.From != "Docker Engine" || e.Labels["who"] != "me" {
				t.Errorf("from %s: %+v", src.From, e)
			}
			if got := imagetest.Show(t, mustUse(t, s, id).Dir); got != imagetest.WantSome {
				t.Errorf("it has\n%s", got)
			}
			damage, err := s.Verify(context.Background(), id)
			if err != nil || damage != nil {
				t.Errorf("verify says %v, %v", damage, err)
			}
		})
	}
	for reference, want := range map[string]string{
		"docker:me/loaded:1":              "me/loaded@" + id.String(),
		"docker:" + host + "/me/tools":    "", // pulled by digest, it has no tag
		"docker:" + host + "/me/absent:1": "",
	} {
		pin, _, err := images.Resolve(t.Context(), reference, local)
		if (err == nil) != (want != "") || err == nil && pin.String() != want {
			t.Errorf("%s: %s, %v", reference, pin, err)
		}
	}
	absent := strings.Repeat("0", 64)
	for _, reference := range []string{"docker:sha256:" + absent, host + "/me/tools@sha256:" + absent} {
		if _, err := images.Open(t.Context(), reference, local); !errors.Is(err, images.ErrNowhere) {
			t.Errorf("%s: %v", reference, err)
		}
	}
}
