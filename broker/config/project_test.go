package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

var (
	pinA = "tools@sha256:" + strings.Repeat("a", 64)
	pinB = "ghcr.io/me/tools@sha256:" + strings.Repeat("b", 64)
)

func TestProjectSettings(t *testing.T) {
	tests := []struct {
		name, file, project, env string
		rows                     string
		from                     string
		match                    toolchains.Match
	}{
		{name: "nothing", match: toolchains.Calibrated},
		{name: "for every target", project: "toolchain = '" + pinA + "'", rows: pinA, from: "/p/.crosscc.toml", match: toolchains.Calibrated},
		{name: "for one target", project: "match = 'identical'\n[toolchain]\nriscv64-linux-gnu = '" + pinA + "'", rows: "riscv64-linux-gnu=" + pinA, from: "/p/.crosscc.toml", match: toolchains.Identical},
		{name: "the project before the file", file: "toolchain = '" + pinA + "'\nmatch = 'identical'", project: "toolchain = '" + pinB + "'", rows: pinB, from: "/p/.crosscc.toml", match: toolchains.Identical},
		{name: "the file where the project says nothing", file: "toolchain = '" + pinA + "'", project: "match = 'calibrated'", rows: pinA, from: clientFile, match: toolchains.Calibrated},
		{name: "the environment before the project", project: "toolchain = '" + pinA + "'", env: "CROSSCC_TOOLCHAIN=riscv64-unknown-linux-gnu=" + pinA + " " + pinB,
			rows: pinB + "\nriscv64-unknown-linux-gnu=" + pinA, from: "CROSSCC_TOOLCHAIN", match: toolchains.Calibrated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := files{}
			if tt.file != "" {
				all[clientFile] = tt.file
			}
			var project *Project
			if tt.project != "" {
				project = &Project{"/p/.crosscc.toml", []byte(tt.project)}
			}
			var set []string
			if tt.env != "" {
				set = append(set, tt.env)
			}
			c, err := LoadClient(all.read, env(set...), project)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.Toolchain.Rows(), "\n"); got != tt.rows || c.ToolchainFrom != tt.from || c.Match != tt.match {
				t.Errorf("%q from %q, match %s; want %q from %q, %s", got, c.ToolchainFrom, c.Match, tt.rows, tt.from, tt.match)
			}
		})
	}
}

func TestProjectErrors(t *testing.T) {
	for _, tt := range []struct{ project, env, want string }{
		{project: "match = 'identical'\nhosts = 'evil'", want: `/p/.crosscc.toml:2: unknown key "hosts"; known are match, native_params, toolchain`},
		{project: "toolchain = 'debian:12'", want: "/p/.crosscc.toml:1: toolchain: image \"debian:12\" has no digest, and a tag may lead to another image tomorrow; pin it: crossctl image pin debian:12"},
		{project: "toolchain = 3", want: "/p/.crosscc.toml:1: toolchain: expected a text in quotes, not 3"},
		{project: "[toolchain]\n'a b' = '" + pinA + "'", want: "/p/.crosscc.toml:1: toolchain: a b: "},
		{project: "[toolchain]\nx86_64-linux-gnu = '" + pinA + "'\nx86_64-pc-linux-gnu = '" + pinA + "'", want: "are one target"},
		{env: pinA + " " + pinB, want: "are both for every target"},
		{env: "riscv64-linux-gnu=debian", want: "CROSSCC_TOOLCHAIN: image \"debian\" has no digest"},
	} {
		var project *Project
		if tt.project != "" {
			project = &Project{"/p/.crosscc.toml", []byte(tt.project)}
		}
		_, err := LoadClient(files{}.read, env("CROSSCC_TOOLCHAIN="+tt.env), project)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q %q: %v, want %q", tt.project, tt.env, err, tt.want)
		}
	}
}

func TestPinsFor(t *testing.T) {
	p, err := pinWords("riscv64-linux-gnu=" + pinA + " " + pinB)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"riscv64-unknown-linux-gnu": pinA, "riscv64-linux-musl": pinB, "aarch64-linux-gnu": pinB, "": pinB,
	} {
		if got, ok := p.For(target); !ok || got.String() != want {
			t.Errorf("for %q: %s, %v; want %s", target, got, ok, want)
		}
	}
	if p, err = pinWords("riscv64-linux-gnu=" + pinA); err != nil {
		t.Fatal(err)
	}
	if got, ok := p.For("aarch64-linux-gnu"); ok {
		t.Errorf("for a target that is not pinned: %s", got)
	}
}

func TestFindProject(t *testing.T) {
	dir := t.TempDir()
	root, err := rootfs.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, d := range []string{"home/me/p/src/deep", "home/me/other", "home/me/odd/deep"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, mode os.FileMode) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte("match = 'identical'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("home/me/p/.crosscc.toml", 0o644)
	write("home/me/odd/.crosscc.toml", 0o664)
	me := uint32(os.Geteuid())
	find := func(dir, want string) {
		t.Helper()
		p, err := FindProject(root, dir, me)
		if err != nil || want == "" && p != nil || want != "" && (p == nil || p.Name != want || len(p.Text) == 0) {
			t.Errorf("%s: %+v, %v; want %q", dir, p, err, want)
		}
	}
	find("/home/me/p", "/home/me/p/.crosscc.toml")
	find("/home/me/p/src/deep", "/home/me/p/.crosscc.toml")
	find("/home/me/other", "")
	find("", "")
	distrusted := func(dir string, user uint32, want string) {
		t.Helper()
		p, err := FindProject(root, dir, user)
		if d := (*Distrusted)(nil); !errors.As(err, &d) || p != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", dir, p, err, want)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "home/me/dir/.crosscc.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	distrusted("/home/me/dir", me, "not a regular file")
	distrusted("/home/me/odd/deep", me, "others may write to it")
	if err := os.Chmod(filepath.Join(dir, "home/me/p"), 0o777); err != nil {
		t.Fatal(err)
	}
	distrusted("/home/me/p/src", me, "others may write to its directory")
	if err := os.Chmod(filepath.Join(dir, "home/me/p"), 0o755); err != nil {
		t.Fatal(err)
	}
	if me == 0 {
		if err := os.Chown(filepath.Join(dir, "home/me/p/.crosscc.toml"), 1234, 1234); err != nil {
			t.Fatal(err)
		}
		distrusted("/home/me/p/src", 1235, "belongs to user 1234")
		if p, err := FindProject(root, "/home/me/p/src", 1234); p == nil || err != nil {
			t.Errorf("the user's own: %+v, %v", p, err)
		}
	}
}

// What is judged is what is read: a directory that is put in another's place, or goes out
// of it, in the middle changes nothing.
func TestProjectOfSwapped(t *testing.T) {
	me := uint32(os.Geteuid())
	for name, tt := range map[string]struct {
		opened, later os.FileMode // modes of the directory that was found, and of the one that takes its name
		want          string
	}{
		"an honest one takes its place": {0o777, 0o755, "others may write to its directory"},
		"it goes for a bad one":         {0o755, 0o777, ""},
	} {
		top := t.TempDir()
		dir := filepath.Join(top, "p")
		make := func(text string, mode os.FileMode) {
			t.Helper()
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, projectFile), []byte(text), 0o644), os.Chmod(dir, mode)); err != nil {
				t.Fatal(err)
			}
		}
		root, err := rootfs.At("/")
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		make("match = 'identical'\n", tt.opened)
		in, err := root.Sub(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := os.Rename(dir, filepath.Join(top, "was")); err != nil {
			t.Fatal(err)
		}
		make("another", tt.later)
		p, err := projectOf(root, in, dir, me)
		switch {
		case tt.want == "" && (err != nil || string(p.Text) != "match = 'identical'\n"):
			t.Errorf("%s: %+v, %v", name, p, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// A link is followed from where it lies, in the root.
func TestProjectLink(t *testing.T) {
	top := t.TempDir()
	root, err := rootfs.At(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	me := uint32(os.Geteuid())
	if err := errors.Join(os.MkdirAll(filepath.Join(top, "home/p"), 0o755), os.WriteFile(filepath.Join(top, "home/common"), []byte("match = 'identical'\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"../common": "", "/home/common": "", "common": "no such file", top + "/home/common": "no such file", ".crosscc.toml": "too many levels"} {
		link := filepath.Join(top, "home/p", projectFile)
		_ = os.Remove(link)
		if err := os.Symlink(text, link); err != nil {
			t.Fatal(err)
		}
		p, err := projectIn(root, "/home/p", me)
		if want == "" && (err != nil || p.Name != "/home/p/"+projectFile || len(p.Text) == 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v; want %q", text, p, err, want)
		}
	}
	if err := os.Chmod(filepath.Join(top, "home/common"), 0o666); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(top, "home/p", projectFile)
	if err := errors.Join(os.Remove(link), os.Symlink("../common", link)); err != nil {
		t.Fatal(err)
	}
	if p, err := projectIn(root, "/home/p", me); err == nil || !strings.Contains(err.Error(), "others may write to it") {
		t.Errorf("to a file that others write: %+v, %v", p, err)
	}
}

func BenchmarkFindProject(b *testing.B) {
	root, err := rootfs.At("/")
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	dir := filepath.Join(b.TempDir(), "a/b/c/d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := FindProject(root, dir, uint32(os.Geteuid())); err != nil {
			b.Fatal(err)
		}
	}
}
