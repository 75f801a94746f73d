package states

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/toolchains"
)

// full is a state that has something in every field that is told.
func full() broker.State {
	return broker.State{
		Version: "1", Sandbox: "bwrap", Slots: 2, Running: 1, Queued: 3, Draining: true, Machine: "arm64", Packs: true,
		Images: []broker.ImageState{{Name: "tools@sha256:1", Phase: broker.ImageFetching, Detail: "half", Toolchains: 2, Digests: "sha256:1 sha256:2", Shared: "sha256:2"}},
		Toolchains: []toolchains.Toolchain{{
			Identity: toolchains.Identity{
				Family: argv.Clang, Target: "x86_64-linux-gnu", Version: "14.0.6", Package: "Debian 14.0.6-12",
				Assembler: "GNU assembler 2.40", Defaults: "ab", Libm: "cd",
			},
			Fingerprint: toolchains.Fingerprint{"driver": "1"}, Path: "/usr/bin/clang", CXXPath: "/usr/bin/clang++",
			Languages: []argv.Language{argv.C, argv.CXX}, Targets: []string{"aarch64"},
			Unasked: toolchains.Unasked{C: []string{"-c1"}, CXX: []string{"-c2"}, Knobs: []string{"-k 1"}, Rest: "ef"},
			Derived: []string{"-m32"}, Image: "tools@sha256:1",
		}},
	}
}

// filled reports the fields of a struct, and of those in it, that have nothing.
func filled(t *testing.T, v reflect.Value, but ...string) {
	t.Helper()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.IsZero() != slices.Contains(but, name) {
			t.Errorf("%s.%s: empty %t: say what becomes of it", v.Type(), name, f.IsZero())
		}
		if f.Kind() == reflect.Slice && f.Len() > 0 {
			f = f.Index(0)
		}
		if f.Kind() == reflect.Struct {
			filled(t, f, but...)
		}
	}
}

// All of a state comes over the wire, but what is another peer's and where a helper's
// programs lie.
func TestStateComesWhole(t *testing.T) {
	want := full()
	filled(t, reflect.ValueOf(want), "Peers", "Programs")
	data, err := proto.Marshal(Message(want, false))
	if err != nil {
		t.Fatal(err)
	}
	var p helperpb.State
	if err := proto.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, Parse(&p, nil)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	same := Message(want, true)
	if len(same.Toolchains) > 0 {
		t.Error("toolchains are told again")
	}
	if diff := cmp.Diff(want, Parse(same, want.Toolchains)); diff != "" {
		t.Errorf("state with the toolchains of the one before (-want +got):\n%s", diff)
	}
}

// What a newer helper has and this version does not know is left out; a path that is no
// UTF-8 does not end the stream.
func TestStateOfAnotherVersion(t *testing.T) {
	state := full()
	state.Toolchains[0].Path = "/\xff/clang"
	p := Message(state, false)
	if _, err := proto.Marshal(p); err != nil {
		t.Error(err)
	}
	p.Toolchains[0].Languages = append(p.Toolchains[0].Languages, "zig")
	p.Toolchains = append(p.Toolchains, &helperpb.Toolchain{Family: "tcc"})
	got := Parse(p, nil).Toolchains
	if len(got) != 1 || !slices.Equal(got[0].Languages, state.Toolchains[0].Languages) {
		t.Errorf("got %+v", got)
	}
}
