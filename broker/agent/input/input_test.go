package input

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

// at makes files in a new working directory of the test, and a maker for compiles there.
func at(t *testing.T, files map[string]string) (*Maker, func(command string, env ...string) *compile.Compile) {
	t.Helper()
	gcc := drivertest.Need(t, "gcc-12")
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cpps := new(slots.Slots)
	cpps.Resize(1)
	m := &Maker{
		Compilers: &compile.Compilers{Probes: &drivers.Cache{Dir: t.TempDir()}, Counters: new(monitor.Counters)},
		Scanner:   headers.New(nil), Cpps: cpps,
	}
	return m, func(command string, env ...string) *compile.Compile {
		t.Helper()
		c := &compile.Compile{Session: sessiontest.New(t, append([]string{gcc}, strings.Fields(command)...), env...)}
		if err := c.Parse(); err != nil {
			t.Fatal(err)
		}
		c.Settings.Locale = "C"
		if err := m.Compilers.Identify(c); err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// A tree has what the compile reads and says what its result depends on; a source that
// asks for more is none.
func TestTree(t *testing.T) {
	m, of := at(t, map[string]string{
		"a.c": "#include \"a.h\"\n", "a.h": "int a;\n", "date.c": "char d[] = __DATE__;\n", "stamp.c": "char d[] = __TIMESTAMP__;\n",
		"asm.c": "#define NAME \"a\" \".h\"\n__asm__(\".incbin \" NAME);\n",
	})
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		command, env string
		want         string // the job's outputs, its environment and its files in the directory
		no           broker.Reason
	}{
		{"-c a.c", "A=1", "out.o, LC_ALL=C, a.c a.h", ""},
		{"-MD -c a.c -o x.o", "SOURCE_DATE_EPOCH=1", "deps.d out.o, LC_ALL=C, a.c a.h", ""},
		{"-c date.c", "SOURCE_DATE_EPOCH=1", "out.o, LC_ALL=C SOURCE_DATE_EPOCH=1, date.c", ""},
		{"-c date.c", "SOURCE_DATE_EPOCH=", "", reason.Date},
		{"-c stamp.c", "A=1", "", headers.Timestamp},
		{"-c asm.c", "A=1", "", headers.AsmName},
		{"-Wp,-Idir -c a.c", "CPATH=" + dir, "", headers.Option},
	} {
		j, _, err := m.Tree(of(tt.command, tt.env), nil)
		if tt.no != "" {
			if no, ok := errors.AsType[*reason.Treeless](err); !ok || no.Reason != tt.no {
				t.Errorf("%s, %s: %v, want %s", tt.command, tt.env, err, tt.no)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s, %s: %v", tt.command, tt.env, err)
			continue
		}
		var files []string
		for name, e := range j.Root.All() {
			if e.File != nil && filepath.Dir(name) == dir {
				files = append(files, filepath.Base(name))
			}
		}
		slices.Sort(files)
		if got := strings.Join(j.Outputs, " ") + ", " + strings.Join(j.Env, " ") + ", " + strings.Join(files, " "); got != tt.want || j.Dir != dir || j.Form != broker.Tree {
			t.Errorf("%s, %s: %s in %s, want %s", tt.command, tt.env, got, j.Dir, tt.want)
		}
	}
	c := of("-c a.c")
	c.Settings.Preprocessed = true
	if no, ok := errors.AsType[*reason.Treeless](func() error { _, _, err := m.Tree(c, nil); return err }()); !ok || no.Reason != reason.Asked {
		t.Errorf("no tree is wanted: %v", no)
	}
}

// Text is made by the client's compiler, with the dependencies in their place; what it
// can't say, or the compiler has words for, stays at home.
func TestPreprocess(t *testing.T) {
	m, of := at(t, map[string]string{
		"a.c": "#include \"a.h\"\nint b = A;\n", "a.h": "#define A 1\n", "asm.c": "__asm__(\".incbin \\\"a.h\\\"\");\n", "lost.c": "#include \"lost.h\"\n",
		"warns.c": "#warning so\n",
		"falls.c": "int g(int);\nint f(int a)\n{\n  switch (a) {\n  case 1:\n    g(2); /* fall through */\n  case 2:\n    return 1;\n  }\n  return 2;\n}\n",
	})
	for _, tt := range []struct {
		command string
		want    string // in the text
		no      broker.Reason
	}{
		{"-MD -MF x.d -c a.c", "int b = 1;\n", ""},
		{"-Wextra -c falls.c", "g(2); /* fall through */\n", ""},
		{"-c asm.c", "", reason.Text},
		{"-c lost.c", "", reason.Preprocess},
		{"-c warns.c", "", reason.Preprocess},
	} {
		c := of(tt.command)
		text, err := m.Preprocess(c)
		if tt.no != "" {
			if no, ok := errors.AsType[*reason.Local](err); !ok || no.Reason != tt.no || !no.Slot {
				t.Errorf("%s: %v, want %s", tt.command, err, tt.no)
			}
			continue
		}
		if err != nil || !strings.Contains(string(text.Text), tt.want) {
			t.Errorf("%s: %v, %q", tt.command, err, text.Text)
			continue
		}
		j, err := text.Job(c, nil)
		if err != nil || j.Form != broker.Preprocessed || strings.Join(j.Outputs, " ") != "out.o" {
			t.Errorf("%s: %+v, %v", tt.command, j, err)
		}
	}
	if deps, err := os.ReadFile("x.d"); err != nil || !strings.HasPrefix(string(deps), "a.o: a.c") {
		t.Errorf("dependencies: %q, %v", deps, err)
	}
	if _, held := m.Cpps.Figures(); held != 0 {
		t.Errorf("%d places are held", held)
	}
}
