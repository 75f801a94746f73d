package lookup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A tree of directories with all that has ever been called gcc.
func compilerTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"bin", "links", "copy", "ccache", "distcc", "icecc", "sccache", "real", "versions", "data", "deep", "deep/er"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ccache", "distcc", "icecc", "sccache"} {
		put("bin/"+name, name, 0o755)
		link(t, "../bin/"+name, filepath.Join(dir, name, "gcc"))
	}
	put("bin/crosscc", "another build of crosscc", 0o755)
	put("versions/gcc-12", "gcc", 0o755)
	put("data/gcc", "not executable", 0o644)
	link(t, "../versions/gcc-12", filepath.Join(dir, "real/gcc"))
	link(t, "../bin/crosscc", filepath.Join(dir, "links/gcc"))
	// A way of several links, through a directory that is one too.
	link(t, "deep/er", filepath.Join(dir, "short"))
	link(t, "hop", filepath.Join(dir, "deep/er/gcc"))
	link(t, "../../bin/cc-link", filepath.Join(dir, "deep/er/hop"))
	link(t, "ccache", filepath.Join(dir, "bin/cc-link"))
	link(t, "round", filepath.Join(dir, "deep/round"))
	// The wrapper itself: bytes that no other program has.
	self := strings.Repeat("the running program ", 1000)
	put("self", self, 0o755)
	put("copy/gcc", self, 0o755)
	return dir
}

func link(t *testing.T, old, name string) {
	t.Helper()
	if err := os.Symlink(old, name); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	dir := compilerTree(t)
	t.Chdir(filepath.Join(dir, "real"))
	p := func(names ...string) string {
		path := ""
		for _, name := range names {
			path += ":" + filepath.Join(dir, name)
		}
		return path[1:]
	}
	tests := []struct {
		path, word, want string
		plain            bool
	}{
		{p("real"), "gcc", "real/gcc", true},
		{p("data", "real"), "gcc", "real/gcc", true},
		{p("ccache", "real"), "gcc", "real/gcc", false},
		{p("links", "ccache", "distcc", "icecc", "sccache", "copy", "real"), "gcc", "real/gcc", false},
		{p("links", "copy", "ccache"), "gcc", "", false},
		{p("real", "ccache"), "gcc", "real/gcc", true},
		{p("real"), "g++", "", false},
		{"", "gcc", "", false},
		{"/nonexistent:", "gcc", "./gcc", true},
		{p("real"), p("versions/gcc-12"), "versions/gcc-12", true},
		{p("real"), p("real/gcc"), "real/gcc", true},
		{p("real"), "../versions/gcc-12", "../versions/gcc-12", true},
		{p("real"), p("ccache/gcc"), "real/gcc", false},
		{p("ccache", "real"), p("copy/gcc"), "real/gcc", false},
		{p("real"), p("data/gcc"), "", false},
		{p("real"), p("nowhere/gcc"), "", false},
		{p("bin"), "ccache", "bin/ccache", true},
		{p("bin"), "crosscc", "", false},
		{p("data"), "gcc", "", false},
		{p("short", "real"), "gcc", "real/gcc", false},
		{p("deep"), "round", "", false},
	}
	for _, tc := range tests {
		got, plain := Beside([]string{"PATH=" + tc.path}, filepath.Join(dir, "self")).Find(tc.word)
		if rel, err := filepath.Rel(dir, got); err == nil && filepath.IsAbs(got) {
			got = rel
		}
		if got != tc.want || plain != tc.plain {
			t.Errorf("PATH=%s: Find(%s) = %q, %v; want %q, %v", tc.path, tc.word, got, plain, tc.want, tc.plain)
		}
	}
}

// Without the wrapper's own program to compare with, its links are known by the
// name that they lead to.
func TestFindWithoutSelf(t *testing.T) {
	dir := compilerTree(t)
	path := filepath.Join(dir, "links") + ":" + filepath.Join(dir, "real")
	got, args := Beside([]string{"PATH=" + path}, "").Call([]string{"gcc", "-c"})
	if want := filepath.Join(dir, "real/gcc"); got != want || len(args) != 2 || args[0] != want {
		t.Errorf("Call = %q, %q, want %q", got, args, want)
	}
}
