package images

import (
	"context"
	"testing"
)

// BenchmarkUse is what holding an image adds to a job.
func BenchmarkUse(b *testing.B) {
	s := storeIn(b, Options{})
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		mustAdd(b, s, tarOf(b, entry{name, name}))
	}
	e := mustAdd(b, s, someLayers(b)...)
	for b.Loop() {
		r, err := s.Use(context.Background(), e.Digests[0])
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}
