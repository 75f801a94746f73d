package helper

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
)

// sumOf is a digest as images have it.
var sumOf = "sha256:" + strings.Repeat("1", 64)

// pinnedHelper serves an image with a cross gcc and one header, and no other compiler.
func pinnedHelper(t *testing.T) (*Helper, toolchains.Toolchain, *directories) {
	t.Helper()
	dir := imageOf(t, riscv)
	header := filepath.Join(dir, "usr/riscv64-linux-gnu/include/own.h")
	if err := os.MkdirAll(filepath.Dir(header), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(header, []byte("#include <config.h>\nint theirs;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	kept := newDirectories()
	kept.put(sumOf, dir)
	h := newImaged(t, kept)
	return h, await(t, h, "an image", serves(1)).Toolchains[0], kept
}

// pinnedJob is a job of the image's with files "NAME: TEXT" in /home/me/p.
func pinnedJob(tc toolchains.Toolchain, words []string, outputs []string, files ...string) *broker.Job {
	root := new(broker.Dir)
	root.Mkdir("/home/me/p")
	for _, f := range files {
		name, text, _ := strings.Cut(f, ": ")
		if !strings.HasPrefix(name, "/") {
			name = "/home/me/p/" + name
		}
		root.Put(name, broker.File{Blob: broker.BytesBlob([]byte(text))})
	}
	return &broker.Job{
		Name: "riscv64-unknown-linux-gnu-gcc", Identity: tc.Identity, Fingerprint: tc.Fingerprint, Image: sumOf,
		Dir: "/home/me/p", Env: []string{"LC_ALL=C"}, Root: root, Form: broker.Tree, Args: words, Outputs: outputs,
	}
}

// The image's headers are seen and the client's files are laid over it; what prints
// comes back.
func TestPinned(t *testing.T) {
	h, tc, kept := pinnedHelper(t)
	source, config := "a.c: #include <own.h>\nint mine = MINE;\n", "inc/config.h: #define MINE 7\n"
	res, err := h.Run(t.Context(), pinnedJob(tc, []string{"-Iinc", "-g", "-c", "a.c", "-o", "out.o"}, []string{"out.o"}, source, config))
	if err != nil || res.ExitCode != 0 || len(res.Outputs) != 1 {
		t.Fatalf("compile: %+v, %v", res, err)
	}
	res, err = h.Run(t.Context(), pinnedJob(tc, []string{"-Iinc", "-E", "-P", "a.c"}, nil, source, config))
	if err != nil || string(res.Stdout) != "int theirs;\nint mine = 7;\n" {
		t.Errorf("-E: %q, %q, %v", res.Stdout, res.Stderr, err)
	}
	if res, err = h.Run(t.Context(), pinnedJob(tc, []string{"-Iinc", "-E", "-P", "a.c"}, nil, source, config)); err != nil || !res.Cached {
		t.Errorf("-E again: cached %v, %v", res.Cached, err)
	}
	res, err = h.Run(t.Context(), pinnedJob(tc, []string{"-E", "a.c", "-o", "out.i"}, []string{"out.i"}, source))
	if err != nil || res.ExitCode != 1 || !strings.Contains(string(res.Stderr), "config.h: No such file") {
		t.Errorf("without the client's header: %d %q, %v", res.ExitCode, res.Stderr, err)
	}
	res, err = h.Run(t.Context(), pinnedJob(tc, []string{"-dumpmachine"}, nil))
	if err != nil || string(res.Stdout) != "riscv64-linux-gnu\n" {
		t.Errorf("-dumpmachine: %q, %v", res.Stdout, err)
	}
	headers := &broker.Job{Name: "gcc", Image: sumOf, Dir: "/", Root: new(broker.Dir), Form: broker.Headers, Identity: tc.Identity}
	for _, cached := range []bool{false, true} {
		if res, err = h.Run(t.Context(), headers); err != nil || !strings.Contains("\n"+string(res.Stdout)+"\n", "\nnconfig.h\n") || res.Cached != cached {
			t.Errorf("names of its headers: %.200q, cached %v, %v", res.Stdout, res.Cached, err)
		}
	}
	text, err := h.Key(t.Context(), pinnedJob(tc, []string{"-dumpmachine"}, nil))
	if err != nil || !strings.Contains(text, "image \""+sumOf+"\"\n") {
		t.Errorf("key %q, %v", text, err)
	}
	if n := kept.inUse(); n != 0 {
		t.Errorf("%d holds are left", n)
	}
}

// What a client may not say of an image's job is refused, and nothing runs.
func TestPinnedRefuses(t *testing.T) {
	h, tc, _ := pinnedHelper(t)
	for name, tt := range map[string]struct {
		words  string
		files  []string
		change func(*broker.Job)
		want   string
	}{
		"another image":                      {words: "-dumpmachine", change: func(j *broker.Job) { j.Image = "sha256:" + strings.Repeat("2", 64) }, want: "does not serve the image"},
		"an index that it is of":             {words: "-dumpmachine", change: func(j *broker.Job) { j.Image = "sha256:index-of-" + sumOf }, want: "does not serve the image"},
		"another toolchain":                  {words: "-dumpmachine", change: func(j *broker.Job) { j.Identity.Version = "9" }, want: "no such toolchain"},
		"no tree":                            {words: "-dumpmachine", change: func(j *broker.Job) { j.Form = broker.Preprocessed }, want: "is a tree"},
		"native":                             {words: "-dumpmachine", change: func(j *broker.Job) { j.Native = []string{"-march=rv64gc"} }, want: "no processor"},
		"a variable":                         {words: "-dumpmachine", change: func(j *broker.Job) { j.Env = []string{"COMPILER_PATH=/home/me/p"} }, want: "COMPILER_PATH"},
		"a plugin of the linker's":           {words: "-Wl,--plugin,x.so a.o -o out", want: "--plugin"},
		"the driver's place":                 {words: "-B. a.o -o out", want: "-B."},
		"specs":                              {words: "-specs=x a.o -o out", want: "-specs"},
		"words from a file":                  {words: "-Wl,@words a.o -o out", want: "@words"},
		"an output elsewhere":                {words: "a.o -o /etc/x", want: "outputs"},
		"a file named specs":                 {words: "-c a.c -o out.o", files: []string{"a.c: ", "specs: evil"}, want: "specs"},
		"over the compiler":                  {words: "-c a.c -o out.o", files: []string{"a.c: ", "/usr/bin/as: evil"}, want: "closed"},
		"beside the compiler":                {words: "-c a.c -o out.o", files: []string{"a.c: ", "/usr/lib/gcc-cross/riscv64-linux-gnu/12/x: evil"}, want: "closed"},
		"a library to a compile":             {words: "-c a.c -o out.o", files: []string{"a.c: ", "libc.so.6: evil"}, want: "libc.so.6"},
		"the loader's list":                  {words: "a.o -o out", files: []string{"a.o: ", "/etc/ld.so.preload: evil"}, want: "closed"},
		"a library of the loader":            {words: "a.o -o out", files: []string{"a.o: ", "/lib/libc.so.6: evil"}, want: "closed"},
		"gcc's memory":                       {words: "-c a.i -o out.o", files: []string{"a.i: #pragma GCC pch_preprocess \"x\"\n"}, want: "pch_preprocess"},
		"gcc's memory, linked":               {words: "a.i -o out", files: []string{"a.i: #pragma GCC pch_preprocess \"x\"\n"}, want: "pch_preprocess"},
		"gcc's memory, by the image's names": {words: "-c /usr/../home/me/p/a.i -o out.o", files: []string{"a.i: #pragma GCC pch_preprocess \"x\"\n"}, want: "not in the tree"},
		"the same, linked":                   {words: "/usr/lib/../../home/me/p/a.i -o out", files: []string{"a.i: #pragma GCC pch_preprocess \"x\"\n"}, want: "not in the tree"},
		"over a header":                      {words: "-c a.c -o out.o", files: []string{"a.c: ", "/usr/riscv64-linux-gnu/include/own.h: evil"}, want: "both the tree and the image"},
	} {
		words := strings.Fields(tt.words)
		var outputs []string
		if n := len(words); n > 1 && words[n-2] == "-o" {
			outputs = words[n-1:]
			if strings.HasPrefix(outputs[0], "/") {
				outputs = []string{"x"}
			}
		}
		j := pinnedJob(tc, words, outputs, tt.files...)
		if tt.change != nil {
			tt.change(j)
		}
		res, err := h.Run(t.Context(), j)
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || !strings.Contains(r.Text, tt.want) {
			t.Errorf("%s: %+v, %v; want %q", name, res, err, tt.want)
		}
	}
	// Of a link a library is an input like others: it is the image's lack of a linker
	// that this one ends with.
	if res, err := h.Run(t.Context(), pinnedJob(tc, []string{"-nostdlib", "libx.so", "-o", "out"}, []string{"out"}, "libx.so: x")); err != nil || res.ExitCode == 0 {
		t.Errorf("a library that is linked: %+v, %v", res, err)
	}
}

// A source from standard input travels in the tree; without it nothing runs.
func TestPinnedStdin(t *testing.T) {
	h, tc, _ := pinnedHelper(t)
	res, err := h.Run(t.Context(), pinnedJob(tc, []string{"-Iinc", "-E", "-P", "-"}, nil, task.StdinName+": #include \"a.h\"\n", "inc/a.h: int from_input;\n"))
	if err != nil || string(res.Stdout) != "int from_input;\n" {
		t.Errorf("-E: %q, %q, %v", res.Stdout, res.Stderr, err)
	}
	res, err = h.Run(t.Context(), pinnedJob(tc, []string{"-O2", "-c", "-x", "c", "-", "-o", "out.o"}, []string{"out.o"}, task.StdinName+": int f(void) { return 1; }\n"))
	if err != nil || len(outputOf(t, res)) < 100 {
		t.Errorf("-c: %+v, %v", res, err)
	}
	res, err = h.Run(t.Context(), pinnedJob(tc, []string{"-E", "-"}, nil, "a.c: "))
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || !strings.Contains(r.Text, "no standard input") {
		t.Errorf("without it: %+v, %v", res, err)
	}
	res, err = h.Run(t.Context(), pinnedJob(tc, []string{"-c", "-x", "c", "-", "-o", "out.o"}, []string{"out.o"}, task.StdinName+": int f(void) { return undeclared; }\n"))
	if err != nil || res.ExitCode != 1 || !strings.HasPrefix(string(res.Stderr), "<stdin>: In function") || strings.Contains(string(res.Stderr), "return undeclared;") {
		t.Errorf("a source with an error: %d, %s, %v", res.ExitCode, res.Stderr, err)
	}
}

// After a compile that failed what lay in the output's place shows that the compiler had not begun it.
func TestPinnedUntouched(t *testing.T) {
	h, tc, _ := pinnedHelper(t)
	for _, tt := range []struct {
		words, text string
		touched     bool
	}{
		{"a.c -o out", "int f(", false}, // the linker is never run
		{"-E a.c -o out", "#error x\n", true},
	} {
		res, err := h.Run(t.Context(), pinnedJob(tc, strings.Fields(tt.words), []string{"out"}, "a.c: "+tt.text))
		if err != nil || res.ExitCode == 0 {
			t.Fatalf("%s: %+v, %v", tt.words, res, err)
		}
		stays := len(res.Outputs) == 1 && res.Outputs[0].Blob.Digest == broker.DigestOf([]byte(task.Untouched))
		if stays == tt.touched {
			t.Errorf("%s leaves %+v", tt.words, res.Outputs)
		}
	}
}
