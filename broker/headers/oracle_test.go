package headers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

const install = "apt-get install gcc-11 g++-11 gcc-12 g++-12 gcc-12-aarch64-linux-gnu g++-12-aarch64-linux-gnu clang-14 libstdc++-12-dev bubblewrap"

// need fails the test when a program is missing, and says what to install.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: %s", program, install)
	}
	return path
}

// home is this machine as a client: its root, its compilers and a directory of
// the test's.
type home struct {
	t    testing.TB
	root *rootfs.Root
	fd   int
	dir  string // the working directory
	env  []string
	s    *Scanner

	asked    map[string]Source // by driver, see cached
	compared int               // see reads
}

func newHome(t testing.TB) *home {
	t.Helper()
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close(); unix.Close(fd) })
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &home{t: t, root: root, fd: fd, dir: dir, env: []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, s: New(later), asked: map[string]Source{}}
}

// later is a clock by which every file has settled.
func later() time.Time { return time.Now().Add(time.Hour) }

func (h *home) getenv(key string) string {
	for i := len(h.env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(h.env[i], key+"="); ok {
			return v
		}
	}
	return ""
}

func (h *home) run(ctx context.Context, p drivers.Program) (drivers.Output, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env = append(h.env[:len(h.env):len(h.env)], p.Env...)
	cmd.Env = append(cmd.Env, "PWD="+h.dir)
	cmd.Dir = h.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p.Stdin), &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		err = nil
	}
	return drivers.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Status: cmd.ProcessState.ExitCode()}, err
}

func (h *home) system() drivers.System {
	return drivers.System{Root: h.root, Run: h.run, Getenv: h.getenv}
}

// write makes files below the working directory, each "NAME" or "NAME: TEXT".
func (h *home) write(files ...string) {
	h.t.Helper()
	for _, f := range files {
		name, text, _ := strings.Cut(f, ": ")
		name = filepath.Join(h.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
}

// source makes the Source of one command.
func (h *home) source(driver string, words ...string) Source {
	h.t.Helper()
	src := h.parse(driver, words)
	var err error
	if src.Defaults, err = Ask(h.t.Context(), h.system(), need(h.t, driver), src.Cmd); err != nil {
		h.t.Fatal(err)
	}
	return src
}

// parse makes a Source without Defaults.
func (h *home) parse(driver string, words []string) Source {
	h.t.Helper()
	d, ok := argv.ParseDriver(filepath.Base(driver))
	if !ok {
		h.t.Fatalf("%s is no driver's name", driver)
	}
	open := func(name string) (io.ReadCloser, error) { return os.Open(name) }
	return Source{Cmd: argv.Parse(words, argv.Env{Driver: d}), Dir: h.dir, Getenv: h.getenv, Open: open}
}

func (h *home) scan(driver string, words ...string) (*Tree, error) {
	h.t.Helper()
	return h.s.Scan(h.t.Context(), h.fd, h.source(driver, words...))
}

// tree scans, and fails the test when that can't be done.
func (h *home) tree(driver string, words ...string) *Tree {
	h.t.Helper()
	tree, err := h.scan(driver, words...)
	if err != nil {
		h.t.Fatalf("%s %q: %v", driver, words, err)
	}
	return tree
}

// names are the tree's files below the working directory, relative to it.
func (h *home) names(t *Tree) string {
	var out []string
	for _, name := range t.Paths() {
		if rel, ok := strings.CutPrefix(name, h.dir+"/"); ok {
			out = append(out, rel)
		}
	}
	return strings.Join(out, " ")
}

// show writes all that a tree says.
func show(t *Tree) string {
	var b strings.Builder
	for name, e := range t.Root.All() {
		switch {
		case e.File != nil:
			fmt.Fprintf(&b, "%s %s %d %d\n", name, e.File.Blob.Digest, e.File.Modified, e.File.Class)
		case e.Link != nil:
			fmt.Fprintf(&b, "%s > %s\n", name, e.Link.Target)
		default:
			fmt.Fprintf(&b, "%s/\n", name)
		}
	}
	fmt.Fprintf(&b, "%q %v\n", t.Words, t.NotUTF8)
	return b.String()
}

// reason is the reason of an *Unsound.
func reason(err error) string {
	if u, ok := errors.AsType[*Unsound](err); ok {
		return string(u.Reason)
	}
	if err != nil {
		return "another error: " + err.Error()
	}
	return "none"
}
