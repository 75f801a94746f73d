package fleet

import (
	"errors"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

// A job that an image defines goes where the image is ready, whatever else is there.
func TestImaged(t *testing.T) {
	tc := gcc12()
	tc.Image = "tools@sha256:a"
	host := newPeer(1, good("host"), gcc12())
	has := newPeer(1, good("has"), gcc12(), tc)
	has.state.Images = []broker.ImageState{{Name: "tools@sha256:a", Phase: broker.ImageReady, Digests: "sha256:a sha256:id"}}
	failed := newPeer(1, good("failed"))
	failed.state.Images = []broker.ImageState{{Name: "tools@sha256:a", Phase: broker.ImageFailed, Detail: "no room"}}
	f, hosts := fleetOf(t, map[string]*peer{"host:1": host, "has:1": has, "failed:1": failed})
	for _, digest := range []string{"sha256:a", "sha256:id"} {
		list, err := f.Imaged(t.Context(), hosts("grpc://host:1 grpc://has:1 grpc://failed:1"), digest, "")
		if err != nil || len(list) != 1 || list[0].Address != "has:1" || len(list[0].Toolchains) != 1 || list[0].Toolchains[0].Image != tc.Image {
			t.Errorf("%s: %+v, %v", digest, list, err)
		}
	}
	for list, want := range map[string]string{
		"grpc://host:1 grpc://failed:1": "helper host:1 does not have the image sha256:a; helper failed:1 has the image tools@sha256:a: failed no room",
		"grpc://gone:1":                 "helper gone:1 is down: connection refused",
		"":                              "the host list names no helper",
	} {
		_, err := f.Imaged(t.Context(), hosts(list), "sha256:a", "")
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || !strings.Contains(r.Text, want) {
			t.Errorf("%q: %v, want %q", list, err, want)
		}
	}
}

// The digest of an index is on each helper that of its machine's image. Who has begun
// with one of them gets no helper that has the other.
func TestImagedByIndex(t *testing.T) {
	helper := func(name, machine, digests string) *peer {
		tc := gcc12()
		tc.Image = "tools@sha256:index"
		p := newPeer(1, good(name), tc)
		p.state.Machine, p.state.Images = machine, []broker.ImageState{{Name: tc.Image, Phase: broker.ImageReady, Digests: digests}}
		return p
	}
	f, hosts := fleetOf(t, map[string]*peer{
		"amd:1": helper("amd", "amd64", "sha256:amd sha256:amdmanifest sha256:index"),
		"arm:1": helper("arm", "arm64", "sha256:arm sha256:armmanifest sha256:index"),
	})
	for _, tt := range []struct{ digest, id, want string }{
		{"sha256:index", "", "amd:1 amd64 sha256:amd, arm:1 arm64 sha256:arm"},
		{"sha256:index", "sha256:arm", "arm:1 arm64 sha256:arm"},
		{"sha256:index", "sha256:amd", "amd:1 amd64 sha256:amd"},
		{"sha256:amdmanifest", "", "amd:1 amd64 sha256:amd"},
		{"sha256:amd", "sha256:amd", "amd:1 amd64 sha256:amd"},
	} {
		list, err := f.Imaged(t.Context(), hosts("grpc://amd:1 grpc://arm:1"), tt.digest, tt.id)
		var got []string
		for _, i := range list {
			got = append(got, i.Address+" "+i.Machine+" "+i.Image)
		}
		if text := strings.Join(got, ", "); err != nil || text != tt.want {
			t.Errorf("%s, %s: %s, %v; want %s", tt.digest, tt.id, text, err, tt.want)
		}
	}
	_, err := f.Imaged(t.Context(), hosts("grpc://arm:1"), "sha256:index", "sha256:amd")
	if err == nil || !strings.Contains(err.Error(), "helper arm:1 has another image for sha256:index, sha256:arm, and builds here began with sha256:amd: pin one of the two") {
		t.Errorf("got %v", err)
	}
}

// One image by two names, of rows that serve a target each, has the compilers of both.
func TestImagedByTwoNames(t *testing.T) {
	one, two := gcc12(), gcc12()
	one.Image, two.Image, two.Target = "tools@sha256:index", "tools@sha256:manifest", "aarch64-linux-gnu"
	p := newPeer(1, good("has"), one, two)
	for _, name := range []string{one.Image, two.Image} {
		p.state.Images = append(p.state.Images, broker.ImageState{Name: name, Phase: broker.ImageReady, Digests: "sha256:id sha256:index sha256:manifest"})
	}
	f, hosts := fleetOf(t, map[string]*peer{"has:1": p})
	for _, digest := range []string{"sha256:index", "sha256:manifest", "sha256:id"} {
		if list, err := f.Imaged(t.Context(), hosts("grpc://has:1"), digest, ""); err != nil || len(list) != 1 || len(list[0].Toolchains) != 2 || list[0].Image != "sha256:id" {
			t.Errorf("%s: %+v, %v", digest, list, err)
		}
	}
}
