package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crosscc/crosscc/e2e/object"
)

var compareCommands = map[string]func(*testscript.TestScript, bool, []string){
	"alike":    alike,
	"same":     same,
	"samecode": sameCode,
	"elf":      checkELF,
}

// A trace is all that one command leaves: files are those in the directory after it.
type trace struct {
	status         int
	stdout, stderr string
	files          files
}

// files are regular files by their paths below the working directory.
type files map[string]file

type file struct {
	mode    fs.FileMode
	content []byte
}

// alike is `alike [-as LOCAL] [-code] COMPILER ARG…`: it runs the command through
// crosscc, takes away what that wrote, runs it without crosscc in the same place,
// and wants both traces equal. LOCAL is what the compiler is called when the
// name is one that only crosscc knows; with -code objects may differ in debug
// info. With ! both must fail.
func alike(ts *testscript.TestScript, neg bool, args []string) {
	opts, args := flags(ts, args, map[string]bool{"-as": true, "-code": false})
	if len(args) == 0 {
		ts.Fatalf("usage: alike [-as LOCAL] [-code] COMPILER ARG…")
	}
	local := args[0]
	if opts["-as"] != "" {
		local = opts["-as"]
	}
	dir := ts.MkAbs(".")
	before, err := readFiles(dir)
	ts.Check(err)
	have := traceOf(ts, "crosscc", args...)
	ts.Check(before.restore(dir, have.files))
	want := traceOf(ts, local, args[1:]...)
	ts.Check(want.compare(have, opts["-code"] != ""))
	if neg != (want.status != 0) {
		ts.Fatalf("both end with status %d", want.status)
	}
}

// traceOf runs a command and keeps what it left.
func traceOf(ts *testscript.TestScript, name string, args ...string) trace {
	var t trace
	if err := ts.Exec(name, args...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", name, err)
		}
		t.status = exit.ExitCode()
	}
	t.stdout, t.stderr = ts.ReadFile("stdout"), ts.ReadFile("stderr")
	var err error
	t.files, err = readFiles(ts.MkAbs("."))
	ts.Check(err)
	return t
}

func readFiles(dir string) (files, error) {
	all := make(files)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = file{info.Mode(), content}
		return err
	})
	return all, err
}

// restore puts a directory that holds now back to what it was.
func (f files) restore(dir string, now files) error {
	for path, is := range now {
		was, ok := f[path]
		var err error
		switch {
		case !ok:
			err = os.Remove(path)
		case was.mode != is.mode || !bytes.Equal(was.content, is.content):
			err = os.WriteFile(path, was.content, was.mode)
		}
		if err != nil {
			return fmt.Errorf("put %s back: %w", dir, err)
		}
	}
	return nil
}

// compare says where have is not what a local run made.
func (t trace) compare(have trace, code bool) error {
	names, haveNames := slices.Sorted(maps.Keys(t.files)), slices.Sorted(maps.Keys(have.files))
	switch {
	case t.status != have.status:
		return fmt.Errorf("status %d, locally %d", have.status, t.status)
	case t.stdout != have.stdout:
		return fmt.Errorf("stdout %q, locally %q", have.stdout, t.stdout)
	case t.stderr != have.stderr:
		return fmt.Errorf("stderr %q, locally %q", have.stderr, t.stderr)
	case !slices.Equal(names, haveNames):
		return fmt.Errorf("left %q, locally %q", haveNames, names)
	}
	for _, name := range names {
		if err := t.files[name].compare(have.files[name], code && strings.HasSuffix(name, ".o")); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (f file) compare(have file, code bool) error {
	switch {
	case f.mode != have.mode:
		return fmt.Errorf("mode %v, locally %v", have.mode, f.mode)
	case bytes.Equal(f.content, have.content):
		return nil
	case !code:
		return fmt.Errorf("%d bytes that differ from the local %d", len(have.content), len(f.content))
	}
	return object.SameCodeOf("local", f.content, "remote", have.content)
}

// same is `same A B`.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same A B")
	}
	equal := ts.ReadFile(args[0]) == ts.ReadFile(args[1])
	if equal == neg {
		ts.Fatalf("%s and %s: the same bytes is %v", args[0], args[1], equal)
	}
}

// sameCode is `samecode A B`.
func sameCode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: samecode A B")
	}
	err := object.SameCode(ts.MkAbs(args[0]), ts.MkAbs(args[1]))
	if neg && err == nil {
		ts.Fatalf("%s and %s have the same code", args[0], args[1])
	}
	if !neg {
		ts.Check(err)
	}
}

// checkELF is `elf FILE MACHINE CLASS`.
func checkELF(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: elf FILE MACHINE CLASS")
	}
	machine, class, err := object.Kind(ts.MkAbs(args[0]))
	ts.Check(err)
	if machine != args[1] || strconv.Itoa(class) != args[2] {
		ts.Fatalf("%s is for %s, %d bit, want %s, %s bit", args[0], machine, class, args[1], args[2])
	}
}
