package images

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Documents of an image that are not what they should be.
func TestManifests(t *testing.T) {
	d := `{"digest": "` + someDigest + `", "size": 5, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}`
	tests := []struct{ manifest, says string }{
		{`x`, "manifest: invalid character"},
		{`{"schemaVersion": 1, "fsLayers": []}`, "Docker's schema 1"},
		{`{"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}`, "Docker's schema 1"},
		{`{}`, `manifest: configuration: "" is not a digest`},
		{`{"config": ` + strings.Replace(d, ": 5", ": 9999999999", 1) + `}`, "has 9999999999 bytes; 8388608 are the limit"},
		{`{"config": ` + strings.Replace(d, ": 5", ": -5", 1) + `}`, "has -5 bytes"},
		{`{"config": ` + d + `, "layers": [` + strings.Replace(d, "sha256", "sha512", 1) + `]}`, "layer 1: \"sha512:"},
		{`{"config": ` + d + `, "layers": [` + d + `,` + strings.Replace(d, ": 5", ": 2000", 1) + `]}`, "layer 2: " + someDigest + " has 2000 bytes; 995 are the limit"},
		{`{"config": ` + d + `, "layers": [` + strings.Replace(d, "gzip", "encrypted", 1) + `]}`, `layer 1 is of type "application/vnd.oci.image.layer.v1.tar+encrypted", which is no layer of files`},
		{`{"config": ` + d + `, "layers": [` + strings.Replace(d, ".image.layer.v1.tar+gzip", ".empty.v1+json", 1) + `]}`, "which is no layer of files"},
		{`{"config": ` + d + `, "layers": [` + strings.TrimSuffix(strings.Repeat(d+",", 257), ",") + `]}`, "257 layers; 256 are the limit"},
		{`{"manifests": [], "layers": []}`, "it is an index as well"},
		{`{"manifests": [], "config": ` + d + `}`, "it is an index as well"},
		{`{"config": ` + d + `, "layers": {}}`, "manifest: json: cannot unmarshal object"},
		{`{"config": ` + d + `, "layers": [` + strings.Replace(d, ".image.layer.v1.tar+gzip", ".image.manifest.v1+json", 1) + `]}`, "which is no layer of files"},
		{`[]`, "manifest: json: cannot unmarshal array"},
		{`{} {}`, "manifest: invalid character '{' after top-level value"},
		{`{"manifests": [{"digest": "../x", "size": 3}]}`, `index: "../x" is not a digest`},
	}
	for _, tt := range tests {
		_, _, err := parseIndex([]byte(tt.manifest))
		if err == nil {
			_, err = parseManifest([]byte(tt.manifest), 1000)
		}
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.100s: %v\nwant %s", tt.manifest, err, tt.says)
		}
	}
	for _, text := range []string{`x`, `{}`, `{"rootfs": {"type": "layers", "diff_ids": ["sha256:x"]}}`, `{"rootfs": {"type": "other", "diff_ids": ["` + someDigest + `"]}}`} {
		im := image{layers: make([]Layer, 1)}
		if err := im.configure([]byte(text)); err == nil {
			t.Errorf("configuration %s is taken", text)
		}
	}
	for _, kind := range []types.MediaType{types.DockerLayer, types.DockerUncompressedLayer, types.DockerForeignLayer, types.OCILayer, types.OCIUncompressedLayer, types.OCILayerZStd, types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer} {
		if !layerType(string(kind)) {
			t.Errorf("%s is no layer", kind)
		}
	}
}
