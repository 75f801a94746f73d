package parts

import (
	"os"
	"os/exec"
	"testing"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

// prepared is a command in the working directory of the test, taken apart.
func prepared(t *testing.T, words []string, env ...string) (*compile.Compile, []*compile.Compile) {
	t.Helper()
	c := &compile.Compile{Session: sessiontest.New(t, words, env...)}
	compilers := &compile.Compilers{Probes: &drivers.Cache{Dir: t.TempDir()}, Counters: new(monitor.Counters)}
	if err := c.Parse(); err != nil {
		t.Fatal(err)
	}
	if err := compilers.Identify(c); err != nil {
		t.Fatal(err)
	}
	if c.Split == nil {
		t.Fatalf("%q is not taken apart", words)
	}
	var list []*compile.Compile
	for _, cmd := range c.Split.Compiles {
		list = append(list, c.Part(cmd))
	}
	return c, list
}

// The link gets each part's object, in whichever order a helper names its outputs, and
// leaves no file but the driver's own.
func TestLink(t *testing.T) {
	gcc := drivertest.Need(t, "gcc-12")
	temp := t.TempDir()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.c", []byte("int main(void) { return 7; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, list := prepared(t, []string{gcc, "-MD", "a.c", "-o", "prog"}, "TMPDIR="+temp)
	if err := Check(c); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-c", "a.c", "-o", "made").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	object, err := os.ReadFile("made")
	if err != nil {
		t.Fatal(err)
	}
	answers := []compile.Answer{{Result: broker.Result{Stderr: []byte("said\n"), Outputs: []broker.Output{
		{Path: list[0].Object(), Blob: broker.BytesBlob(object)},
		{Path: compile.DepsName, Blob: broker.BytesBlob([]byte("prog: a.c\n"))},
	}}}}
	fin, files, err := Gather(c, list, answers)
	if err != nil || len(files) != 0 || string(fin.Stderr) != "said\n" || len(fin.Outputs) != 1 || fin.Outputs[0].Path != "prog.d" {
		t.Errorf("together: %+v, %v", fin, err)
	}
	var places slots.Slots
	places.Resize(1)
	if err := Link(c, &places, list, answers, &fin); err != nil || fin.Status != 0 {
		t.Fatalf("link: %v, status %#x: %s", err, fin.Status, fin.Stderr)
	}
	if err := exec.Command("./prog").Run(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("the program: %v", err)
	}
	left, err := os.ReadDir(temp)
	if _, held := places.Figures(); err != nil || len(left) != 0 || held != 0 {
		t.Errorf("left are %v (%v), and %d places", left, err, held)
	}
	answers[0].Outputs = answers[0].Outputs[1:]
	if err := Link(c, &places, list, answers, new(local.Finish)); err == nil {
		t.Error("linked without an object")
	}
}

// A link over one of its sources is the driver's to refuse.
func TestCheckLinked(t *testing.T) {
	gcc := drivertest.Need(t, "gcc-12")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.c", []byte("int main(void) { return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link("a.c", "prog"); err != nil {
		t.Fatal(err)
	}
	c, _ := prepared(t, []string{gcc, "a.c", "-o", "prog"})
	if err := Check(c); err == nil {
		t.Error("the source would be written over")
	}
}
