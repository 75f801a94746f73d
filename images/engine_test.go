package images_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/compression"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/internal/imagetest"
)

// An Engine can have another platform's image under the digest of an index. That is not
// what the pin means here; by its ID it can be had.
func TestEnginePlatform(t *testing.T) {
	layers := imagetest.SomeLayers(t)
	img := imagetest.Image(t, compression.GZip, layers...)
	id := imagetest.ID(t, img).String()
	saved, err := os.ReadFile(imagetest.Saved(t, img, "me/tools:1", layers...))
	check(t, err)
	arch := ""
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/images/get"):
			_, _ = w.Write(saved)
		case strings.HasSuffix(r.URL.Path, "/json"):
			_, _ = fmt.Fprintf(w, `{"Id": %q, "Os": "linux", "Architecture": %q}`, id, arch)
		}
	}))
	t.Cleanup(engine.Close)
	o := images.SourceOptions{Engine: "tcp://" + engine.Listener.Addr().String(), Temp: t.TempDir()}
	for _, tt := range []struct{ arch, reference, says string }{
		{runtime.GOARCH, "docker:me/tools@" + someDigest, ""},
		{runtime.GOARCH, "me/tools@" + someDigest, ""},
		{"other", "docker:" + id, ""},
		{"other", "me/tools@" + id, ""},
		{"other", "docker:me/tools@" + someDigest, "has as me/tools@" + someDigest + " is for linux/other, and this machine is linux/" + runtime.GOARCH +
			": docker pull --platform linux/" + runtime.GOARCH + " me/tools@" + someDigest + ", or name it by its ID, " + id},
		{"other", "me/tools@" + someDigest, "is for linux/other"},
	} {
		arch = tt.arch
		src, err := images.Open(t.Context(), tt.reference, o)
		if err == nil {
			check(t, src.Close())
		}
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s of %s: %v, want %q", tt.reference, tt.arch, err, tt.says)
		}
	}
}
