package fleet

import (
	"context"
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
		list, err := f.Imaged(t.Context(), hosts("grpc://host:1 grpc://has:1 grpc://failed:1"), Meaning{Digest: digest, Machine: "s390x"})
		if err != nil || len(list) != 1 || list[0].Address != "has:1" || len(list[0].Toolchains) != 1 || list[0].Toolchains[0].Image != tc.Image {
			t.Errorf("%s: %+v, %v", digest, list, err)
		}
	}
	for list, want := range map[string]string{
		"grpc://host:1 grpc://failed:1": "helper host:1 does not have the image sha256:a; helper failed:1 has the image tools@sha256:a: failed no room",
		"grpc://gone:1":                 "helper gone:1 is down: connection refused",
		"":                              "the host list names no helper",
	} {
		_, err := f.Imaged(t.Context(), hosts(list), Meaning{Digest: "sha256:a"})
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || !strings.Contains(r.Text, want) {
			t.Errorf("%q: %v, want %q", list, err, want)
		}
	}
}

// A job of an image's waits for the one helper that has it where that is left out for a moment, and not for long.
func TestImagedLeftOut(t *testing.T) {
	tc := gcc12()
	tc.Image = "tools@sha256:a"
	p := newPeer(1, func(context.Context, *broker.Job) (broker.Result, error) {
		return broker.Result{}, errors.New("killed")
	}, tc)
	p.state.Images = []broker.ImageState{{Name: tc.Image, Phase: broker.ImageReady, Digests: "sha256:a sha256:id"}}
	f, hosts := fleetOf(t, map[string]*peer{"has:1": p})
	list, err := f.Imaged(t.Context(), hosts("grpc://has:1"), Meaning{Digest: "sha256:a"})
	if err != nil {
		t.Fatal(err)
	}
	id := list[0].Image
	if _, _, err := f.Run(t.Context(), []Prospect{list[0].Prospect}, &broker.Job{}, anyResult); err == nil {
		t.Fatal("the job was done")
	}
	if list, err = f.Imaged(t.Context(), hosts("grpc://has:1"), Meaning{Digest: "sha256:a", ID: id}); err != nil || len(list) != 1 {
		t.Errorf("left out for a second: %+v, %v", list, err)
	}
	f.mu.Lock()
	f.members["has:1"].leaveOut = f.o.Now().Add(maxBackoff)
	f.mu.Unlock()
	if list, err = f.Imaged(t.Context(), hosts("grpc://has:1"), Meaning{Digest: "sha256:a", ID: id}); err == nil || !strings.Contains(err.Error(), "is left out") {
		t.Errorf("left out for a minute: %+v, %v", list, err)
	}
}

// The digest of an index is on each helper that of its machine's image. It means the
// client's, whichever helpers there are: who has another says how to pin that, and serves
// what has a digest of its own to clients of every kind.
func TestImagedByIndex(t *testing.T) {
	helper := func(name, machine, digests string) *peer {
		tc := gcc12()
		tc.Image = "tools@sha256:index"
		p := newPeer(1, good(name), tc)
		p.state.Machine, p.state.Images = machine, []broker.ImageState{{Name: tc.Image, Phase: broker.ImageReady, Digests: digests, Shared: "sha256:index"}}
		return p
	}
	f, hosts := fleetOf(t, map[string]*peer{
		"amd:1": helper("amd", "amd64", "sha256:amd sha256:amdmanifest sha256:index"),
		"arm:1": helper("arm", "arm64", "sha256:arm sha256:armmanifest sha256:index"),
		"ram:1": helper("ram", "arm64", "sha256:ram sha256:rammanifest sha256:index"),
	})
	const all, arms = "grpc://amd:1 grpc://arm:1 grpc://ram:1", "grpc://arm:1 grpc://ram:1"
	for _, tt := range []struct {
		hosts, want string
		Meaning
	}{
		{all, "amd:1 sha256:amd", Meaning{Digest: "sha256:index", Machine: "amd64"}},
		{all, "arm:1 sha256:arm, ram:1 sha256:ram", Meaning{Digest: "sha256:index", Machine: "arm64"}},
		{all, "ram:1 sha256:ram", Meaning{Digest: "sha256:index", Machine: "arm64", ID: "sha256:ram"}},
		{all, "amd:1 sha256:amd", Meaning{Digest: "sha256:amdmanifest", Machine: "arm64"}},
		{arms, "arm:1 sha256:arm", Meaning{Digest: "sha256:arm", Machine: "amd64", ID: "sha256:arm"}},
		{arms, "error: helper arm:1 has by the digest of the pin the image for arm64 machines, and here that of amd64 machines is meant: for the other pin sha256:arm; ",
			Meaning{Digest: "sha256:index", Machine: "amd64"}},
		{all, "error: helper amd:1 has by the digest of the pin the image for amd64 machines, and here that of riscv64 machines is meant: for the other pin sha256:amd; ",
			Meaning{Digest: "sha256:index", Machine: "riscv64"}},
		{"grpc://arm:1", "error: helper arm:1 has another image for sha256:index, sha256:arm, and builds here began with sha256:ram: pin one of the two",
			Meaning{Digest: "sha256:index", Machine: "arm64", ID: "sha256:ram"}},
	} {
		list, err := f.Imaged(t.Context(), hosts(tt.hosts), tt.Meaning)
		var got []string
		for _, i := range list {
			got = append(got, i.Address+" "+i.Image)
		}
		text := strings.Join(got, ", ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if wrong := strings.HasPrefix(tt.want, "error: "); text != tt.want && !(wrong && strings.HasPrefix(text, tt.want)) {
			t.Errorf("%s, %+v: %s; want %s", tt.hosts, tt.Meaning, text, tt.want)
		}
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
		if list, err := f.Imaged(t.Context(), hosts("grpc://has:1"), Meaning{Digest: digest}); err != nil || len(list) != 1 || len(list[0].Toolchains) != 2 || list[0].Image != "sha256:id" {
			t.Errorf("%s: %+v, %v", digest, list, err)
		}
	}
}
