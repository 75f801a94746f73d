package wrapper

import (
	"os"
	"testing"
)

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
