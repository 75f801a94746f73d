package headers

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
)

// TestTimesAndClasses: a tree says of times and inodes which are alike among
// files of one content, and nothing else.
func TestTimesAndClasses(t *testing.T) {
	// Each line is a file with its content and time, or a hard link.
	tests := []struct {
		name  string
		files string
		want  string // name, time over a billion or -, class or -
	}{
		{"alone", "a=x@50 b=y@60", "a -- b --"},
		{"equal and one time", "a=x@50 b=x@50", "a -- b --"},
		{"equal, two times", "a=x@50 b=x@60", "a -- b 1-"},
		{"equal, two times, the first is newer", "a=x@60 b=x@50", "a -- b 1-"},
		{"three times", "a=x@9 b=x@7 c=x@8 d=x@7 e=x@9", "a -- b 1- c 2- d 1- e --"},
		{"by group", "a=x@9 b=y@9 c=x@8 d=y@8", "a -- b -- c 1- d 1-"},
		{"parts of a second", "a=x@5.25 b=x@5.75", "a -- b --"},
		{"before 1970", "a=x@-5.25 b=x@-5.75 c=x@-7", "a -- b -- c 1-"},
		{"empty", "a=@50 b=@60", "a -- b 1-"},
		{"byte order mark", "a=\xef\xbb\xbfx@50 b=x@60 c=\xef\xbb\xbf@1", "a -- b 1- c --"},
		{"links of one file", "a=x@50 b=a", "a -1 b -1"},
		{"classes", "a=x@1 b=y@1 c=b d=a e=z@1", "a -1 b -2 c -2 d -1 e --"},
		{"links and an equal file", "a=x@50 b=a c=x@60", "a -1 b -1 c 1-"},
		{"files go before directories", "d/a=x@50 z=x@60", "d/a 1- z --"},
		{"classes in directories", "d/a=x@50 d/b=y@50 z=d/b y=d/a", "d/a -1 d/b -2 y -1 z -2"},
	}
	for _, tt := range tests {
		h := newHome(t)
		var main strings.Builder
		for f := range strings.FieldsSeq(tt.files) {
			name, content, _ := strings.Cut(f, "=")
			fmt.Fprintf(&main, "#include \"%s\"\n", name)
			text, at, ok := strings.Cut(content, "@")
			if !ok {
				if err := os.Link(h.dir+"/"+content, h.dir+"/"+name); err != nil {
					t.Fatal(err)
				}
				continue
			}
			h.write(name + ": " + text)
			seconds, err := time.ParseDuration(at + "s")
			if err != nil {
				t.Fatal(err)
			}
			when := time.Unix(0, 0).Add(seconds)
			if err := os.Chtimes(h.dir+"/"+name, when, when); err != nil {
				t.Fatal(err)
			}
		}
		h.write("main.c: " + main.String())
		var got []string
		tree := h.tree("gcc-12", "-c", "main.c")
		for name := range strings.FieldsSeq(h.names(tree)) {
			f, _ := tree.Root.File(h.dir + "/" + name)
			modified, class := "-", "-"
			if f.Modified != 0 {
				modified = fmt.Sprint(f.Modified - 1_000_000_000)
			}
			if f.Class != 0 {
				class = fmt.Sprint(f.Class)
			}
			if name != "main.c" {
				got = append(got, name+" "+modified+class)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s: got %q, want %q", tt.name, tt.files, s, tt.want)
		}
	}
}

// TestTouch: whoever touches files and changes nothing gets the same tree, also
// where some are equal.
func TestTouch(t *testing.T) {
	h := newHome(t)
	h.write("a.c: #include \"p/x.h\"\n#include \"q/x.h\"\n#include \"r/x.h\"\n", "p/x.h: int x;\n", "q/x.h: int x;\n", "r/x.h: int x;\n")
	touch := func(seconds ...int64) string {
		for i, name := range []string{"a.c", "p/x.h", "q/x.h", "r/x.h"} {
			when := time.Unix(seconds[i], 0)
			if err := os.Chtimes(h.dir+"/"+name, when, when); err != nil {
				t.Fatal(err)
			}
		}
		return show(h.tree("gcc-12", "-c", "a.c"))
	}
	first := touch(10, 20, 30, 30)
	if touch(11, 90, 80, 80) != first {
		t.Error("a touch makes another tree")
	}
	if touch(11, 80, 80, 90) == first {
		t.Error("other files have one time, and the tree is the same")
	}
}

// TestPaths: a tree lists its files, the source among them.
func TestPaths(t *testing.T) {
	h := newHome(t)
	h.write("s/a.c: #include \"../x.h\"\n#include \"x.c\"\n", "x.h", "s/x.c")
	tree := h.tree("gcc-12", "-c", "s/a.c")
	var own []string
	for _, name := range tree.Paths() {
		if strings.HasPrefix(name, h.dir) {
			own = append(own, name)
		}
	}
	if want := []string{h.dir + "/s/a.c", h.dir + "/s/x.c", h.dir + "/x.h"}; !slices.Equal(own, want) {
		t.Errorf("got %q, want %q", own, want)
	}
}

// TestNoOpen: without a way to open files a tree can be looked at, and no file of
// it reads as empty.
func TestNoOpen(t *testing.T) {
	h := newHome(t)
	h.write("a.c: int x;\n")
	src := h.source("gcc-12", "-c", "a.c")
	src.Open = nil
	tree, err := h.s.Scan(t.Context(), h.fd, src)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := tree.Root.File(h.dir + "/a.c")
	if !ok || f.Blob.Digest != broker.DigestOf([]byte("int x;\n")) {
		t.Errorf("%+v", f)
	}
	if _, err := f.Blob.Open(); err == nil {
		t.Error("opened through nothing")
	}
}
