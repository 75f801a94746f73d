package compile_test

import (
	"os"
	"slices"
	"testing"

	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

// Each part of a command is told what it would be told alone: clang's assembler has no
// use for words to the compiler proper, as those by which -ffast-math follows what is
// installed (crtfastmath.o, of gcc-12).
func TestPartExtra(t *testing.T) {
	clang := drivertest.Need(t, "clang-14")
	t.Chdir(t.TempDir())
	for _, name := range []string{"a.c", "b.S"} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compilers := &compile.Compilers{Probes: &drivers.Cache{Dir: t.TempDir()}, Counters: new(monitor.Counters)}
	extra := func(c *compile.Compile) []string {
		t.Helper()
		words, err := compilers.Extra(c)
		if err != nil {
			t.Fatal(err)
		}
		return words
	}
	of := func(words ...string) *compile.Compile {
		t.Helper()
		c := &compile.Compile{Session: sessiontest.New(t, append([]string{clang, "-ffast-math", "-c"}, words...))}
		if err := c.Parse(); err != nil {
			t.Fatal(err)
		}
		if err := compilers.Identify(c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	both := of("a.c", "b.S")
	if both.Split == nil {
		t.Fatal("the command is not taken apart")
	}
	extra(both) // of the first
	for i, name := range []string{"a.c", "b.S"} {
		alone, part := extra(of(name)), extra(both.Part(both.Split.Compiles[i]))
		if !slices.Equal(part, alone) {
			t.Errorf("%s: %q, alone %q", name, part, alone)
		}
	}
	if c, s := extra(of("a.c")), extra(of("b.S")); slices.Equal(c, s) {
		t.Errorf("both are told %q: the test says nothing", c)
	}
}
