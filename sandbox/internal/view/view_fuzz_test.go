package view

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
)

// FuzzView: whatever a tree is made of, no word for bubblewrap names a place that
// is reached through a link of the tree or is the sandbox's own, nothing of the
// tree is over the toolchain's files, and the last words are the command.
func FuzzView(f *testing.F) {
	for _, s := range []string{
		"w/a.c\nusr/include/a.h", "usr>w", "usr/lib>/etc", "usr/bin/gcc", "tmp/b/a\ntmp/l>../../etc", "lib>usr/lib\nusr/bin/x>/.crosscc", "a>b\nb>a\nw/x/", ".crosscc/x", "etc/passwd", "usr/bin/cc/x", "w>.\nw2>w/../..",
	} {
		f.Add(s, "/w", "gcc")
	}
	f.Fuzz(func(t *testing.T, text, dir, argv0 string) {
		if !filepath.IsAbs(dir) || strings.ContainsRune(text+dir+argv0, 0) || len(text) > 2000 || strings.HasPrefix(filepath.Base(argv0), "-") {
			return
		}
		s := &sandbox.Spec{Tree: layAny(t, text), Dir: filepath.Clean(dir), Path: "/usr/bin/gcc", Args: []string{argv0, "--x"}, Out: "/.crosscc"}
		words, err := Of(s, toolchain, sandbox.Limits{}.OrDefaults())
		if err != nil {
			return
		}
		if tail := words[len(words)-3:]; tail[0] != "--" || tail[2] != "--x" || !filepath.IsAbs(tail[1]) {
			t.Errorf("the command is %q", tail)
		}
		checkPlaces(t, s.Tree, words)
	})
}

// checkPlaces goes through the words as bubblewrap does.
func checkPlaces(t *testing.T, tree string, words []string) {
	links := map[string]bool{}
	operands := map[string]int{"--tmpfs": 1, "--dir": 1, "--symlink": 2, "--ro-bind": 2, "--ro-bind-data": 2, "--dev-bind": 2, "--size": 1, "--remount-ro": 1, "--chdir": 1}
	for i := 0; words[i] != "--"; i += 1 + operands[words[i]] {
		n, known := operands[words[i]]
		if !known {
			t.Fatalf("word %q of %q", words[i], words)
		}
		place := words[i+n]
		if words[i] == "--size" || words[i] == "--chdir" {
			continue
		}
		for d := filepath.Dir(place); d != "/"; d = filepath.Dir(d) {
			if links[d] {
				t.Errorf("%s is behind the link %s: %q", place, d, words)
			}
		}
		if words[i] == "--symlink" {
			links[place] = true
		}
		if fromTree := strings.HasPrefix(words[i+1], tree+"/"); fromTree && slices.ContainsFunc([]string{"/dev", "/proc", "/sys", "/etc", "/run", "/.crosscc", argv0Dir, "/usr/bin/gcc", "/usr/lib/libc.so.6"}, func(s string) bool {
			return place == s || strings.HasPrefix(place, s+"/")
		}) {
			t.Errorf("%s is the tree's: %q", place, words)
		}
	}
}

// layAny makes what it can of a text's lines.
func layAny(t *testing.T, text string) string {
	tree := t.TempDir()
	root, err := os.OpenRoot(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for line := range strings.Lines(text) {
		name, target, link := strings.Cut(strings.TrimSuffix(line, "\n"), ">")
		if !filepath.IsLocal(name) {
			continue
		}
		_ = root.MkdirAll(filepath.Dir(name), 0o755)
		switch {
		case link:
			_ = root.Symlink(target, name)
		case strings.HasSuffix(name, "/"):
			_ = root.Mkdir(name, 0o755)
		default:
			_ = root.WriteFile(name, nil, 0o644)
		}
	}
	return tree
}
