package helper

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
)

// BenchmarkRun is a job that is never cached, a trivial source by itself: as
// text, in a tree of its own, and in a tree with 500 headers in 60 directories
// that it does not read, which the job before had as well. The differences are
// what a tree costs, the sandbox's part of it included.
func BenchmarkRun(b *testing.B) {
	run, err := bubblewrap.New(bubblewrap.Options{})
	if err != nil {
		b.Fatal(err)
	}
	h := newHelperOf(b, run, func(o *Options) { o.Search, o.Sandbox = []string{"/usr/bin/gcc-12"}, "bwrap" })
	benchmarkRun(b, h)
}

// BenchmarkImages is a trivial job that is never cached, by turns with the
// toolchain of this machine and with the same one in an image: each figure is of
// one of the two, under the load that both had.
func BenchmarkImages(b *testing.B) {
	run, err := bubblewrap.New(bubblewrap.Options{})
	if err != nil {
		b.Fatal(err)
	}
	kept := newDirectories()
	kept.put("sha256:1", imageOf(b, "/usr/bin/gcc-12"))
	time.Sleep(3 * time.Second) // files that are just made are not trusted to be the same later
	imaged := newImaged(b, kept)
	await(b, imaged, "an image", func(s broker.State) bool { return len(s.Toolchains) > 0 })
	host := newHelperOf(b, run, func(o *Options) { o.Search, o.Sandbox = []string{"/usr/bin/gcc-12"}, "bwrap" })
	n := 0
	once := func(h *Helper) {
		n++
		j := job(b, h, fmt.Sprintf("int f%d_%d;\n", os.Getpid(), n))
		if res, err := h.Run(b.Context(), j); err != nil || res.ExitCode != 0 || res.Cached {
			b.Fatalf("%+v %v", res, err)
		}
	}
	for name, h := range map[string]*Helper{"host": host, "image": imaged} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				once(h)
				b.StopTimer()
				for _, other := range []*Helper{host, imaged} {
					if other != h {
						once(other)
					}
				}
				b.StartTimer()
			}
		})
	}
}

func benchmarkRun(b *testing.B, h *Helper) {
	root := new(broker.Dir)
	for i := range 500 {
		text := fmt.Appendf(nil, "#define H%d\n", i)
		root.Put(fmt.Sprintf("/usr/include/g%d/d%02d/h%03d.h", i%6, i%60, i), broker.File{Blob: broker.BytesBlob(append(text, make([]byte, i*40)...))})
	}
	n := 0
	for _, bench := range []struct {
		name string
		form broker.Form
		root *broker.Dir
	}{{"text", broker.Preprocessed, nil}, {"small tree", broker.Tree, new(broker.Dir)}, {"500 headers", broker.Tree, root}} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				n++
				text := fmt.Sprintf("int f%d_%d;\n", os.Getpid(), n)
				j := job(b, h, text)
				if j.Form = bench.form; j.Form == broker.Tree {
					j.Root = bench.root
					j.Root.Put("/work/a.c", broker.File{Blob: broker.BytesBlob([]byte(text))})
					j.Args = []string{"-O2", "-I/work", "-c", "a.c", "-o", "out.o"}
				}
				res, err := h.Run(b.Context(), j)
				if err != nil || res.ExitCode != 0 || res.Cached {
					b.Fatalf("%+v %v", res, err)
				}
			}
		})
	}
}
