package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
)

// Parts are measured by the Go benchmarks of their packages.
const partsName = "parts"

// partsLimit bounds one package's benchmarks, with their build.
const partsLimit = 4 * time.Minute

// A part is a package's benchmarks that belong to the tables.
type part struct{ pkg, bench string }

// name is what -only is matched with: parts/sandbox/images.
func (p part) name() string {
	bench := strings.TrimPrefix(strings.Trim(p.bench, "^$"), "Benchmark")
	return strings.ToLower(partsName + strings.TrimPrefix(p.pkg, ".") + "/" + bench)
}

func parts() []part {
	return []part{
		{"./sandbox", "^BenchmarkT(rivial|ree)$"},
		{"./sandbox", "^BenchmarkImages$"},
		{"./broker/helper/views", "^BenchmarkView$"},
		{"./broker/helper", "^BenchmarkImages$"},
		{"./broker/headers", "^Benchmark(Cold|Warm|Floor)$"},
		{"./cmd/crosscc/internal/wrapper", "^BenchmarkRoundTrip$"},
	}
}

// A figureOfPart is one line of `go test -bench`.
type figureOfPart struct {
	pkg, name string
	took      time.Duration
	cpu       time.Duration // zero where the benchmark does not say
}

// runParts runs the benchmarks that only names; left says which could not be run.
func runParts(ctx context.Context, only *regexp.Regexp) (figures []figureOfPart, left []string) {
	for _, p := range parts() {
		if !only.MatchString(p.name()) {
			continue
		}
		some, err := runPart(ctx, p)
		if err != nil {
			left = append(left, fmt.Sprintf("benchmarks %s of %s: %v", p.bench, p.pkg, err))
		}
		figures = append(figures, some...)
	}
	return figures, left
}

func runPart(ctx context.Context, p part) ([]figureOfPart, error) {
	ctx, cancel := context.WithTimeout(ctx, partsLimit)
	defer cancel()
	if _, err := os.Stat("go.mod"); err != nil {
		return nil, fmt.Errorf("run bench in the repository's root: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", p.bench, p.pkg)
	cmd.WaitDelay = place.StopLimit
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(place.Tail(out))))
	}
	figures := parseBench(string(out), p.pkg)
	if len(figures) == 0 {
		return nil, fmt.Errorf("there are none")
	}
	return figures, nil
}

// parseBench reads lines such as
//
//	BenchmarkTrivial/bwrap-2    100    4711000 ns/op
func parseBench(text, pkg string) (figures []figureOfPart) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") || fields[3] != "ns/op" {
			continue
		}
		ns, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i] // the number of processors
		}
		f := figureOfPart{pkg: pkg, name: name, took: time.Duration(ns)}
		for i := 5; i < len(fields); i++ {
			if fields[i] == "cpu-µs/op" {
				micros, _ := strconv.ParseFloat(fields[i-1], 64)
				f.cpu = time.Duration(micros * float64(time.Microsecond))
			}
		}
		figures = append(figures, f)
	}
	return figures
}

func writeParts(w io.Writer, figures []figureOfPart, left []string) {
	fmt.Fprint(w, "\n### Parts, by the Go benchmarks of their packages\n\n")
	var rows [][]string
	for _, f := range figures {
		cpu := ""
		if f.cpu > 0 {
			cpu = table.Figure(millis(f.cpu))
		}
		rows = append(rows, []string{f.pkg, f.name, table.Figure(millis(f.took)), cpu})
	}
	if len(rows) > 0 {
		table.Write(w, []string{"package", "benchmark", "wall, ms", "CPU, ms"}, rows)
	}
	for _, l := range left {
		fmt.Fprintf(w, "\nLeft out: %s\n", strings.ReplaceAll(l, "\n", " "))
	}
}
