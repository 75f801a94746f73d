package headers

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker"
)

func TestDependencies(t *testing.T) {
	tests := []struct {
		text string
		want []string // nil: an error
	}{
		{"a.o: a.c b.h\n", []string{"a.c", "b.h"}},
		{"a.o: a.c \\\n b.h \\\n  /c/d.h\n", []string{"a.c", "b.h", "/c/d.h"}},
		{"a.o: \\\r\n a.c\\\r\n\tb.h\r\n", []string{"a.c", "b.h"}},
		{"a.o b\\ c.o: a.c", []string{"a.c"}},
		{"a:b.o:c d: a:b.c c: d:\n", []string{"a:b.c", "c:", "d:"}},
		{"a.o:\\\n a.c\n", []string{"a.c"}},
		{`o: a\ b.h c\#d.h e$$f.h i\j.h k\\\ l.h m\\\\\ n.h o\\#p.h q\\ r $x`, []string{
			"a b.h", "c#d.h", "e$f.h", `i\j.h`, `k\ l.h`, `m\\ n.h`, `o\#p.h`, `q\`, "r", "$x"}},
		{"a.o: a.c x.h\n\nx.h:\n\ny\\ z.h:\n", []string{"a.c", "x.h"}},
		{"a.o: a.c x\\", []string{"a.c", `x\`}},
		{"a.o:", []string{}}, {"", []string{}}, {"\n \n", []string{}},
		{"CXX_IMPORTS += a\n", nil}, {"a.c b.h", nil}, {"a:b\n", nil},
	}
	for _, tt := range tests {
		got, err := dependencies([]byte(tt.text))
		if (err != nil) != (tt.want == nil) || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}

// quote writes a name as gcc does.
func quote(name string) string {
	var b strings.Builder
	slashes := 0
	for _, c := range []byte(name) {
		switch c {
		case '$':
			b.WriteByte('$')
		case ' ', '\t':
			b.WriteString(strings.Repeat(`\`, slashes+1))
		case '#':
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		if slashes++; c != '\\' {
			slashes = 0
		}
	}
	return b.String()
}

// FuzzDependencies: any text gives names or an error, and names that were quoted
// come back.
func FuzzDependencies(f *testing.F) {
	for _, s := range []string{"a.o: b.c\n", "a\\ b: \\\n c\\#d $$", "x\x00y z\x00\\ ", ":\\\r\n", "\\\\\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := dependencies(data)
		sum := 0
		for _, n := range names {
			if sum += len(n); n == "" {
				t.Fatal("an empty name")
			}
		}
		if sum > len(data) || err != nil && names != nil {
			t.Fatalf("%d bytes of names in %d, %v", sum, len(data), err)
		}
		var list []string
		text := "t.o:"
		for name := range strings.SplitSeq(string(data), "\x00") {
			if name == "" || strings.ContainsAny(name, "\n\r") || strings.HasSuffix(name, `\`) {
				continue
			}
			list = append(list, name)
			text += " \\\n " + quote(name)
		}
		if got, err := dependencies([]byte(text + "\n")); err != nil || !slices.Equal(got, list) {
			t.Fatalf("%q: %q, %v; want %q", text, got, err, list)
		}
	})
}

func TestMissed(t *testing.T) {
	root := new(broker.Dir)
	for _, name := range []string{"/w/a.c", "/w/i/x.h", "/usr/include/y.h", "/w/a b.h"} {
		root.Put(name, broker.File{Blob: broker.BytesBlob([]byte(name))})
	}
	root.Mkdir("/w/empty")
	root.Mkdir("/w").Links = []broker.Link{{Name: "abs", Target: "/w/i/x.h"}, {Name: "dead", Target: "no"}, {Name: "l", Target: "../w/./i"}, {Name: "loop", Target: "loop"}}
	root.Links = []broker.Link{{Name: "cwd", Target: "w"}}
	tree := &Tree{Root: root}
	tests := []struct{ names, want string }{
		{"a.c i/x.h /usr/include/y.h a\\ b.h", ""},
		{"./a.c ../w/a.c ../../../w/a.c i/../a.c l/x.h l/../a.c l/../i/x.h abs /cwd/i//x.h /w/l/../abs", ""},
		{"b.c i/y.h i empty/ /usr a.c/x a.c/ loop dead none/../a.c loop", "b.c i/y.h i empty/ /usr a.c/x a.c/ loop dead none/../a.c"},
	}
	for _, tt := range tests {
		for _, dir := range []string{"/w", "/cwd", "/w/i/.."} {
			got, err := tree.Missed([]byte("o: "+tt.names), dir)
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("%s in %s: %q, %v; want %q", tt.names, dir, got, err, tt.want)
			}
		}
	}
	for _, dir := range []string{"/none", "/w/a.c", "/w/loop"} {
		if _, err := tree.Missed([]byte("o: a.c"), dir); err == nil {
			t.Errorf("%s is a directory", dir)
		}
	}
	if _, err := tree.Missed(make([]byte, maxDeps+1), "/w"); err == nil {
		t.Error("too long a list is read")
	}
}

// TestMissedOddNames: what the compilers quote, each in its way.
func TestMissedOddNames(t *testing.T) {
	odd := []string{"a b.h", "c#d.h", "e$f.h", "g:h.h", "q%r.h", "'.h", "(p).h", "x;y.h", "a=b.h", "~t.h", "*g.h", ": u.h", "ä.h"}
	plain := []string{`i\j.h`, `k\ l.h`, `m\\ n.h`, `o\#p.h`, "t\tab.h"} // gcc's alone
	for driver, names := range map[string][]string{"gcc-12": slices.Concat(odd, plain), "gcc-11": odd, "clang-14": odd} {
		h := newHome(t)
		var main strings.Builder
		for _, name := range names {
			if err := os.WriteFile(h.dir+"/"+name, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			main.WriteString("#include \"" + name + "\"\n")
		}
		h.write("a b.c: " + main.String())
		tree := h.tree(driver, "-c", "a b.c")
		r := h.atHome(driver, []string{"-c", "a b.c"})
		if r.status != 0 {
			t.Fatal(r.stderr)
		}
		if list, err := dependencies(r.deps); err != nil || len(list) < len(names)+1 {
			t.Errorf("%s: %d names, %v", driver, len(list), err)
		}
		if missed, err := tree.Missed(r.deps, h.dir); err != nil || missed != nil {
			t.Errorf("%s: %q, %v of\n%s", driver, missed, err, r.deps)
		}
		// Without one of the files the list tells.
		dir := tree.Root.Mkdir(h.dir)
		gone := dir.Files[len(dir.Files)/2].Name
		dir.Files = slices.Delete(dir.Files, len(dir.Files)/2, len(dir.Files)/2+1)
		if missed, err := tree.Missed(r.deps, h.dir); err != nil || !slices.Equal(missed, []string{gone}) {
			t.Errorf("%s: without %q: %q, %v", driver, gone, missed, err)
		}
	}
}
