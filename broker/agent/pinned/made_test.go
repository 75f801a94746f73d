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

// The object's name comes last, behind those of the files that belong to it, and what
// fails takes away what its compiler does.
func TestTogether(t *testing.T) {
	outputs := []argv.Output{{Kind: argv.Dependencies, Name: "a.d", Job: "deps.d"}, {Kind: argv.Extra, Name: "a.su", Job: "out.su"}, {Kind: argv.Object, Name: "a.o", Job: "out.o"}}
	good := made{outputs: outputs, removed: []string{"a.o"}}
	for _, o := range outputs {
		good.res.Outputs = append(good.res.Outputs, broker.Output{Path: o.Job})
	}
	bad := made{res: broker.Result{ExitCode: 1, Stderr: []byte("b")}, outputs: outputs, removed: []string{"b.s"}}
	fin, blobs, targets := together([]made{good, bad})
	var names []string
	for i, o := range targets {
		names = append(names, o.Path+"="+blobs[i].Path)
	}
	if got := strings.Join(names, " "); got != "a.o=out.o a.su=out.su a.d=deps.d" || !targets[1].Keep || targets[0].Keep {
		t.Errorf("%s, %+v", got, targets)
	}
	if fin.Status != 1<<8 || string(fin.Stderr) != "b" || strings.Join(fin.Remove, " ") != "b.s" {
		t.Errorf("%+v", fin)
	}
}

// An archive that a failing ar has not written is not written here either: it would be
// younger than the objects that are not in it.
func TestAsItWas(t *testing.T) {
	tool, _ := task.ParseTool("ar")
	read, err := task.ReadTool(tool, []string{"rcs", "x.a", "a.o", "none.o"}, argv.Env{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Command{task: read, s: &session.Session{Client: &local.Client{Request: local.Request{Dir: "/w"}}}}
	j := &broker.Job{Root: new(broker.Dir)}
	j.Root.Put("/w/x.a", broker.File{Blob: broker.BytesBlob([]byte("old"))})
	for text, want := range map[string]bool{"old": true, "new": false} {
		if got := p.asItWas(j, broker.Output{Path: read.Changed[0], Blob: broker.BytesBlob([]byte(text))}); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// One file that would be written twice is not: which content it gets is the order's, which is another here.
func TestWritable(t *testing.T) {
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	p := &Command{s: &session.Session{Client: &local.Client{Request: local.Request{Dir: t.TempDir()}}, Files: root}}
	for names, want := range map[string]bool{"a.o b.o": true, "a.o ./a.o": false, "/dev/null /dev/null": true} {
		var outputs []argv.Output
		for _, name := range strings.Fields(names) {
			outputs = append(outputs, argv.Output{Name: name})
		}
		if err := p.writable(outputs); (err == nil) != want {
			t.Errorf("%s: %v", names, err)
		}
	}
}
