package pinned

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/agent/thin"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

func TestScriptNames(t *testing.T) {
	for text, want := range map[string]string{
		"INPUT(a.o, \"b c.o\" -lq)": "a.o b c.o libq.so libq.a",
		"GROUP ( /lib/libc.so.6 libnonshared.a\n AS_NEEDED ( -l:ld.so.2 ) )":                                                               "/lib/libc.so.6 libnonshared.a ld.so.2",
		"STARTUP(crt0.o) INCLUDE board.ld\nINCLUDE \"more.ld\"\n":                                                                          "crt0.o board.ld more.ld",
		"SEARCH_DIR(.)\nSEARCH_DIR(\"=/usr/lib\"); SEARCH_DIR (x)":                                                                         "| . /usr/lib x",
		"SECTIONS { .text : { *(.text) KEEP (*(SORT(.init))) } /DISCARD/ : { libc.a ( * ) } }":                                             "libc.a",
		"SECTIONS { .text : { crt0.o(.text) KEEP(b/x.o (.init)) *y.o(.text) x.a:z.o(.text) ./q.o(*) } .bss (NOLOAD) : { } . = ALIGN(8); }": "crt0.o b/x.o ./q.o",
		"/* INPUT(a.o) */ { global: INPUT; local: *; };":                                                                                   "",
	} {
		files, dirs := scriptNames([]byte(text))
		got := strings.Join(files, " ")
		if len(dirs) > 0 {
			got += "| " + strings.Join(dirs, " ")
		}
		if got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}

// inputsOf are the files of a directory that a link of an image's gets.
func inputsOf(t *testing.T, env []string, command string, files map[string]string) (string, error) {
	t.Helper()
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "$DIR", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &Command{s: &session.Session{Client: &local.Client{Request: local.Request{Dir: dir, Env: env}}, Files: root}}
	if p.task, err = task.Read(strings.Fields(command), argv.Env{Driver: argv.Driver{Family: argv.GCC}, Getenv: p.variable}); err != nil {
		t.Fatal(err)
	}
	reads, err := p.reads()
	var names []string
	for _, name := range reads {
		name = strings.TrimPrefix(p.s.Abs(name), dir+"/")
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			names = append(names, filepath.Clean(name))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " "), err
}

// thinWith is an archive whose members are files of these names.
func thinWith(names ...string) string {
	table := ""
	for _, n := range names {
		table += n + "/\n"
	}
	return thin.Magic + fmt.Sprintf("%-48s%-10d`\n", "//", len(table)) + table
}

// What a link reads without a word of the command naming it travels as well: the image
// may have others of those names.
func TestInputs(t *testing.T) {
	const archive = "!<arch>\n"
	for _, tt := range []struct{ command, variable, want string }{
		{"a.o -lz -o p", "LIBRARY_PATH=deps", "a.o deps/libz.a"},
		{"a.o -lz -o p", "LIBRARY_PATH=", "a.o"},
		{"a.o -lz -o p", "LIBRARY_PATH=none:", "a.o libz.a"},
		{"a.o -T board.ld -Llib -o p", "", "a.o board.ld lib/common.ld lib/libq.a start.o"},
		{"a.o far/list -o p", "", "a.o b.o far/beside.o far/list"},
		{"a.o -Llib -lt -o p", "", "a.o far/beside.o far/t.a lib/libq.a lib/libt.so"},
	} {
		got, err := inputsOf(t, []string{tt.variable}, tt.command, map[string]string{
			"a.o": "\x7fELF", "deps/libz.a": archive, "lib/libq.a": archive, "start.o": "\x7fELF", "b.o": "\x7fELF", "far/beside.o": "\x7fELF",
			"board.ld": "INCLUDE common.ld\nSECTIONS { }\n", "lib/common.ld": "GROUP (-lq -lc) STARTUP(start.o)", "far/list": "INPUT(beside.o $DIR/b.o)",
			"lib/libt.so": "/* GNU ld script */ INPUT(-lq $DIR/far/t.a)", "far/t.a": thinWith("beside.o", "none.o"),
		})
		if tt.variable == "LIBRARY_PATH=none:" {
			got, err = inputsOf(t, []string{tt.variable}, tt.command, map[string]string{"a.o": "\x7fELF", "libz.a": archive})
		}
		if err != nil || got != tt.want {
			t.Errorf("%s %s: %s, %v; want %s", tt.variable, tt.command, got, err, tt.want)
		}
	}
	for words, refused := range map[string]bool{"-fuse-ld=lld a.o -o p": true, "-fuse-ld=bfd a.o -o p": false, "a.o -o p": false, "-fuse-ld=lld -Wl,--no-dependent-libraries a.o -o p": false} {
		_, err := inputsOf(t, nil, words, map[string]string{"a.o": "\x7fELF" + strings.Repeat("x", 64<<10-10) + dependentLibraries})
		if f, ok := errors.AsType[*reason.Failure](err); ok != refused || ok && !strings.Contains(f.Text, ".deplibs") {
			t.Errorf("%s: %v", words, err)
		}
	}
	for script, want := range map[string]string{"SEARCH_DIR(lib)": "SEARCH_DIR"} {
		_, err := inputsOf(t, nil, "a.o -T x.ld -o p", map[string]string{"a.o": "", "x.ld": script, "thin.a": "!<thin>\n", "libt.so": "INPUT(x)"})
		if f, ok := errors.AsType[*reason.Failure](err); !ok || !strings.Contains(f.Text, want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}

// The variables that a linker heeds go from the wrapper to the image.
func TestPinnedEnviron(t *testing.T) {
	env := local.Listed([]string{"HOME=/x", "LD_RUN_PATH=/r", "LIBRARY_PATH=l", "CPATH=i", "EDITOR=e"})
	p := &Command{set: session.Settings{Locale: "C"}, s: &session.Session{Client: &local.Client{Request: local.Request{Env: env}}}}
	if got, want := strings.Join(p.environ(new(headers.Tree)), " "), "CPATH=i LC_ALL=C LD_RUN_PATH=/r LIBRARY_PATH=l"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
