package helper

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"os"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
)

// toolHelper serves an image with a cross gcc, and ar and strip beside it.
func toolHelper(t *testing.T) (*Helper, toolchains.Toolchain) {
	t.Helper()
	dir := imageOf(t, riscv)
	tools := []string{"/usr/bin/riscv64-linux-gnu-ar", "/usr/bin/riscv64-linux-gnu-strip"}
	binds, err := sandbox.Closure(tools, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range binds {
		plant(t, dir, b)
	}
	kept := newDirectories()
	kept.put(sumOf, dir)
	h := newImaged(t, kept)
	return h, await(t, h, "an image", serves(1)).Toolchains[0]
}

// toolJob is pinnedJob for a program beside the compiler.
func toolJob(tc toolchains.Toolchain, name, words string, outputs []string, files ...string) *broker.Job {
	j := pinnedJob(tc, strings.Fields(words), outputs, files...)
	j.Name = name
	return j
}

func outputOf(t *testing.T, res broker.Result) []byte {
	t.Helper()
	if res.ExitCode != 0 || len(res.Outputs) != 1 {
		t.Fatalf("status %d, %d outputs: %s", res.ExitCode, len(res.Outputs), res.Stderr)
	}
	data, err := res.Outputs[0].Blob.Bytes(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// An archive is made as the image's ar makes it, and one that is there is changed; what is said has the command's names.
func TestTool(t *testing.T) {
	h, tc := toolHelper(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"a.o": "one", "b.o": "two"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := func(words ...string) []byte {
		cmd := exec.Command("riscv64-linux-gnu-ar", words...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", words, err, out)
		}
		data, err := os.ReadFile(filepath.Join(dir, "x.a"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	run := func(words string, files ...string) broker.Result {
		t.Helper()
		res, err := h.Run(t.Context(), toolJob(tc, "riscv64-unknown-linux-gnu-ar", words, []string{"out0.a"}, files...))
		if err != nil {
			t.Fatalf("%s: %v", words, err)
		}
		return res
	}
	res := run("rD lib/x.a a.o", "a.o: one")
	first, want := outputOf(t, res), at("r", "x.a", "a.o")
	if !bytes.Equal(first, want) || string(res.Stderr) != "riscv64-unknown-linux-gnu-ar: creating lib/x.a\n" {
		t.Errorf("made %q, %q; want %q", first, res.Stderr, want)
	}
	failed, err := h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "rD x.a a.o", []string{"out0.a"}, "a.o: one", "x.a: junk"))
	if err != nil || failed.ExitCode != 1 || string(failed.Stderr) != "riscv64-linux-gnu-ar: x.a: file format not recognized\n" {
		t.Errorf("a file that is no archive: %d %q, %v", failed.ExitCode, failed.Stderr, err)
	}
	if res := run("rD lib/x.a a.o", "a.o: one"); !res.Cached {
		t.Error("the same again is run again")
	}
	if res := run("rD lib/y.a a.o", "a.o: one"); res.Cached || !strings.Contains(string(res.Stderr), "lib/y.a") {
		t.Errorf("by another name: cached %v, %q", res.Cached, res.Stderr)
	}
	both, want := outputOf(t, run("rD x.a b.o", "b.o: two", "x.a: "+string(first))), at("r", "x.a", "b.o")
	if !bytes.Equal(both, want) {
		t.Errorf("changed to %q, want %q", both, want)
	}
	if got := outputOf(t, run("rD x.a b.o", "b.o: two", "y.a: "+string(first))); bytes.Equal(got, both) {
		t.Error("another archive was changed")
	}
	res, err = h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "t x.a", nil, "x.a: "+string(both)))
	if err != nil || string(res.Stdout) != "a.o\nb.o\n" {
		t.Errorf("t: %q, %q, %v", res.Stdout, res.Stderr, err)
	}
}

// Members are taken out where the helper takes them from, by their own names.
func TestToolExtracts(t *testing.T) {
	h, tc := toolHelper(t)
	made, err := h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "rD x.a a.o b.o", []string{"out0.a"}, "a.o: one", "b.o: two"))
	if err != nil {
		t.Fatal(err)
	}
	archive := "lib/x.a: " + string(outputOf(t, made))
	res, err := h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "xv lib/x.a a.o b.o", []string{"out0.o", "out1.o"}, archive))
	if err != nil || res.ExitCode != 0 || string(res.Stdout) != "x - a.o\nx - b.o\n" || len(res.Outputs) != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	for i, want := range []string{"one", "two"} {
		if got, err := res.Outputs[i].Blob.Bytes(10); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", res.Outputs[i].Path, got, err, want)
		}
	}
	res, err = h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "x lib/x.a", nil, archive))
	if err == nil && res.ExitCode == 0 {
		t.Errorf("members that the job does not name: %+v, %v", res, err)
	}
	res, err = h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "x lib/x.a a.o", []string{"out0.o"}, archive, "a.o: there"))
	if r, ok := errors.AsType[*broker.Refusal](err); !ok || !strings.Contains(r.Text, "output a.o") {
		t.Errorf("over a file of the tree: %+v, %v", res, err)
	}
}

// What is in an archive is printed as it is, whatever it looks like.
func TestToolPrints(t *testing.T) {
	h, tc := toolHelper(t)
	text := "/usr/bin/riscv64-linux-gnu-ar: a\n/usr/bin/riscv64-linux-gnu-ar: b /.crosscc-argv0/c\n"
	made, err := h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "rD x.a text", []string{"out0.a"}, "text: "+text))
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "p x.a text", nil, "x.a: "+string(outputOf(t, made))))
	if err != nil || string(res.Stdout) != text {
		t.Errorf("%q, %v", res.Stdout, err)
	}
	res, err = h.Run(t.Context(), toolJob(tc, "riscv64-linux-gnu-ar", "--help", nil))
	if err != nil || !bytes.HasPrefix(res.Stdout, []byte("Usage: riscv64-linux-gnu-ar [")) || bytes.Contains(res.Stdout, []byte("/usr/bin")) {
		t.Errorf("%q, %v", res.Stdout, err)
	}
}

// The words of tools are judged here again, and a program that the image has not is none of this machine's.
func TestToolRefused(t *testing.T) {
	h, tc := toolHelper(t)
	for _, tt := range []struct {
		name, words string
		outputs     []string
		files       []string
		want        string
	}{
		{"riscv64-linux-gnu-ar", "--plugin x.so rc x.a a.o", []string{"out0.a"}, nil, "--plugin"},
		{"riscv64-linux-gnu-ar", "-M", nil, nil, "-M"},
		{"riscv64-linux-gnu-ar", "rcD @words", nil, nil, "@words"},
		{"riscv64-linux-gnu-ar", "rcD x.a a.o", []string{"other"}, nil, "are not what the command makes"},
		{"riscv64-linux-gnu-ar", "rcD x.a a.o", nil, nil, "are not what the command makes"},
		{"riscv64-linux-gnu-ar", "rcD x.a a.o", []string{"out0.a"}, []string{"/etc/ld.so.preload: evil"}, "closed"},
		{"riscv64-linux-gnu-ar", "rcD x.a a.o", []string{"out0.a"}, []string{"specs: evil"}, "closed"},
		{"riscv64-linux-gnu-objcopy", "--dump-section .x=y a", nil, nil, "--dump-section"},
		{"riscv64-linux-gnu-ld", "-plugin x.so a.o -o out0", []string{"out0"}, nil, "-plugin"},
		{"riscv64-linux-gnu-nm", "a.o", nil, nil, "has no nm"},
		{"sh", "-c x", nil, nil, "not the name"},
	} {
		res, err := h.Run(t.Context(), toolJob(tc, tt.name, tt.words, tt.outputs, tt.files...))
		if r, ok := errors.AsType[*broker.Refusal](err); !ok || !strings.Contains(r.Text, tt.want) {
			t.Errorf("%s %s: %+v, %v; want %q", tt.name, tt.words, res, err, tt.want)
		}
	}
}

func TestToolPlaces(t *testing.T) {
	cross := toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.GCC, Target: "riscv64-linux-gnu", Version: "12.2.0"}, Path: "/opt/x/bin/riscv64-unknown-linux-gnu-gcc-12"}
	own := toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.GCC, Target: "x86_64-linux-gnu", Version: "11.3.0"}, Path: "/usr/bin/gcc-11"}
	clang := toolchains.Toolchain{Identity: toolchains.Identity{Family: argv.Clang, Target: "x86_64-pc-linux-gnu", Version: "14.0.6"}, Path: "/usr/bin/clang-14"}
	for _, tt := range []struct {
		tc   toolchains.Toolchain
		name string
		want []string // in this order, among others
		none []string
	}{
		{cross, "riscv64-linux-gnu-ar", []string{"/opt/x/bin/riscv64-unknown-linux-gnu-ar", "/usr/bin/riscv64-linux-gnu-ar", "/opt/x/riscv64-linux-gnu/bin/ar"}, []string{"/usr/bin/ar", "/opt/x/bin/ar"}},
		{cross, "riscv64-linux-gnu-gcc-ar", []string{"/opt/x/bin/riscv64-unknown-linux-gnu-gcc-ar-12", "/opt/x/bin/riscv64-unknown-linux-gnu-gcc-ar"}, []string{"/usr/bin/gcc-ar"}},
		{own, "ar", []string{"/usr/bin/ar", "/usr/bin/x86_64-linux-gnu-ar"}, nil},
		{own, "gcc-nm", []string{"/usr/bin/gcc-nm-11", "/usr/bin/gcc-nm"}, nil},
		{clang, "ar", []string{"/usr/bin/ar", "/usr/bin/llvm-ar-14", "/real/llvm-ar"}, nil},
		{clang, "riscv64-linux-gnu-ar", []string{"/usr/bin/riscv64-linux-gnu-ar", "/usr/bin/llvm-ar-14"}, []string{"/usr/bin/ar"}},
		{clang, "llvm-strip-14", []string{"/usr/bin/llvm-strip-14", "/real/llvm-strip"}, []string{"/usr/bin/strip"}},
		{clang, "ld", []string{"/usr/bin/ld"}, []string{"/usr/bin/llvm-ld"}},
		{clang, "as", []string{"/usr/bin/as"}, []string{"/usr/bin/llvm-as", "/usr/bin/llvm-as-14"}},
	} {
		tool, ok := task.ParseTool(tt.name)
		if !ok {
			t.Fatal(tt.name)
		}
		got := toolPlaces(tt.tc, tool, "relative:/home/me/bin:/usr/../home/me/bin:/usr/bin", func(string) (string, error) { return "/real/clang", nil })
		last := -1
		for _, want := range tt.want {
			i := slices.Index(got, want)
			if i <= last {
				t.Errorf("%s of %s: %q has no %s behind its %d", tt.name, tt.tc.Path, got, want, last)
			}
			last = i
		}
		for _, none := range append(tt.none, "/home/me/bin/"+tt.name) {
			if slices.Contains(got, none) {
				t.Errorf("%s of %s: %q has %s", tt.name, tt.tc.Path, got, none)
			}
		}
	}
}
