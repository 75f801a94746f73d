package wrapper

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/local"
)

// BenchmarkCPU is what a build pays for each cache hit: user and system time of
// one whole wrapper, from exec to exit, with an object of 36 KiB from an agent in
// this process. Beside it run /bin/true and a Go program that does nothing, by
// turns, because the machine's other work changes all three alike:
//
//	go test ./cmd/crosscc/internal/wrapper -run '^$' -bench CPU -benchtime 500x
//
// Each program's median and minimum are in microseconds. How long the agent
// takes matters: what the Go runtime does while it waits is CPU time too.
func BenchmarkCPU(b *testing.B) {
	cases := []struct {
		name  string
		think time.Duration // of the agent
		again bool          // over the object of the run before
	}{
		{"new", 0, false}, {"again", 0, true}, {"agent=2ms", 2 * time.Millisecond, false}, {"agent=50ms", 50 * time.Millisecond, false},
	}
	for _, bc := range cases {
		b.Run(bc.name, func(b *testing.B) {
			bed := newBed(b)
			bed.serve(func(c *local.Client) {
				time.Sleep(bc.think)
				_, _ = c.Finish(c.Context(), local.Finish{Outputs: []local.Output{{Path: "a.o", File: -1, Data: make([]byte, 36<<10)}}})
			})
			// What a build's environment is like, so that reading it counts.
			bed.environ = local.Setenv(os.Environ(), bed.environ...)
			programs := []program{
				{name: "true", args: []string{"/bin/true"}},
				{name: "empty", args: []string{emptyProgram(b)}},
				{name: "crosscc", args: []string{bed.crosscc, "gcc", "-O2", "-c", "a.c", "-o", "a.o"}},
			}
			for b.Loop() {
				for i := range programs {
					programs[i].run(b, bed)
				}
				if !bc.again {
					bed.must(os.Remove(filepath.Join(bed.dir, "a.o")))
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, p := range programs {
				p.report(b)
			}
		})
	}
}

// A program of the benchmark, with its runs so far.
type program struct {
	name string
	args []string
	runs []*syscall.Rusage
}

func (p *program) run(b *testing.B, bed *bed) {
	b.Helper()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Dir, cmd.Env = bed.dir, bed.environ
	bed.must(cmd.Run())
	p.runs = append(p.runs, cmd.ProcessState.SysUsage().(*syscall.Rusage))
}

func (p *program) report(b *testing.B) {
	b.Helper()
	slices.SortFunc(p.runs, func(x, y *syscall.Rusage) int { return cmp.Compare(microseconds(x), microseconds(y)) })
	middle := p.runs[len(p.runs)/2]
	b.ReportMetric(microseconds(middle), p.name+"-us")
	b.ReportMetric(microseconds(p.runs[0]), p.name+"-min-us")
	b.ReportMetric(float64(middle.Minflt), p.name+"-faults")
	b.ReportMetric(float64(middle.Nvcsw), p.name+"-switches")
}

func microseconds(u *syscall.Rusage) float64 {
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1000
}

// emptyProgram builds a Go program that does nothing, as crosscc is built.
func emptyProgram(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	source, name := filepath.Join(dir, "main.go"), filepath.Join(dir, "empty")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-o", name, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return name
}
