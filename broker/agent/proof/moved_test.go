package proof

import (
	"os"
	"testing"

	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/input"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

// A helper is not blamed for a file that somebody changed between its compile and the
// local one, in whichever form the job went.
func TestMoved(t *testing.T) {
	gcc := drivertest.Need(t, "gcc-12")
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.c", "#include \"a.h\"\nint a = A;\n")
	write("a.h", "#define A 1\n")
	var cpps slots.Slots
	cpps.Resize(1)
	compilers := &compile.Compilers{Probes: &drivers.Cache{Dir: t.TempDir()}, Counters: new(monitor.Counters)}
	pr := New(Options{Input: &input.Maker{Compilers: compilers, Scanner: headers.New(nil), Cpps: &cpps}})
	c := &compile.Compile{Session: sessiontest.New(t, []string{gcc, "-c", "a.c"})}
	if err := c.Parse(); err != nil {
		t.Fatal(err)
	}
	if err := compilers.Identify(c); err != nil {
		t.Fatal(err)
	}
	_, tree, err := pr.Input.Tree(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := pr.Input.Preprocess(c)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]compile.Answer{"tree": {Tree: tree}, "text": {Text: text.Blob.Digest}}
	for form, got := range answers {
		if pr.moved(c, got) {
			t.Errorf("%s: moved, and nobody touched it", form)
		}
	}
	write("a.h", "#define A 2\n")
	for form, got := range answers {
		if !pr.moved(c, got) {
			t.Errorf("%s: not moved, and a header is another", form)
		}
	}
}
