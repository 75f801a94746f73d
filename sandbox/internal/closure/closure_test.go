package closure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseList(t *testing.T) {
	got, err := parseList("\tlinux-vdso.so.1 (0x00007ffd)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f)\n" +
		"\tlibodd.so => /opt/a (b)/libodd.so (0x1)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n")
	want := map[string]string{"libz.so.1": "/lib/x86_64-linux-gnu/libz.so.1", "libodd.so": "/opt/a (b)/libodd.so"}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseList("\tlibgone.so.1 => not found\n"); err == nil {
		t.Error("a library that is not found was accepted")
	}
}

// TestCacheSeesChanges: what is remembered is void when a program changes.
func TestCacheSeesChanges(t *testing.T) {
	self, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(p, self, 0o755); err != nil {
		t.Fatal(err)
	}
	var cs Cache
	first, err := cs.Of([]string{p}, "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cs.Of([]string{p}, ""); err != nil || &again[0] != &first[0] {
		t.Errorf("asked again: %v", err)
	}
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	if cs.Stale([]string{p}, "/") == nil {
		t.Error("a program that is gone is not stale")
	}
	if _, err := cs.Of([]string{p}, ""); err == nil {
		t.Error("a program that is gone was found")
	}
}
