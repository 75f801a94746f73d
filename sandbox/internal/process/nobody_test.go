package process

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"path/filepath"
	"testing"
)

func TestMapped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "map")
	rig.Write(t, file, "         0       1000          1\n    100     200000      65536\n")
	for id, want := range map[int]bool{0: true, 1: false, 99: false, 100: true, 65534: true, 65635: true, 65636: false} {
		if mapped(file, id) != want {
			t.Errorf("%d: mapped is %t", id, !want)
		}
	}
	if !mapped("/none", 7) {
		t.Error("without a map nothing is mapped")
	}
}
