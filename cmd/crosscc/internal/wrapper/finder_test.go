package wrapper

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A tree of directories with all that has ever been called gcc.
func compilerTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"bin", "links", "copy", "ccache", "distcc", "icecc", "sccache", "real", "versions", "data"} {
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
	copyOf(t, os.Getenv("TEST_CROSSCC"), filepath.Join(dir, "copy/gcc"))
	return dir
}

func link(t *testing.T, old, name string) {
	t.Helper()
	if err := os.Symlink(old, name); err != nil {
		t.Fatal(err)
	}
}

func copyOf(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
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
	}
	for _, tc := range tests {
		// The finder of the program under test, not of the test binary.
		f := newFinder([]string{"PATH=" + tc.path}, "")
		useProgram(t, f)
		got, plain := f.find(tc.word)
		if rel, err := filepath.Rel(dir, got); err == nil && filepath.IsAbs(got) {
			got = rel
		}
		if got != tc.want || plain != tc.plain {
			t.Errorf("PATH=%s: find(%s) = %q, %v; want %q, %v", tc.path, tc.word, got, plain, tc.want, tc.plain)
		}
	}
}

func useProgram(t *testing.T, f *finder) {
	t.Helper()
	f.exe = os.Getenv("TEST_CROSSCC")
	if err := syscall.Stat(f.exe, &f.own); err != nil {
		t.Fatal(err)
	}
}

// Called through a link or a copy of any name the program never finds itself,
// and gives the compiler a name by which it finds its own parts.
func TestCalledByName(t *testing.T) {
	b := newBed(t)
	b.must(os.Mkdir(b.path("masq"), 0o755))
	b.environ = append(b.environ, "CROSSCC_LOG_LEVEL=error")
	b.environ[1] = "PATH=" + b.path("masq") + ":" + b.path("usr") + ":/usr/bin:/bin"
	name := b.path("masq/gcc")
	makers := map[string]func(){
		"symlink":       func() { link(t, b.crosscc, name) },
		"relative link": func() { link(t, "../bin/crosscc", name) },
		"hard link":     func() { b.must(os.Link(b.crosscc, name)) },
		"copy":          func() { copyOf(t, b.crosscc, name) },
	}
	want := "real " + b.path("usr/gcc") + " -c level=1\n"
	for how, make := range makers {
		make()
		for _, called := range []string{name, "gcc"} {
			cmd := b.command(nil)
			cmd.Path, cmd.Args = name, []string{called, "-c"}
			if got := b.finish(cmd); got.stdout != want || got.status.ExitStatus() != 9 {
				t.Errorf("%s called %s: %+v", how, called, got)
			}
		}
		// crosscc gcc, with itself first on PATH
		if got := b.run(nil, "gcc", "-c"); got.stdout != want {
			t.Errorf("crosscc gcc with a %s on PATH: %+v", how, got)
		}
		b.must(os.Remove(name))
	}
}
