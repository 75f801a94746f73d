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
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// archiveOf is an archive of empty members "NAME MODE".
func archiveOf(members ...string) string {
	text := thin.Plain
	for _, m := range members {
		name, mode, _ := strings.Cut(m, " ")
		text += fmt.Sprintf("%-40s%-8s%-10d`\n", name+"/", "100"+mode, 0)
	}
	return text
}

// What ar takes out is what the archive has, by the names that the helper is told, and with the modes of ar.
func TestExtraction(t *testing.T) {
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"x.a": archiveOf("a.o 644", "b.o 755", "a.o 600"), "none.a": archiveOf(), "junk.a": "junk", "thin.a": thin.Magic, "old.a": thin.Plain + strings.Repeat("x", 60),
		"secret.a": archiveOf("a.o 200"), "setuid.a": archiveOf("a.o 4755"), "up.a": archiveOf(".. 644"), "words.a": archiveOf("@words 644"), "dash.a": archiveOf("-x 644"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "b.o"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		family argv.Family
		words  string
		want   string // words, and outputs with their modes
		fails  string
	}{
		{argv.GCC, "xv x.a", "xv x.a a.o b.o a.o, a.o 600, b.o 755", ""},
		{argv.GCC, "x x.a a.o", "x x.a a.o, a.o 644", ""},
		{argv.GCC, "x x.a a.o b.o a.o a.o", "x x.a a.o b.o a.o a.o, a.o 600, b.o 755", ""},
		{argv.Clang, "x x.a", "x x.a a.o b.o a.o, a.o 600, b.o 700", ""},
		{argv.Clang, "x x.a a.o", "x x.a a.o, a.o 640", ""},
		{argv.GCC, "x none.a", "x none.a", ""},
		{argv.GCC, "x junk.a", "x junk.a", ""},
		{argv.GCC, "x thin.a a.o", "x thin.a a.o, a.o 0", ""},
		{argv.GCC, "x gone.a", "x gone.a", ""},
		{argv.GCC, "t x.a a.o", "t x.a a.o", ""},
		{argv.GCC, "x x.a c.o", "", "x.a has no member c.o"},
		{argv.GCC, "x old.a", "", "is none"},
		{argv.GCC, "x secret.a", "", "can't be taken out"},
		{argv.GCC, "x setuid.a", "", "can't be taken out"},
		{argv.GCC, "x up.a", "", "in the working directory"},
		{argv.GCC, "x words.a", "", "@words"},
		{argv.GCC, "x dash.a", "", "-x"},
	} {
		p := &Command{s: &session.Session{Client: &local.Client{Request: local.Request{Dir: dir, Args: append([]string{"ar"}, strings.Fields(tt.words)...), Umask: 0o027}}, Files: root}}
		p.tc.Family = tt.family
		if p.task, err = task.ReadNamed("ar", p.s.Request.Args[1:], p.reading()); err != nil {
			t.Fatal(err)
		}
		err = p.extraction()
		got := []string{strings.Join(p.task.Words(nil), " ")}
		for _, o := range p.task.Outputs {
			got = append(got, fmt.Sprintf("%s %o", o.Name, p.modes[o.Job]))
		}
		slices.Sort(got[1:])
		f, refused := errors.AsType[*reason.Failure](err)
		if refused != (tt.fails != "") || refused && !strings.Contains(f.Text, tt.fails) || !refused && strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %q, %v; want %q, %q", tt.words, got, err, tt.want, tt.fails)
		}
	}
}
