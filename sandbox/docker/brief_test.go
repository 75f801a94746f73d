package docker

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// TestBrief: questions to different compilers are asked in one container, where each
// sees its own programs and nothing of the last one's; the machine's files are as they
// were.
func TestBrief(t *testing.T) {
	r := newCounting(t)
	gcc, clang := rig.Need(t, "gcc-12", "gcc-12"), rig.Need(t, "clang-14", "clang-14")
	var before, after unix.Stat_t
	real, err := filepath.EvalSymlinks(gcc)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(real, &before); err != nil {
		t.Fatal(err)
	}
	ask := func(driver, want string, args ...string) {
		t.Helper()
		s := rig.Spec(driver, args...)
		s.Brief, s.Env = true, []string{"PATH=/usr/bin"}
		o, err := r.run(rig.Context(t), s)
		if err != nil {
			t.Fatalf("%s %q: %v", driver, args, err)
		}
		defer o.Close()
		if !strings.Contains(string(o.Stdout)+string(o.Stderr), want) {
			t.Errorf("%s %q: it says %s%s, want %q", driver, args, o.Stdout, o.Stderr, want)
		}
	}
	for range 2 {
		ask(gcc, "12.", "-dumpfullversion")
		ask(clang, "clang version 14", "--version")
		s := rig.Spec(clang, "-x", "c", real, "-fsyntax-only") // gcc is seen no more
		s.Brief = true
		if o, err := r.run(rig.Context(t), s); err != nil || !strings.Contains(string(o.Stderr), "no such file") {
			t.Errorf("got %+v, %v", o, err)
		}
	}
	if made, idle := r.containers(); made-r.first != 1 || idle != 1 {
		t.Errorf("%d containers were made, %d are idle", made-r.first, idle)
	}
	if err := unix.Stat(real, &after); err != nil || after.Nlink != before.Nlink || after.Ctim != before.Ctim {
		t.Errorf("%s was %+v, is %+v, %v", real, before, after, err)
	}
	// The same bounds and no programs: nothing is seen, in a container of its own.
	o, err := r.run(rig.Context(t), &sandbox.Spec{Path: clang, Args: []string{clang}, Dir: "/", Out: "/.crosscc"})
	if err == nil {
		t.Errorf("without programs: got %+v", o)
	}
}
