package imagestore

import (
	"context"
	"testing"

	"github.com/crosscc/crosscc/images/internal/imagetest"
)

// BenchmarkUse is what holding an image adds to a job.
func BenchmarkUse(b *testing.B) {
	s := storeIn(b, Options{})
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		mustAdd(b, s, imagetest.Tar(b, imagetest.Entry{name, name}))
	}
	e := mustAdd(b, s, imagetest.SomeLayers(b)...)
	for b.Loop() {
		r, err := s.Use(context.Background(), e.Digests[0])
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}
