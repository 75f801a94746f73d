package compile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// A library that the loader would find before the compiler's own is found wherever the
// loader looks for it.
func TestOtherLibrary(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"build/none/libz.so.1", "build/rel/libmpfr.so.6", "cwd/libc.so.6", "new/glibc-hwcaps/x86-64-v3/libm.so.6", "old/tls/x86_64/libmpfr.so.6",
		"file",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, tt := range []struct{ cwd, value, want string }{
		{"/cwd", "", ""},
		{"/build", ":", ""},
		{"/build", "/nowhere:none:/file:", ""},
		{"/build", "rel", "/build/rel/libmpfr.so.6"},
		{"/cwd", "/nowhere:", "/cwd/libc.so.6"},
		{"/build", "/nowhere;/cwd", "/cwd/libc.so.6"},
		{"/build", "/new", "/new/glibc-hwcaps/x86-64-v3/libm.so.6"},
		{"/build", "/old", "/old/tls/x86_64/libmpfr.so.6"},
		{"/build", "/$LIB", "/$LIB"},
	} {
		c := &Compile{
			Session:   &session.Session{Client: &local.Client{Request: local.Request{Dir: tt.cwd, Env: []string{"LD_LIBRARY_PATH=" + tt.value}}}, Files: root},
			Toolchain: toolchains.Toolchain{Fingerprint: toolchains.Fingerprint{"driver": "1", "lib:libmpfr.so.6": "2"}},
		}
		if got := c.otherLibrary(); got != tt.want {
			t.Errorf("LD_LIBRARY_PATH=%s in %s: %q, want %q", tt.value, tt.cwd, got, tt.want)
		}
	}
}
