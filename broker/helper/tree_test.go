package helper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// newWalled is a helper with walls, for jobs in tree form.
func newWalled(t *testing.T, driver string) *Helper {
	t.Helper()
	run, err := bubblewrap.New(bubblewrap.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	return newHelperOf(t, run, func(o *Options) {
		o.Search, o.Sandbox = []string{driver}, "bwrap"
		recallProbes(t, o)
	})
}

// A client is this machine as one that builds in a directory of its own.
type client struct {
	t    testing.TB
	dir  string // as the shell says it
	root *rootfs.Root

	probes drivers.Cache
}

func newClient(t testing.TB, files ...string) *client {
	t.Helper()
	root, err := rootfs.At("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, dir: dir, root: root}
	for pair := range slices.Chunk(files, 2) {
		c.write(pair[0], pair[1])
	}
	return c
}

func (c *client) write(name, text string) {
	c.t.Helper()
	name = filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// run runs a compiler at home.
func (c *client) run(ctx context.Context, p drivers.Program) (drivers.Output, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "PWD=" + c.dir}, p.Env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, &stdout, &stderr
	if len(p.Stdin) > 0 {
		stdin, err := os.CreateTemp(c.t.TempDir(), "stdin") // a file, as the agent gives
		if err != nil {
			return drivers.Output{}, err
		}
		defer stdin.Close()
		if _, err := stdin.WriteAt(p.Stdin, 0); err != nil {
			return drivers.Output{}, err
		}
		cmd.Stdin = stdin
	}
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		err = nil
	}
	return drivers.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Status: cmd.ProcessState.ExitCode()}, err
}

// job makes what an agent makes of a command.
func (c *client) job(tc toolchains.Toolchain, driver string, words ...string) *broker.Job {
	c.t.Helper()
	d, ok := argv.ParseDriver(path.Base(driver))
	if !ok {
		c.t.Fatalf("%s is no driver", driver)
	}
	cmd := argv.Parse(words, argv.Env{Driver: d, Native: true})
	if v := cmd.Verdict(); !v.Remote {
		c.t.Fatalf("%q: %+v", words, v)
	}
	native, cmd := c.resolve(tc, driver, cmd)
	src := headers.Source{
		Cmd: cmd, Dir: c.dir,
		Open: func(name string) (io.ReadCloser, error) { return os.Open(name) },
	}
	var err error
	if src.Defaults, err = headers.Ask(c.t.Context(), drivers.System{Root: c.root, Run: c.run}, driver, cmd); err != nil {
		c.t.Fatal(err)
	}
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer unix.Close(fd)
	later := func() time.Time { return time.Now().Add(time.Hour) }
	tree, err := headers.New(later).Scan(c.t.Context(), fd, src)
	if err != nil {
		c.t.Fatal(err)
	}
	j := &broker.Job{
		Name: d.Name(), Identity: tc.Identity, Fingerprint: tc.Fingerprint, Dir: c.dir, Form: broker.Tree,
		Args: cmd.Whole("out.o", "out.d", src.Words(tree)...), Native: native, Env: []string{"LC_ALL=C", "PWD=" + c.dir},
		Root: tree.Root, Outputs: []string{"out.o"}, Debug: cmd.Debug(),
	}
	if _, ok := cmd.Deps(); ok {
		j.Outputs = []string{"out.d", "out.o"}
	}
	return j
}

// same is the promise: what the helper makes of the tree is what the compiler
// makes at home.
func (c *client) same(h *Helper, driver string, words ...string) {
	c.t.Helper()
	c.sameAs(h, nativeOf(c.t, h), driver, words...)
}

// sameAs is same with one of several toolchains.
func (c *client) sameAs(h *Helper, tc toolchains.Toolchain, driver string, words ...string) {
	c.t.Helper()
	words = append(words, "-o", "obj/a.o")
	if err := errors.Join(os.RemoveAll(c.dir+"/obj"), os.Mkdir(c.dir+"/obj", 0o755)); err != nil {
		c.t.Fatal(err)
	}
	got, err := h.Run(c.t.Context(), c.job(tc, driver, words...))
	if err != nil {
		c.t.Errorf("%s %q: %v", driver, words, err)
		return
	}
	want, err := c.run(c.t.Context(), drivers.Program{Path: driver, Args: words})
	if err != nil {
		c.t.Fatal(err)
	}
	if got.ExitCode != want.Status || !bytes.Equal(got.Stdout, want.Stdout) || !bytes.Equal(got.Stderr, want.Stderr) {
		c.t.Errorf("%s %q: exit %d\n%s\nat home %d\n%s", driver, words, got.ExitCode, got.Stderr, want.Status, want.Stderr)
	}
	made, _ := os.ReadDir(c.dir + "/obj")
	if len(got.Outputs) != len(made) {
		c.t.Errorf("%s %q: outputs %+v, at home %v", driver, words, got.Outputs, made)
	}
	for _, o := range got.Outputs {
		b, err := o.Blob.Bytes(1 << 30)
		if err != nil {
			c.t.Fatal(err)
		}
		at, err := os.ReadFile(c.dir + "/obj/a" + path.Ext(o.Path))
		if err != nil || !bytes.Equal(b, at) {
			c.t.Errorf("%s %q: %s of %d bytes differs from that of %d bytes at home, %v", driver, words, o.Path, len(b), len(at), err)
		}
	}
}

// The directories lie so that each rule of a tree is needed by a compile below.
func project(t *testing.T) *client {
	c := newClient(t,
		"src/a.c", "#include <stdio.h>\n#include <stddef.h>\n#include \"own.h\"\n#include <up.h>\n#include \"../inc/../inc/own.h\"\nint main(void) { printf(\"%d %s\\n\", own(), __FILE__); return 0; }\n",
		"src/a.cc", "#include <vector>\n#include <string>\n#include \"own.h\"\nint f(const std::vector<std::string> &v) { return own() + v.size(); }\n",
		"src/bad.c", "#include \"own.h\"\nint f(void) { return own(1, 2) }\n",
		"inc/own.h", "#pragma once\n#include <limits.h>\n#define TWO(x) ((x) + \\\n   (x))\nstatic inline int own(void) { return TWO(CHAR_BIT); }\n",
		"inc/again/own.h", "#pragma once\n#include <limits.h>\n#define TWO(x) ((x) + \\\n   (x))\nstatic inline int own(void) { return TWO(CHAR_BIT); }\n",
		"real/up.h", "#include_next <limits.h>\nstatic int up;\n",
	)
	if err := os.Symlink("real", c.dir+"/linked"); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(c.dir+"/inc/own.h", c.dir+"/src/hard.h"); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTreeIsHome(t *testing.T) {
	for _, driver := range []string{"/usr/bin/gcc-12", "/usr/bin/clang-14"} {
		h := newWalled(t, driver)
		c := project(t)
		for _, flags := range []string{"-g -MD", "-O2 -g3 -MMD -MP", "-O2 -g -Wall -isystem inc/again", "-S -g -MD", "-O1 -include hard.h -H"} {
			c.same(h, driver, append(strings.Fields("-Iinc -Ilinked -Inone -c src/a.c"), strings.Fields(flags)...)...)
		}
		c.same(h, driver, "-Iinc", "-c", "src/bad.c", "-MD", "-g")
		plus := strings.Replace(strings.Replace(driver, "gcc", "g++", 1), "clang", "clang++", 1)
		c.same(h, plus, "-O2", "-g", "-Iinc", "-MD", "-c", "src/a.cc")
	}
}

// TestTreeBehindLink: the build's directory has a link in its name, which PWD
// tells and debug info then has.
func TestTreeBehindLink(t *testing.T) {
	for _, driver := range []string{"/usr/bin/gcc-12", "/usr/bin/clang-14"} {
		h := newWalled(t, driver)
		c := project(t)
		link := c.dir + ".link"
		if err := os.Symlink(path.Base(c.dir), link); err != nil {
			t.Fatal(err)
		}
		c.dir = link
		c.same(h, driver, strings.Fields("-g -Iinc -Ilinked -MD -c src/a.c")...)
	}
}

// A tree that was seen before, and one that is nearly it, come out as each alone
// would, and a cached result as the first.
func TestTreesInTurn(t *testing.T) {
	driver := "/usr/bin/gcc-12"
	h := newWalled(t, driver)
	c := project(t)
	job := func(macro string) *broker.Job {
		return c.job(nativeOf(t, h), driver, "-g3", "-Iinc", "-Ilinked", "-D"+macro, "-MD", "-c", "src/a.c", "-o", "a.o")
	}
	objects := map[broker.Digest]bool{}
	for i, change := range []func(){
		func() {},
		func() {
			c.write("inc/own.h", "#pragma once\n#include <limits.h>\nstatic inline int own(void) { return 2; }\n")
		},
		func() { c.write("inc/limits.h", "#include_next <limits.h>\n#define MORE\n") },
		func() { _ = os.Remove(c.dir + "/inc/limits.h") },
	} {
		change()
		j := job(fmt.Sprintf("N=%d", i))
		first, err := h.Run(t.Context(), j)
		if err != nil || first.ExitCode != 0 || first.Cached || len(first.Outputs) != 2 {
			t.Fatalf("run %d: %+v %v", i, first, err)
		}
		again, err := h.Run(t.Context(), j)
		if err != nil || !again.Cached || again.Outputs[1].Blob.Digest != first.Outputs[1].Blob.Digest || again.Outputs[0].Path != "out.d" {
			t.Errorf("run %d again: %+v %v", i, again, err)
		}
		objects[first.Outputs[1].Blob.Digest] = true
		c.same(h, driver, "-g3", "-Iinc", "-Ilinked", fmt.Sprintf("-DN=%d", i), "-c", "src/a.c")
	}
	if len(objects) != 4 {
		t.Errorf("%d objects of 4 trees", len(objects))
	}
}

// TestFailedTree: a compile that fails leaves the dependencies that gcc leaves,
// and is not kept.
func TestFailedTree(t *testing.T) {
	driver := "/usr/bin/gcc-12"
	h := newWalled(t, driver)
	c := project(t)
	for range 2 {
		res, err := h.Run(t.Context(), c.job(nativeOf(t, h), driver, "-Iinc", "-MD", "-c", "src/bad.c"))
		if err != nil || res.ExitCode != 1 || res.Cached || len(res.Outputs) != 1 || res.Outputs[0].Path != "out.d" {
			t.Errorf("got %+v %v, want the dependencies alone", res, err)
		}
	}
}

func TestTreeRejected(t *testing.T) {
	driver := "/usr/bin/gcc-12"
	h := newWalled(t, driver)
	c := newClient(t, "a.c", "int x;\n", "sub/b.c", "int y;\n")
	for _, tt := range []struct {
		name   string
		change func(*broker.Job)
		reason broker.Reason
	}{
		{"no form", func(j *broker.Job) { j.Form = 0 }, ReasonRejected},
		{"a directory for the outputs", func(j *broker.Job) { j.Outputs = []string{"x/out.o"} }, ReasonRejected},
		{"an output too few", func(j *broker.Job) { j.Args = append([]string{"-MD", "-MF", "out.d"}, j.Args...) }, ReasonRejected},
		{"an output too many", func(j *broker.Job) { j.Outputs = []string{"out.o", "out.d"} }, ReasonRejected},
		{"counters for a directory that is not there", counting("none/", "a.c"), ReasonRejected},
		{"counters for a directory of the helper's", counting("/etc/", "a.c"), ReasonRejected},
		{"counters for one that is closed", func(j *broker.Job) { j.Root.Mkdir("/usr/lib/gcc"); counting("/usr/lib/gcc/", "a.c")(j) }, ReasonTreeClosed},
		{"notes in the place of a header", func(j *broker.Job) {
			j.Root.Put(j.Dir+"/a.gcno", broker.File{Blob: broker.BytesBlob(nil)})
			counting("", "a.c")(j)
		}, ReasonTreeClosed},
		{"an output twice", func(j *broker.Job) {
			j.Args = append([]string{"-MD", "-MF", "out.d"}, j.Args...)
			j.Outputs = []string{"out.o", "out.o"}
		}, ReasonRejected},
		{"a date that is none", func(j *broker.Job) { j.Env = append(j.Env, "SOURCE_DATE_EPOCH=-1") }, ReasonRejected},
		{"another PWD", func(j *broker.Job) { j.Env = []string{"PWD=/"} }, ReasonRejected},
		{"a search path in the environment", func(j *broker.Job) { j.Env = []string{"CPATH=/w"} }, ReasonRejected},
		{"a plugin", func(j *broker.Job) { j.Args = append([]string{"-fplugin=x"}, j.Args...) }, ReasonRejected},
		{"no source", func(j *broker.Job) { j.Root.Mkdir(j.Dir).Files = nil }, ReasonRejected},
		{"a directory for a source", func(j *broker.Job) { j.Root.Mkdir(j.Dir).Files = nil; j.Root.Mkdir(j.Dir + "/a.c") }, ReasonRejected},
		{"another working directory", func(j *broker.Job) { j.Dir += "/none"; j.Env = nil }, ReasonRejected},
		{"another working directory, a source by its whole name", func(j *broker.Job) {
			j.Args[slices.Index(j.Args, "a.c")] = j.Dir + "/a.c"
			j.Dir, j.Env = j.Dir+"/none", nil
		}, ReasonRejected},
		{"a file for a working directory", func(j *broker.Job) {
			j.Args[slices.Index(j.Args, "a.c")] = j.Dir + "/a.c"
			j.Dir, j.Env = j.Dir+"/a.c", nil
		}, ReasonRejected},
		{"hard links that disagree", func(j *broker.Job) {
			j.Root.Put("/w/a.h", broker.File{Blob: broker.BytesBlob([]byte("1")), Class: 1})
			j.Root.Put("/w/b.h", broker.File{Blob: broker.BytesBlob([]byte("2")), Class: 1})
		}, ReasonRejected},
		{"preprocessed text that loads memory", func(j *broker.Job) {
			j.Args = append([]string{"-x", "cpp-output"}, j.Args...)
			j.Root.Put(j.Dir+"/a.c", broker.File{Blob: broker.BytesBlob([]byte("#pragma GCC pch_preprocess \"x\"\nint x;\n"))})
		}, ReasonRejected},
		{"a working directory among programs", func(j *broker.Job) {
			j.Dir, j.Env = "/usr/lib/gcc", nil
			j.Root.Mkdir(j.Dir)
		}, ReasonTreeClosed},
		{"a directory of the kernel's", func(j *broker.Job) { j.Root.Mkdir("/proc") }, ReasonTreeClosed},
		{"a link to where the sandbox writes", func(j *broker.Job) { j.Root.Links = []broker.Link{{Name: "x", Target: ".crosscc"}} }, ReasonTreeClosed},
		{"a directory for a program", func(j *broker.Job) { j.Root.Mkdir("/usr/bin/gcc-12") }, ReasonTreeClosed},
		{"a link for a directory of the sandbox's", func(j *broker.Job) {
			j.Dir, j.Env, j.Root = "/w", nil, treeOf("/w/a.c", "int x;\n")
			j.Root.Links = []broker.Link{{Name: "tmp", Target: "w"}}
		}, ReasonTreeClosed},
	} {
		j := c.job(nativeOf(t, h), driver, "-c", "a.c")
		tt.change(j)
		_, err := h.Run(t.Context(), j)
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != tt.reason {
			t.Errorf("%s: got %v, want a refusal because of %s", tt.name, err, tt.reason)
		}
	}
	h.o.Sandbox = "none"
	if _, err := h.Run(t.Context(), c.job(nativeOf(t, h), driver, "-c", "a.c")); err == nil || !strings.Contains(err.Error(), "without a sandbox") {
		t.Errorf("a tree without walls: %v", err)
	}
}

// counting changes a job into one that counts at run time, with its counters in dir.
func counting(dir, base string) func(*broker.Job) {
	return func(j *broker.Job) {
		j.Args = append([]string{"--coverage", "-frandom-seed=1", "-dumpdir", dir, "-dumpbase", base, "-dumpbase-ext", ".c"}, j.Args...)
		j.Outputs = []string{"out.gcno", "out.o"}
	}
}

// TestKeyText: what explain shows is what is hashed.
func TestKeyText(t *testing.T) {
	driver := "/usr/bin/gcc-12"
	h := newWalled(t, driver)
	c := newClient(t, "a.c", "int x;\n")
	j := c.job(nativeOf(t, h), driver, "-c", "a.c")
	text, err := h.Key(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.plan(j)
	if err != nil || keyOf(catalog.Located{Toolchain: nativeOf(t, h), SearchPath: h.o.Path}, p) != broker.DigestOf([]byte(text)) {
		t.Errorf("the text's digest is not the key: %v", err)
	}
	for _, want := range []string{"env \"PWD=" + c.dir, "input \"" + c.dir + "/a.c\"", "arg \"/.crosscc/0.o\"", "program \"cc1\""} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	j.Identity.Version = "1"
	if _, err := h.Key(t.Context(), j); err == nil {
		t.Error("a key without a toolchain")
	}
}
