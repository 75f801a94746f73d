package cas

import (
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

func TestResources(t *testing.T) {
	d := broker.DigestOf([]byte("x"))
	read, write := "blobs/"+d.String(), "uploads/u/blobs/"+d.String()
	tests := []struct {
		name        string
		read, write bool
	}{
		{read, true, false},
		{"main/" + read, true, false},
		{"a/b/c/" + read, true, false},
		{write, false, true},
		{"main/" + write, false, true},
		{write + "/some/metadata", false, true},
		{"uploads/u/blobs/" + d.Hash, false, false},
		{"uploads//blobs/" + d.String(), false, false},
		{"blobs/" + d.Hash, false, false},
		{"blobs/sha256/" + d.String(), false, false},
		{"compressed-" + read, false, false},
		{"compressed-blobs/brotli/" + d.String(), false, false},
		{"uploads/u/compressed-blobs/" + d.String(), false, false},
		{"blobs/compressed-blobs/zstd/" + d.String(), false, false},
		{"uploads/u", false, false},
		{"uploads/u/compressed-blobs", false, false},
		{"blobs/" + strings.ToUpper(d.String()), false, false},
		{"blobs/" + d.Hash + "/-1", false, false},
		{"blobs/" + d.Hash + "/0", false, false}, // only one content has no bytes
		{"operations/" + read, false, false},
		{"", false, false},
		{"/", false, false},
	}
	for _, tt := range tests {
		got, err := parseRead(tt.name)
		if (err == nil) != tt.read || err == nil && got != (resource{Digest: d}) {
			t.Errorf("parseRead(%q) = %v, %v", tt.name, got, err)
		}
		got, err = parseWrite(tt.name)
		if (err == nil) != tt.write || err == nil && got != (resource{Digest: d}) {
			t.Errorf("parseWrite(%q) = %v, %v", tt.name, got, err)
		}
	}
	for _, packed := range []bool{false, true} {
		want := resource{d, packed}
		for _, before := range []string{"", "main/", "a/b/"} {
			if got, err := parseRead(before + readResource(d, packed)); err != nil || got != want {
				t.Errorf("own read name: %v, %v", got, err)
			}
			if got, err := parseWrite(before + writeResource(d, packed) + "/more"); err != nil || got != want {
				t.Errorf("own write name: %v, %v", got, err)
			}
		}
	}
}

func FuzzResources(f *testing.F) {
	d := broker.DigestOf([]byte("x"))
	for _, packed := range []bool{false, true} {
		f.Add(readResource(d, packed))
		f.Add("a/" + writeResource(d, packed) + "/b")
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, parse := range []func(string) (resource, error){parseRead, parseWrite} {
			if d, err := parse(name); err == nil && (!d.Valid() || !strings.Contains(name, d.Hash) || d.packed && !strings.Contains(name, packedBlobs)) {
				t.Errorf("%q became %v", name, d)
			}
		}
	})
}
