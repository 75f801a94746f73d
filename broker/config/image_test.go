package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/images"
)

const imageSum = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestLoadServerImages(t *testing.T) {
	got, err := LoadServer(write(t, `
jobs = 2
[[image]]
reference = "debian:bookworm@`+imageSum+`"

[[image]]
reference = "ghcr.io/me/riscv@`+imageSum+`"
target    = "riscv64-linux-gnu"
compiler  = "/opt/x/bin/riscv64-linux-gnu-gcc"
source    = "/srv/images/x.tar"
pull      = true
notes     = "the boards' own"

[toolchains]
search = ["/usr"]
`))
	want := []Image{
		{Reference: images.Pin{Name: "debian", Digest: imageSum}},
		{Reference: images.Pin{Name: "ghcr.io/me/riscv", Digest: imageSum}, Target: "riscv64-linux-gnu",
			Compiler: "/opt/x/bin/riscv64-linux-gnu-gcc", Source: "/srv/images/x.tar", Pull: true, Notes: "the boards' own"},
	}
	if err != nil || !reflect.DeepEqual(got.Images, want) || got.Jobs != 2 || len(got.Search) != 1 {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestLoadServerImageErrors(t *testing.T) {
	good := "[[image]]\nreference = 'debian@" + imageSum + "'\n"
	tests := []struct{ doc, says string }{
		{"[[image]]\nreference = 'debian:12'", `:2: image: reference: image "debian:12" has no digest, and a tag may lead to another image tomorrow; pin it: crossctl image pin debian:12`},
		{"jobs = 1\n[[image]]\npull = true", `:2: image: reference is missing: "NAME@sha256:…"`},
		{good + "target = 'a b'", `:3: image: target: triple "a b"`},
		{good + "compiler = 'gcc'", `:3: image: compiler: "gcc" is not an absolute path`},
		{good + "source = 'x.tar'", `:3: image: source: "x.tar" is not an absolute path`},
		{good + "pull = 'yes'", `:3: image: pull: expected true or false, not "yes"`},
		{good + "notes = 3", ":3: image: notes: expected a text in quotes, not 3"},
		{good + "refrence = 'x'", `:3: image: unknown key "refrence"; known are compiler, notes, pull, reference, source, target`},
		{good + "\n[[image]]\n\nreference = 'x'\n" + good, ":6: image: reference: "},
		{good + good + "target = 'armv7l-linux-gnueabihf'\n" + good, ":6: image: debian@" + imageSum + " stands here twice"},
		{"image = 'x'", `:1: image: expected at most 1000 tables [[image]], not "x"`},
		{"image = ['x']", `:1: image: expected tables [[image]], not "x"`},
		{"[image]\nreference = 'x'", ":1: image: expected at most 1000 tables [[image]], not a table"},
		{"image = [{ reference = 'x' }]", ":1: image: reference: "},
		{strings.Repeat("[[image]]\n", 1001), ":1: image: expected at most 1000 tables [[image]], not a list"},
		{"images_size = '1K'", `:1: images_size: "1K" is less than 1M`},
	}
	for _, tt := range tests {
		name := write(t, tt.doc)
		s, err := LoadServer(name)
		if err == nil || !strings.Contains(err.Error(), name+tt.says) || s.Images != nil {
			t.Errorf("%.60q: %v\nwant %s", tt.doc, err, tt.says)
		}
	}
}

// The line of a row counts where lists are long.
func TestManyImages(t *testing.T) {
	var doc strings.Builder
	for i := range 50 {
		fmt.Fprintf(&doc, "[[image]] # %d\nreference = 'debian@sha256:%064x'\n\n", i, i)
	}
	s, err := LoadServer(write(t, doc.String()))
	if err != nil || len(s.Images) != 50 {
		t.Fatalf("%d images, %v", len(s.Images), err)
	}
	name := write(t, doc.String()+"[[image]]\nreference = 'debian@sha256:1'\n")
	if _, err := LoadServer(name); err == nil || !strings.Contains(err.Error(), name+":152: image: reference: ") {
		t.Errorf("got %v", err)
	}
}
