package rootfs

import (
	"slices"
	"testing"
)

func TestGlob(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/usr/bin/gcc-12", "#!", 0o755)
	write(t, dir+"/usr/lib/gcc-11", "#!", 0o755)
	r, err := At(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if got, err := r.Glob("/u*/b?n/gcc-*", 100); err != nil || !slices.Equal(got, []string{"/usr/bin/gcc-12"}) {
		t.Errorf("Glob = %q, %v", got, err)
	}
}
