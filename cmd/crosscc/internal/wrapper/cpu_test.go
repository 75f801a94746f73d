package wrapper

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
// takes matters: what the Go runtime does while it waits is CPU time too. So does
// what the file system remembers: no object is removed, for ext4 looks at every
// inode that was freed in the last minute before it gives out another.
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
				object := c.Request.Args[len(c.Request.Args)-1]
				time.Sleep(bc.think)
				_, _ = c.Finish(c.Context(), local.Finish{Outputs: []local.Output{{Path: object, File: -1, Data: make([]byte, 36<<10)}}})
			})
			// What a build's environment is like, so that reading it counts.
			bed.environ = local.Setenv(os.Environ(), bed.environ...)
			programs := []program{
				{name: "true", args: []string{"/bin/true"}},
				{name: "empty", args: []string{installed(b, emptyProgram(b))}},
				{name: "crosscc", args: []string{installed(b, bed.crosscc), "gcc", "-O2", "-c", "a.c", "-o", "a.o"}},
			}
			object := &programs[2].args[6]
			for i := 0; b.Loop(); i++ {
				if !bc.again {
					*object = "a" + strconv.Itoa(i) + ".o"
				}
				for i := range programs {
					programs[i].run(b, bed)
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, p := range programs {
				p.report(b)
			}
		})
	}
}

// installed is a copy of a program. One that was not copied since the Go linker
// wrote it lies in the page cache page by page and takes 0.15 ms more to start.
func installed(b *testing.B, program string) string {
	b.Helper()
	text, err := os.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	name := filepath.Join(b.TempDir(), filepath.Base(program))
	if err := os.WriteFile(name, text, 0o755); err != nil {
		b.Fatal(err)
	}
	return name
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
