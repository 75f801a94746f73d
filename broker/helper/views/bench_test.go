package views

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/store"
)

// A farm is the trees of a made-up build, with their blobs in a store.
type farm struct {
	tb    testing.TB
	store *store.Store
}

func newFarm(tb testing.TB) *farm {
	st, err := store.Open(tb.TempDir(), store.Options{MaxBytes: 1 << 30})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = st.Close() })
	return &farm{tb, st}
}

func (f *farm) blob(text []byte) broker.Blob {
	d, err := f.store.PutBytes(text)
	if err != nil {
		f.tb.Fatal(err)
	}
	return broker.FileBlob(d, func() (io.ReadCloser, error) { return f.store.Open(d) })
}

// headers is the number of headers of a tree; they have 1 to 20 KiB each, as
// those of /usr/include/c++ have.
const headers = 500

// tree has 500 headers in 60 directories and one source. unit tells sources
// apart; other is how many headers are others than those of other trees.
func (f *farm) tree(unit string, other int) *broker.Dir {
	d := new(broker.Dir)
	for i := range headers {
		name := fmt.Sprintf("header%03d.h", i)
		text := bytes.Repeat(fmt.Appendf(nil, "#define H%03d 1\n", i), 64+(i*37)%1216)
		if i < other {
			text = fmt.Appendf(text, "// %s\n", unit)
		}
		dir := fmt.Sprintf("/usr/include/group%d/dir%02d", i%6, i%60)
		d.Put(path.Join(dir, name), broker.File{Blob: f.blob(text)})
	}
	d.Put("/home/u/project/src/"+unit+".c", broker.File{Blob: f.blob([]byte("int " + unit + ";\n"))})
	return d
}

func BenchmarkView(b *testing.B) {
	f := newFarm(b)
	one, two, other := f.tree("one", 0), f.tree("two", 0), f.tree("other", 20)
	take := func(b *testing.B, p *Pool, root *broker.Dir) *View {
		v, err := p.Take(b.Context(), root)
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	pool := func(b *testing.B) *Pool {
		p, err := New(Options{Dir: memory(b), Free: 1, Bytes: 1 << 30})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(p.Close)
		return p
	}
	b.Run("cold", func(b *testing.B) {
		p := pool(b)
		for b.Loop() {
			v := take(b, p, one)
			b.StopTimer()
			v.Drop()
			p.tidy.Wait()
			b.StartTimer()
		}
	})
	for name, trees := range map[string][2]*broker.Dir{
		"same": {one, one}, "source": {one, two}, "20 headers": {one, other},
	} {
		b.Run(name, func(b *testing.B) {
			p := pool(b)
			p.Return(take(b, p, trees[0]))
			for i := 1; b.Loop(); i++ {
				p.Return(take(b, p, trees[i%2]))
			}
		})
	}
	b.Run("remove", func(b *testing.B) {
		p := pool(b)
		for b.Loop() {
			b.StopTimer()
			v := take(b, p, one)
			b.StartTimer()
			v.Drop()
			p.tidy.Wait()
		}
	})
}
