package headers

import "testing"

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
	for b.Loop() {
		if _, err := h.s.Scan(b.Context(), h.fd, src); err != nil {
			b.Fatal(err)
		}
	}
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

func BenchmarkCold(b *testing.B) {
	h := newHome(b)
	h.write(big)
	src := h.source("g++-12", "-c", "big.cc", "-O2", "-I.", "-Iinclude")
	b.ReportAllocs()
	for b.Loop() {
		h.s = New(later)
		if _, err := h.s.Scan(b.Context(), h.fd, src); err != nil {
			b.Fatal(err)
		}
	}
}
