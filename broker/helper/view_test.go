package helper

import (
	"os"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

// Small trees are shown in memory, and those that are too large for it on disk.
func TestMemoryThenDisk(t *testing.T) {
	h := newHelper(t, nil)
	o := h.o
	o.Memory, o.MemoryBytes = memory(t), 256<<10 // 64 KiB each in two slots
	pools, err := openPools(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range h.pools {
		p.Close()
	}
	h.pools = pools
	for _, tt := range []struct {
		text string
		dir  string
	}{{"int x;\n", o.Memory}, {"int y; /*" + strings.Repeat("y", 128<<10) + "*/\n", o.Views}} {
		j := job(t, h, tt.text)
		dir, done, err := h.view(t.Context(), j.Root)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(dir, tt.dir+"/") {
			t.Errorf("%d bytes are shown in %s, want %s", len(tt.text), dir, tt.dir)
		}
		done()
	}
	again, done, err := h.view(t.Context(), job(t, h, "int z;\n").Root)
	if left, _ := os.ReadDir(o.Memory); err != nil || len(left) != 1 || !strings.HasPrefix(again, o.Memory+"/") {
		t.Errorf("%d views in memory after a like job, %v", len(left), err)
	}
	done()
	j := job(t, h, "int z;\n")
	j.Root.Put("/work/a.h", broker.File{Blob: broker.BytesBlob(nil), Class: 1})
	j.Root.Put("/work/b.h", broker.File{Blob: broker.BytesBlob(nil), Class: 1, Modified: 7})
	if _, _, err := h.view(t.Context(), j.Root); err == nil {
		t.Error("hard links of two times")
	}
}
