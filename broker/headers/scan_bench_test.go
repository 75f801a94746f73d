package headers

import (
	"testing"
	"time"

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
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
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
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
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
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
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
