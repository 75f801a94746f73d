package headers

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

const big = "big.cc: #include <vector>\n#include <regex>\n#include <thread>\n#include <iostream>\n#include <map>\n#include <unordered_map>\n#include <future>\n#include <filesystem>\n#include <random>\n#include <algorithm>\nint main() {}\n"

func BenchmarkWarm(b *testing.B) {
	h := newHome(b)
	h.write(big)
	src := h.source("g++-12", "-c", "big.cc", "-O2", "-I.", "-Iinclude")
	t, err := h.s.Scan(b.Context(), h.fd, src)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		if _, err := h.s.Scan(b.Context(), h.fd, src); err != nil {
			b.Fatal(err)
		}
	}
	report(b, before, b.N)
	var files, dirs int
	var bytes int64
	for _, e := range t.Root.All() {
		switch {
		case e.File != nil:
			files, bytes = files+1, bytes+e.File.Blob.Digest.Size
		case e.Dir != nil:
			dirs++
		}
	}
	b.ReportMetric(float64(files), "files")
	b.ReportMetric(float64(dirs), "dirs")
	b.ReportMetric(float64(bytes)/1e6, "MB")
}

// cpu is what the process used so far: other processes do not count.
func cpu() (u unix.Rusage) {
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return u
}

func report(b *testing.B, before unix.Rusage, n int) {
	now := cpu()
	user, system := now.Utime.Nano()-before.Utime.Nano(), now.Stime.Nano()-before.Stime.Nano()
	b.ReportMetric(float64(user)/1e3/float64(n), "user-µs/scan")
	b.ReportMetric(float64(user+system)/1e3/float64(n), "cpu-µs/scan")
}

func BenchmarkCold(b *testing.B) {
	h := newHome(b)
	h.write(big)
	src := h.source("g++-12", "-c", "big.cc", "-O2", "-I.", "-Iinclude")
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		h.s = New(later)
		if _, err := h.s.Scan(b.Context(), h.fd, src); err != nil {
			b.Fatal(err)
		}
	}
	report(b, before, b.N)
}

// BenchmarkFloor is what a warm scan can't go below: the system calls that look
// at each file and directory of the tree once.
func BenchmarkFloor(b *testing.B) {
	h := newHome(b)
	h.write(big)
	t := h.tree("g++-12", "-c", "big.cc", "-O2", "-I.", "-Iinclude")
	before := cpu()
	for b.Loop() {
		walk(b, h.fd, t.Root)
	}
	report(b, before, b.N)
}

func walk(b *testing.B, fd int, d *broker.Dir) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		b.Fatal(err)
	}
	for i := range d.Files {
		if err := unix.Fstatat(fd, d.Files[i].Name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			b.Fatal(err)
		}
	}
	for _, s := range d.Dirs {
		sub, err := unix.Openat(fd, s.Name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		walk(b, sub, s.Dir)
		unix.Close(sub)
	}
}

// BenchmarkProject scans 3,000 sources once each, as a first build does: each
// has a header of its own and twenty of two hundred others beside the standard
// library's. It tells what a Scanner then keeps.
func BenchmarkProject(b *testing.B) {
	const sources = 3000
	h := newHome(b)
	for i := range 200 {
		h.write(fmt.Sprintf("inc%d/common%d.h: #pragma once\n#define COMMON%d 1\n#include \"other.h\"\n", i%10, i, i), fmt.Sprintf("inc%d/other.h: \n", i%10))
	}
	var words []string
	for i := range 10 {
		words = append(words, fmt.Sprintf("-Iinc%d", i))
	}
	for i := range sources {
		text := strings.TrimPrefix(big, "big.cc: ") + fmt.Sprintf("#include \"own%d.h\"\n", i)
		for k := range 20 {
			text += fmt.Sprintf("#include <common%d.h>\n", (i*7+k*11)%200)
		}
		h.write(fmt.Sprintf("src%d/own%d.h: #pragma once\n", i%50, i), fmt.Sprintf("src%d/a%d.cc: %s", i%50, i, text))
	}
	list := make([]Source, sources)
	for i := range list {
		name := fmt.Sprintf("src%d/a%d.cc", i%50, i)
		list[i] = h.parse("g++-12", append(words, "-c", name))
		list[i].Defaults = h.cached("g++-12", []string{"-c", name}).Defaults
	}
	b.ResetTimer()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := cpu()
	for b.Loop() {
		h.s = New(later)
		for _, src := range list {
			if _, err := h.s.Scan(b.Context(), h.fd, src); err != nil {
				b.Fatal(err)
			}
		}
	}
	report(b, start, b.N*sources)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
	b.ReportMetric(float64(after.HeapSys)/1e6, "MB-heap")
	for _, w := range h.s.worlds {
		b.ReportMetric(float64(w.Cost())/1e6, "MB-counted")
	}
}

// BenchmarkBusy is a warm scan where a build puts its objects into a directory of
// the search path: each scan finds one more of them there.
func BenchmarkBusy(b *testing.B) {
	h := newHome(b)
	h.write(big, "obj/config.h: \n")
	for i := range 500 {
		h.write(fmt.Sprintf("obj/an-object-of-%d.o: x", i))
	}
	src := h.source("g++-12", "-c", "big.cc", "-O2", "-Iobj", "-Iinclude")
	h.s = New(nil)
	before, n := cpu(), 0
	for b.Loop() {
		n++
		if err := os.WriteFile(fmt.Sprintf("%s/obj/new-%d.o", h.dir, n%300), nil, 0o644); err != nil {
			b.Fatal(err)
		}
		if _, err := h.s.Scan(b.Context(), h.fd, src); err != nil {
			b.Fatal(err)
		}
	}
	report(b, before, b.N)
}

// BenchmarkShared is a scan whose every look another one has made since its job
// arrived: what is left of a warm scan without system calls.
func BenchmarkShared(b *testing.B) {
	h := newHome(b)
	h.write(big)
	src := h.source("g++-12", "-c", "big.cc", "-O2", "-I.", "-Iinclude")
	chains, err := readWords(src)
	if err != nil {
		b.Fatal(err)
	}
	w := h.s.world(h.fd, false)
	v, err := w.View(b.Context(), w.Arrive(), h.fd)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	sc := &scan{view: v, world: w, src: src, chains: chains, marks: h.s.spare.Get().(*marks)}
	before := cpu()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sc.attempt(); err != nil {
			b.Fatal(err)
		}
	}
	report(b, before, b.N)
}
