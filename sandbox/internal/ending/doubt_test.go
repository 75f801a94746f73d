package ending

import (
	"testing"
)

func TestSigns(t *testing.T) {
	for _, s := range signs() {
		if s.text == "" || s.notes == "" {
			t.Errorf("%+v: say what it is", s)
		}
		if f := readSigns([]byte("a.c:1:1: error: x\ncc1: " + s.text + "\n")); f == nil || f.Kind != s.kind {
			t.Errorf("%s: got %v", s.text, f)
		}
		if f := readSigns([]byte("a.c:1:1: error: x\n   12 | puts(\"" + s.text + "\")\n")); f != nil {
			t.Errorf("quoted source: got %v", f)
		}
	}
}
