package wire

import (
	"fmt"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

// benchJob is a job like a C++ source's with the usual headers: 455 files in 60
// directories.
func benchJob() *broker.Job {
	j := testJob()
	j.Form = broker.Tree
	for i := range 454 {
		data := fmt.Appendf(nil, "header %d", i)
		j.Root.Put(fmt.Sprintf("/usr/include/c++/12/part_%02d/header_%03d.h", i%53, i), broker.File{Blob: broker.BytesBlob(data)})
	}
	return j
}

func BenchmarkActionOf(b *testing.B) {
	for name, held := range map[string]bool{"new": false, "held": true} {
		b.Run(name, func(b *testing.B) {
			j := benchJob()
			w := NewWriter()
			b.ReportAllocs()
			for b.Loop() {
				if !held {
					w = NewWriter()
				}
				a, err := w.ActionOf(j)
				if err != nil {
					b.Fatal(err)
				}
				a.Held()
			}
		})
	}
}

func BenchmarkJobOf(b *testing.B) {
	for name, folders := range map[string]*Folders{"new": nil, "seen": NewFolders()} {
		b.Run(name, func(b *testing.B) {
			a, err := NewWriter().ActionOf(benchJob())
			if err != nil {
				b.Fatal(err)
			}
			m := memory{}
			m.store(b, a)
			from := m.source()
			from.Folders = folders
			b.ReportAllocs()
			for b.Loop() {
				if _, err := JobFrom(a.Message, a.Command, from); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
