package catalog

import (
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
)

func TestRetry(t *testing.T) {
	s := newShelf(nil, "", nil, nil)
	last := time.Duration(0)
	for i := range 100 {
		if p := s.retry(i); p < last || p < firstRetry || p > lastRetry {
			t.Fatalf("pause %d is %s after %s", i, p, last)
		} else {
			last = p
		}
	}
	if last != lastRetry {
		t.Errorf("the pauses end with %s", last)
	}
}

// An image's own digest is told first, and each other once: that of an index is other
// images' too.
func TestAllDigests(t *testing.T) {
	for want, k := range map[string]Image{
		"id":          {Digest: "id"},
		"id a index":  {Digest: "id", Digests: []string{"index", "a", "id", "index"}},
		"zz id index": {Digest: "zz", Digests: []string{"index", "id"}},
	} {
		if got := allDigests(k); got != want || (broker.ImageState{Digests: got}).ID() != k.Digest {
			t.Errorf("%+v: %q, want %q", k, got, want)
		}
	}
}

// An image that is added once more, by a digest of its index, is known by that, too, and
// is not looked at again.
func TestAddedOnceMore(t *testing.T) {
	s := newShelf(nil, "", nil, nil)
	s.match([]Image{{Name: "n@a", Digest: "id", Digests: []string{"a", "id"}}})
	one := s.all["n@a"]
	s.tell(one, broker.ImageReady, "")
	s.match([]Image{{Name: "n@a", Digest: "id", Digests: []string{"a", "id", "index"}}})
	if now := s.all["n@a"]; now != one || !now.told.Has("index") || now.told.Phase != broker.ImageReady {
		t.Errorf("%+v", now)
	}
	s.tell(one, broker.ImageReady, "")
	if !one.told.Has("index") {
		t.Errorf("told later: %+v", one.told)
	}
}
