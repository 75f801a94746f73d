package e2e

import (
	"errors"
	"os/exec"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crosscc/crosscc/e2e/object"
	"github.com/crosscc/crosscc/e2e/trace"
)

var compareCommands = map[string]func(*testscript.TestScript, bool, []string){
	"alike":    alike,
	"same":     same,
	"samecode": sameCode,
	"elf":      checkELF,
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
	before, err := trace.Read(dir)
	ts.Check(err)
	have := traceOf(ts, "crosscc", args...)
	ts.Check(before.Restore(have.Files))
	want := traceOf(ts, local, args[1:]...)
	ts.Check(want.Compare(have, opts["-code"] != ""))
	if neg != (want.Status != 0) {
		ts.Fatalf("both end with status %d", want.Status)
	}
}

// traceOf runs a command and keeps what it left.
func traceOf(ts *testscript.TestScript, name string, args ...string) trace.Trace {
	var t trace.Trace
	if err := ts.Exec(name, args...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", name, err)
		}
		t.Status = exit.ExitCode()
	}
	t.Stdout, t.Stderr = ts.ReadFile("stdout"), ts.ReadFile("stderr")
	var err error
	t.Files, err = trace.Read(ts.MkAbs("."))
	ts.Check(err)
	return t
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
