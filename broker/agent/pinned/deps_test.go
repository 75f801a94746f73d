package pinned

import (
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// What is not here is no target's need, and the rest stays as it was.
func TestWithout(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":          {"a.o: a.c b.h \\\n c.h\n", "a.o: a.c b.h \\\n c.h\n"},
		"one line":         {"a.o: a.c /usr/x.h b.h\n", "a.o: a.c b.h\n"},
		"a line in it":     {"a.o: a.c \\\n /usr/x.h /usr/y.h \\\n b.h\n", "a.o: a.c \\\n b.h\n"},
		"the last line":    {"a.o: a.c \\\n /usr/x.h \\\n /usr/y.h\n", "a.o: a.c\n"},
		"a part of lines":  {"a.o: a.c /usr/x.h \\\n b.h /usr/y.h\n", "a.o: a.c \\\n b.h\n"},
		"phony targets":    {"a.o: a.c /usr/x.h b.h\n/usr/x.h:\nb.h:\n", "a.o: a.c b.h\nb.h:\n"},
		"gcc's older":      {"a.o: a.c /usr/x.h b.h\n\n/usr/x.h:\n\nb.h:\n", "a.o: a.c b.h\n\nb.h:\n"},
		"what is here":     {"/usr/a.o: a.c /usr/x.h /usr/here.h\n/usr/x.h:\n/usr/here.h:\n", "/usr/a.o: a.c /usr/here.h\n/usr/here.h:\n"},
		"quoted":           {"a.o: a\\ b.c /usr/a\\ x.h\n", "a.o: a\\ b.c /usr/a\\ x.h\n"},
		"a blank's behind": {"a.o: a.c my\\ /usr/x.h /usr/x.h b.h\n", "a.o: a.c my\\ /usr/x.h b.h\n"},
		"targets":          {"/usr/a.o \\\n /usr/b.o: a.c \\\n /usr/x.h\n", "/usr/a.o \\\n /usr/b.o: a.c\n"},
		"a linker's":       {"p: \\\n  /usr/crt1.o \\\n  m.o \\\n  /usr/crtn.o\n\n/usr/crt1.o:\n\nm.o:\n\n/usr/crtn.o:\n", "p: \\\n  m.o\n\nm.o:\n"},
		"empty":            {"", ""},
	} {
		absent := func(name string) bool {
			return strings.HasPrefix(name, "/usr/") && !strings.Contains(name, "\\") && name != "/usr/here.h"
		}
		if got := without(tt.text, absent); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Every rule for make loses them: a compile's, a linker's, and those that -M writes and prints.
func TestOwnDeps(t *testing.T) {
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	const text = "a.o: a.c /usr/none/of/crosscc.h\n"
	for command, want := range map[string]string{
		"gcc -M a.c":                        "a.o: a.c\n",
		"gcc -M a.c -o a.d":                 "a.o: a.c\n",
		"gcc -M a.c -MF a.d":                "a.o: a.c\n",
		"gcc -E a.c":                        text,
		"gcc -E a.c -o a.i":                 text,
		"gcc -E -MD a.c -MF a.d":            "a.o: a.c\n",
		"gcc a.o -Wl,--dependency-file=a.d": "a.o: a.c\n",
		"gcc a.o -Wl,-Map=a.map":            text,
	} {
		words := strings.Fields(command)
		read, err := task.ReadNamed(words[0], words[1:], argv.Env{Family: argv.GCC})
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		p := &Command{task: read, s: &session.Session{Client: &local.Client{Request: local.Request{Dir: "/"}}, Files: root}}
		all := []made{{res: broker.Result{Stdout: []byte(text)}, outputs: read.Outputs}}
		for _, o := range read.Outputs {
			all[0].res.Outputs = append(all[0].res.Outputs, broker.Output{Path: o.Job, Blob: broker.BytesBlob([]byte(text))})
		}
		if err := p.ownDeps(all); err != nil {
			t.Fatal(err)
		}
		got := all[0].res.Stdout
		if len(read.Outputs) > 0 {
			got, err = all[0].res.Outputs[0].Blob.Bytes(1 << 10)
		}
		if string(got) != want || err != nil {
			t.Errorf("%s: %q, want %q, %v", command, got, want, err)
		}
	}
}
