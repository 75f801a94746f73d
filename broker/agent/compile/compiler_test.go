package compile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// A compiler that the wrapper has not found is another spelling's on PATH, unless the
// build named a file that it could not run.
func TestFind(t *testing.T) {
	const equal, other = "/bin/x86_64-linux-gnu-gcc", "x86_64-unknown-linux-gnu-gcc"
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin/x86_64-linux-gnu-gcc": 0o755, "link/" + other: 0o755, "plain/" + other: 0o644, "dir/" + other + "/x": 0o644} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for called, want := range map[string]string{
		other: equal, "./link/" + other: equal, "riscv64-linux-gnu-gcc": "",
		"none/" + other: "", "plain/" + other: "", "/dir/" + other: "",
	} {
		c := &Compile{Session: &session.Session{Client: &local.Client{Request: local.Request{Dir: "/", Env: []string{"PATH=/bin"}}}, Files: root}}
		c.Driver, _ = argv.ParseDriver(filepath.Base(called))
		err := c.find(called)
		_, failed := errors.AsType[*reason.Failure](err)
		if c.Program != want || failed != (want == "") {
			t.Errorf("%s: %q, %v; want %q", called, c.Program, err, want)
		}
	}
}
