package headers

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBadFiles: what is no header, in each place where one may be named. Nothing
// is opened that could wait or have no end.
func TestBadFiles(t *testing.T) {
	tests := []struct{ name, changes, words, want string }{
		{"a FIFO", "fifo x.h", "a.c", "special-file"},
		{"a FIFO by a link", "fifo f; ln f x.h", "a.c", "special-file"},
		{"a FIFO behind the right header", "fifo p/x.h; write x.h", "-Ip a.c", "none"},
		{"a FIFO before the right header", "fifo p/y.h; write q/y.h; write x.h #include <y.h>", "-Ip -Iq a.c", "special-file"},
		{"a FIFO as a directory", "fifo f; write x.h", "-If a.c", "special-file"},
		{"a FIFO on the way", "fifo f; write x.h #include \"f/y.h\"", "a.c", "none"}, // compilers don't open it
		{"a FIFO as the source", "fifo f.c", "f.c", "special-file"},
		{"a FIFO is asked for", "fifo f; write x.h #if __has_include(\"f\")\\n#endif", "a.c", "special-file"},
		{"a FIFO for the assembler", "fifo f; write x.h asm(\".incbin \\\"f\\\"\");", "a.c", "special-file"},
		{"a FIFO in a line number", "fifo f; write x.h #line 1 \"f\"", "a.c", "special-file"},
		{"a FIFO unasked", "fifo p/stdc-predef.h; write x.h", "-Ip a.c", "special-file"},
		{"a FIFO precompiled", "fifo x.h.gch; write x.h", "a.c", "special-file"},
		{"a socket", "socket x.h", "a.c", "special-file"},
		{"a device", "write x.h #include \"/dev/zero\"", "a.c", "special-file"},
		{"a device by a link", "ln /dev/zero x.h", "a.c", "special-file"},
		{"a device by dots", "write x.h #include \"../../../../../../dev/zero\"", "a.c", "special-file"},
		{"a device as a directory", "write x.h", "-I/dev/null a.c", "special-file"},
		{"devices", "write x.h", "-I/dev a.c", "special-file"},
		{"standard input", "write x.h #include \"/dev/stdin\"", "a.c", "special-file"},
		{"its descriptor", "write x.h #include \"/proc/self/fd/0\"", "a.c", "special-file"},
		{"itself in /proc", "write x.h #include \"/proc/self/maps\"", "a.c", "special-file"},
		{"a link into /proc", "ln /proc/self/environ x.h", "a.c", "special-file"},
		{"a directory linked to /proc", "ln /proc/self p; write x.h #include \"p/environ\"", "a.c", "special-file"},
		{"/proc as a directory", "write x.h", "-I/proc/self a.c", "special-file"},
		{"/sys given", "write x.h", "-include /sys/kernel/uevent_seqnum a.c", "special-file"},
		{"a directory as the source", "mkdir d.c", "d.c", "unreadable-file"},
		{"a loop of files", "write x.h #include \"y.h\"; write y.h #include \"x.h\"\\n#include \"a.c\"", "a.c", "none"},
		{"a loop with itself", "write x.h #include \"x.h\"\\n#include \"./x.h\"\\n#include \".//.//x.h\"", "a.c", "none"},
		{"a loop of next", "write x.h #include_next <x.h>; ln . p; ln . q", "-Ip -Iq -I. a.c", "none"},
		{"a loop of links", "ln x.h y; ln y x.h", "a.c", "unreadable-file"},
		{"a loop of directories", "ln . d; write x.h #include \"d/d/d/d/d/d/d/d/x.h\"", "a.c", "none"},
		{"too many links", "ln . d; write x.h #include \"" + strings.Repeat("d/", 50) + "x.h\"", "a.c", "unreadable-file"},
		{"a zero byte in a name", "write x.h #include \"y.h\x00z\"; write y.h", "a.c", "unreadable-file"},
		{"its own file by a macro", "write x.h #include __FILE__", "a.c", "computed-include"},
	}
	for _, tt := range tests {
		h := newHome(t)
		h.write("a.c: #include \"x.h\"\n")
		for _, d := range []string{"p", "q"} {
			if strings.Contains(tt.changes, " "+d+"/") {
				h.change("mkdir " + d)
			}
		}
		h.change(tt.changes)
		for range 2 { // what was remembered is no better
			tree, err := h.scan("gcc-12", append(strings.Fields(tt.words), "-c")...)
			if got := reason(err); got != tt.want {
				t.Errorf("%s: %s (%v), want %s", tt.name, got, err, tt.want)
			}
			if err == nil {
				h.isHere(tt.name, tree)
			}
		}
	}
}

// TestUnreadable: files and directories that the agent may not read.
func TestUnreadable(t *testing.T) {
	tests := []struct {
		name, changes string
		modes         map[string]os.FileMode
		want          string
	}{
		{"header", "write x.h", map[string]os.FileMode{"x.h": 0}, "unreadable-file"},
		{"source", "write x.h", map[string]os.FileMode{"a.c": 0}, "unreadable-file"},
		{"directory of a header", "write p/y.h; write x.h #include \"p/y.h\"", map[string]os.FileMode{"p": 0}, "unreadable-file"},
		{"directory of the search path", "write p/i/y.h; write x.h", map[string]os.FileMode{"p": 0}, "unreadable-file"},
		{"directory that can't be listed", "write p/i/y.h; write x.h #include <y.h>\\n#include <z.h>", map[string]os.FileMode{"p/i": 0o711, "p": 0o711}, "none"},
	}
	runtime.LockOSThread() // the user below is the thread's
	defer runtime.UnlockOSThread()
	for _, tt := range tests {
		h := newHome(t)
		h.change("write a.c #include \"x.h\"; " + tt.changes)
		src := h.source("gcc-12", "-Ip/i", "-c", "a.c")
		for name, mode := range tt.modes {
			if err := os.Chmod(h.dir+"/"+name, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Dir(h.dir), 0o755); err != nil {
			t.Fatal(err)
		}
		// Root may read all, so it is somebody else for a moment.
		asNobody(t, func() {
			for range 2 {
				tree, err := h.s.Scan(t.Context(), h.fd, src)
				if got := reason(err); got != tt.want {
					t.Errorf("%s: %s (%v), want %s", tt.name, got, err, tt.want)
				}
				if err == nil && h.names(tree) != "a.c p/i/y.h x.h" {
					t.Errorf("%s: %s", tt.name, h.names(tree))
				}
			}
		})
		for name := range tt.modes {
			os.Chmod(h.dir+"/"+name, 0o755)
		}
	}
}

func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := unix.SetfsuidRetUid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	f()
}

// TestManyDirectories: a search path of thousands of directories ends with a
// reason, there or not.
func TestManyDirectories(t *testing.T) {
	for _, there := range []bool{false, true} {
		h := newHome(t)
		h.write("a.c: #include <x.h>\n")
		words := []string{"-c", "a.c"}
		for i := range 20000 {
			words = append(words, fmt.Sprintf("-Id%d", i))
			if there && i < 2000 {
				h.change(fmt.Sprintf("mkdir d%d", i))
			}
		}
		if _, err := h.scan("gcc-12", words...); reason(err) != "tree-too-large" {
			t.Errorf("there %v: %v", there, err)
		}
		// What is within the bounds is found, with all those directories.
		tree, err := h.scan("gcc-12", words[:902]...)
		if err != nil {
			t.Fatal(err)
		}
		dirs := 0
		for name := range tree.Root.All() {
			if strings.HasPrefix(name, h.dir+"/d") {
				dirs++
			}
		}
		if want := map[bool]int{true: 900}[there]; dirs != want {
			t.Errorf("%d directories, want %d", dirs, want)
		}
	}
}
