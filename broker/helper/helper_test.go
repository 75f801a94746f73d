package helper

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/toolchains"
)

// The helper of these tests has real compilers and no walls: what the walls do
// is the sandbox's own to test, and this way the tests run as any user.
func newHelper(t testing.TB, run sandbox.Runner) *Helper {
	t.Helper()
	return newHelperWith(t, "/usr/bin/gcc-12", run)
}

func newHelperWith(t testing.TB, driver string, run sandbox.Runner) *Helper {
	t.Helper()
	return newHelperOf(t, run, func(o *Options) {
		o.Search = []string{driver}
		if run == nil {
			recallProbes(t, o)
		}
	})
}

// newHelperOf is one whose options are changed before it starts.
func newHelperOf(t testing.TB, run sandbox.Runner, change func(*Options)) *Helper {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	dir := enterableDir(t)
	views := filepath.Join(dir, "views")
	if err := os.Mkdir(views, 0o711); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if run == nil {
		run = direct.New(direct.Options{Dir: views})
	}
	o := Options{
		Dir: dir, Views: views, Store: st, Runner: run, Sandbox: "none", Path: os.Getenv("PATH"), Slots: 2, Log: log,
	}
	change(&o)
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), st.Close()); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(views); len(left) > 0 {
			t.Errorf("%d views were left behind", len(left))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := h.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}

// enterableDir is a directory that the user of the sandbox can enter, as those
// of a helper that root started must be.
func enterableDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nativeOf is the one toolchain that newHelper finds, but for what it is besides.
func nativeOf(t testing.TB, h *Helper) toolchains.Toolchain {
	t.Helper()
	s, _ := h.State()
	s.Toolchains = slices.DeleteFunc(slices.Clone(s.Toolchains), func(tc toolchains.Toolchain) bool { return len(tc.Derived) > 0 })
	if len(s.Toolchains) != 1 {
		t.Fatalf("found %d toolchains with gcc-12 as the only place to look (apt-get install gcc-12)", len(s.Toolchains))
	}
	return s.Toolchains[0]
}

func job(t testing.TB, h *Helper, text string) *broker.Job {
	tc := nativeOf(t, h)
	return &broker.Job{
		Name: "gcc", Identity: tc.Identity, Fingerprint: tc.Fingerprint,
		Args: []string{"-O2", "-x", "cpp-output", "-c", "in.i", "-o", "out.o"}, Dir: "/work",
		Root: treeOf("/work/in.i", text), Outputs: []string{"out.o"}, Form: broker.Preprocessed,
	}
}

func TestRunThenCached(t *testing.T) {
	h := newHelper(t, nil)
	j := job(t, h, "int f(void) { return 1; }\n")
	first, err := h.Run(t.Context(), j)
	if err != nil || first.ExitCode != 0 || first.Cached || len(first.Outputs) != 1 {
		t.Fatalf("first run: %+v %v", first, err)
	}
	second, err := h.Run(t.Context(), j)
	if err != nil || !second.Cached || second.Outputs[0].Blob.Digest != first.Outputs[0].Blob.Digest {
		t.Fatalf("second run: %+v %v", second, err)
	}
	other, err := h.Run(t.Context(), job(t, h, "int f(void) { return 2; }\n"))
	if err != nil || other.Cached || other.Outputs[0].Blob.Digest == first.Outputs[0].Blob.Digest {
		t.Fatalf("other source: %+v %v", other, err)
	}
}

// What the compiler said no to is said again by the compiler, never by the cache.
func TestFailureIsNotKept(t *testing.T) {
	h := newHelper(t, nil)
	for range 2 {
		res, err := h.Run(t.Context(), job(t, h, "int f(\n"))
		if err != nil || res.ExitCode != 1 || res.Cached || len(res.Outputs) != 0 || !strings.Contains(string(res.Stderr), "expected") {
			t.Fatalf("got %+v %v", res, err)
		}
	}
}

func TestRejected(t *testing.T) {
	h := newHelper(t, nil)
	for _, tc := range []struct {
		name   string
		change func(*broker.Job)
		reason broker.Reason
	}{
		{"another program", func(j *broker.Job) { j.Name = "rm" }, ReasonRejected},
		{"a path for a name", func(j *broker.Job) { j.Name = "/usr/bin/gcc" }, ReasonRejected},
		{"a link", func(j *broker.Job) { j.Args = []string{"in.i", "-o", "out.o"} }, ReasonRejected},
		{"a plugin", func(j *broker.Job) { j.Args = append(j.Args, "-fplugin=/tmp/x.so") }, ReasonRejected},
		{"a wrapper", func(j *broker.Job) { j.Args = append(j.Args, "-wrapper", "/bin/sh") }, ReasonRejected},
		{"an output elsewhere", func(j *broker.Job) { j.Outputs = []string{"../x.o"} }, ReasonRejected},
		{"another output than the command's", func(j *broker.Job) { j.Outputs = []string{"x.o"} }, ReasonRejected},
		{"an input that climbs", func(j *broker.Job) { j.Root.Mkdir("/work").Files[0].Name = "../etc/passwd" }, ReasonRejected},
		{"a variable that moves the compiler", func(j *broker.Job) { j.Env = []string{"GCC_EXEC_PREFIX=/tmp/"} }, ReasonRejected},
		{"a locale that is not everywhere", func(j *broker.Job) { j.Env = []string{"LC_ALL=de_DE.UTF-8"} }, ReasonRejected},
		{"a file that the loader reads", func(j *broker.Job) { j.Root = with(j, "/etc/ld.so.preload", "/work/evil.so\n") }, ReasonRejected},
		{"a specs file beside cc1 (X20)", func(j *broker.Job) {
			j.Root = with(j, "/usr/lib/gcc/x86_64-linux-gnu/12/specs", "*cc1_options:\n-fplugin=/work/evil.so\n")
		}, ReasonRejected},
		{"a working directory in the toolchain", func(j *broker.Job) { j.Dir = "/usr/lib/gcc" }, ReasonRejected},
		{"a precompiled header in the text", func(j *broker.Job) {
			j.Root = treeOf("/work/in.i", "#pragma GCC pch_preprocess \"/work/h.gch\"\nint x;\n")
		}, ReasonRejected},
		{"a precompiled header, its pragma in other letters", func(j *broker.Job) {
			j.Root = treeOf("/work/in.i", "#pragma GCC \\U00000070\\u0063h\\u005Fpreprocess \"/work/h\"\nint x;\n")
		}, ReasonRejected},
		{"a precompiled header, its pragma in letters that newer compilers know", func(j *broker.Job) {
			j.Root = treeOf("/work/in.i", "#pragma GCC \\u{70}c\\N{LATIN SMALL LETTER H}\\u{005f}preprocess \"/work/h\"\nint x;\n")
		}, ReasonRejected},
		{"a precompiled header, its pragma in long letters", func(j *broker.Job) {
			j.Root = treeOf("/work/in.i", "#pragma GCC \\u{"+strings.Repeat("0", 1<<17)+"70}ch_preprocess \"/work/h\"\nint x;\n")
		}, ReasonRejected},
		{"a precompiled header, its pragma where the reader's buffer ends", func(j *broker.Job) {
			j.Root = treeOf("/work/in.i", "#pragma GCC"+strings.Repeat(" ", 1<<16+maxSpelling-30)+"\\U00000070ch_preproces\\U00000073 \"/work/h\"\nint x;\n")
		}, ReasonRejected},
		{"a file for the assembler, behind a long line", func(j *broker.Job) {
			j.Root = treeOf("/work/in.i", "int x; /*"+strings.Repeat("x", 1<<17)+"*/ __asm__(\".incbin \\\"/etc/passwd\\\"\");\n")
		}, ReasonRejected},
		{"no source", func(j *broker.Job) { j.Root = new(broker.Dir) }, ReasonRejected},
		{"another version", func(j *broker.Job) { j.Identity.Version = "12.1.0" }, ReasonNoMatch},
		{"another target", func(j *broker.Job) { j.Identity.Target = "sparc64-linux-gnu" }, ReasonNoMatch},
		{"other defaults", func(j *broker.Job) { j.Identity.Defaults = "0" }, ReasonNoMatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := job(t, h, "int x;\n")
			j.Args, j.Outputs = slices.Clone(j.Args), slices.Clone(j.Outputs)
			tc.change(j)
			_, err := h.Run(t.Context(), j)
			r, ok := errors.AsType[*broker.Refusal](err)
			if !ok || r.Reason != tc.reason {
				t.Errorf("got %v, want a refusal because of %s", err, tc.reason)
			}
		})
	}
}

// The environment of a compiler is the helper's choice but for the locale.
func TestEnvironment(t *testing.T) {
	var seen []string
	h := newHelper(t, nil)
	h.o.Runner = func(_ context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
		seen = s.Env
		return nil, errors.New("enough")
	}
	j := job(t, h, "int x;\n")
	j.Env = []string{"LC_ALL=C.UTF-8"}
	if _, err := h.Run(t.Context(), j); err == nil {
		t.Fatal("no error from a runner that fails")
	}
	want := []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=/tmp", "LC_ALL=C.UTF-8"}
	if !slices.Equal(seen, want) {
		t.Errorf("compiler got %q, want %q", seen, want)
	}
}

// More jobs than slots wait; none is lost.
func TestSlots(t *testing.T) {
	var running, most atomic.Int32
	unwalled := direct.New(direct.Options{Dir: enterableDir(t)})
	h := newHelper(t, func(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
		if s.Out == "" { // a probe
			return unwalled(ctx, s)
		}
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		time.Sleep(20 * time.Millisecond)
		return unwalled(ctx, s)
	})
	errs := make(chan error, 10)
	for i := range 10 {
		j := job(t, h, strings.Repeat("\n", i)+"int x;\n")
		go func() { _, err := h.Run(t.Context(), j); errs <- err }()
	}
	for range 10 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 2 {
		t.Errorf("%d jobs ran at once in 2 slots", most.Load())
	}
}

func TestDrain(t *testing.T) {
	h := newHelper(t, nil)
	j := job(t, h, "int x;\n")
	if err := h.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := h.Run(t.Context(), j)
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonDraining {
		t.Errorf("job after drain: %v", err)
	}
}

// A compiler that is replaced while a job runs has said nothing that counts, and
// nothing of it is kept.
func TestToolchainChangesMeanwhile(t *testing.T) {
	dir := enterableDir(t)
	driver, cc1 := filepath.Join(dir, "bin/gcc-12"), filepath.Join(dir, "lib/gcc/x86_64-linux-gnu/12/cc1")
	copyFile(t, "/usr/bin/gcc-12", driver)
	copyFile(t, "/usr/lib/gcc/x86_64-linux-gnu/12/cc1", cc1)
	unwalled := direct.New(direct.Options{Dir: dir})
	replace := true
	h := newHelperWith(t, driver, func(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
		if s.Out != "" && replace {
			f, err := os.OpenFile(cc1, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return nil, err
			}
			_, err = f.WriteString("upgraded")
			if err := errors.Join(err, f.Close()); err != nil {
				return nil, err
			}
		}
		return unwalled(ctx, s)
	})
	j := job(t, h, "int x;\n")
	if res, err := h.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), "changed while a job ran") {
		t.Fatalf("got %+v %v, want an error that says that the toolchain changed", res, err)
	}
	replace = false
	// The old fingerprint is another build of the same version, whose objects nobody
	// has compared.
	_, err := h.Run(t.Context(), j)
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonNoMatch {
		t.Errorf("afterwards, for a client of the old one: %v", err)
	}
	now, err := h.catalog.Probe(t.Context(), h.catalog.Host(), driver)
	if err != nil {
		t.Fatal(err)
	}
	k := *j
	k.With = now.Digest()
	if res, err := h.Run(t.Context(), &k); err != nil || res.Cached {
		t.Errorf("for one that has compared them: cached %t, %v", res.Cached, err)
	}
	k.With = strings.Repeat("0", len(k.With))
	_, err = h.Run(t.Context(), &k)
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || r.Reason != ReasonNoMatch {
		t.Errorf("for one that has compared others: %v", err)
	}
	k.With, k.Fingerprint = "", now.Fingerprint
	if res, err := h.Run(t.Context(), &k); err != nil {
		t.Errorf("for a client of the new one: %+v, %v", res, err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatalf("%v (apt-get install gcc-12)", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// with adds an input to a job's.
func with(j *broker.Job, name, text string) *broker.Dir {
	j.Root.Put(name, broker.File{Blob: broker.BytesBlob([]byte(text))})
	return j.Root
}

// treeOf is a tree of files, path and text by turns.
func treeOf(files ...string) *broker.Dir {
	d := new(broker.Dir)
	for pair := range slices.Chunk(files, 2) {
		d.Put(pair[0], broker.File{Blob: broker.BytesBlob([]byte(pair[1]))})
	}
	return d
}

// clang follows #include in preprocessed text too; gcc does not.
func TestAdmitText(t *testing.T) {
	h := newHelper(t, nil)
	for text, bad := range map[string]bool{
		"int x;\n":                        false,
		"# 1 \"a.c\"\nint x;\n":           false,
		"#include \"/etc/hostname\"\n":    true,
		"int x;\n  %: include <a.h>\n":    true,
		"#pragma clang module import x\n": true,
		"#pragma clang diagnostic push\n": false,
		"const char *s = \"#include\";\n": false,
		strings.Repeat("int x;\n# 7 \"a.c\"\n", 1<<13) + "??= embed \"x\"\n": true,
		strings.Repeat("int x;\n# 7 \"a.c\"\n", 1<<13) + "int y;\n":          false,
	} {
		j := job(t, h, text)
		cmd := argv.Parse(j.Args, argv.Env{Driver: argv.Driver{Family: argv.Clang}})
		if err := h.admitText(j, cmd); (err != nil) != bad {
			t.Errorf("%q: %v, want a refusal: %t", text, err, bad)
		}
	}
}
