package store

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// fill makes n files of entries by hand, quicker than Put would.
func fill(tb testing.TB, dir string, n int) {
	tb.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		k, _ := keyOf(blob, broker.DigestOf([]byte(strconv.Itoa(i))))
		if err := os.MkdirAll(s.shard(k), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(s.path(k), []byte(strconv.Itoa(i)), 0o444); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkStart opens a store of 100,000 entries.
func BenchmarkStart(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "store")
	fill(b, dir, 100_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var cpu time.Duration
	for b.Loop() {
		cpu -= cpuTime(b)
		s, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime(b)
		if n := s.Stats().Blobs; n != 100_000 {
			b.Fatalf("%d entries", n)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/100_000, "B/entry")
		s.Close()
	}
	b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms/op")
}

// TestStartReadsNames: a start opens each directory once, and reads no file but the
// marker; its time goes by the number of entries and not by their size.
func TestStartReadsNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	fill(t, dir, 2000)
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	shards, err := filepath.Glob(filepath.Join(dir, "blobs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	watched := make(map[int32]string)
	for _, shard := range shards {
		w, err := unix.InotifyAddWatch(fd, shard, unix.IN_ALL_EVENTS)
		if err != nil {
			t.Fatal(err)
		}
		watched[int32(w)] = shard
	}
	s := reopen(t, dir, Options{})
	if n := s.Stats().Blobs; n != 2000 {
		t.Fatalf("%d entries", n)
	}
	opened := make(map[string]int)
	buf := make([]byte, 1<<20)
	n, err := unix.Read(fd, buf)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[i]))
		name := string(bytes.TrimRight(buf[i+unix.SizeofInotifyEvent:i+unix.SizeofInotifyEvent+int(e.Len)], "\x00"))
		i += unix.SizeofInotifyEvent + int(e.Len)
		if name != "" || e.Mask&unix.IN_Q_OVERFLOW != 0 {
			t.Errorf("event %#x of %s", e.Mask, filepath.Join(watched[e.Wd], name))
		}
		if e.Mask&unix.IN_OPEN != 0 {
			opened[watched[e.Wd]]++
		}
	}
	for _, shard := range shards {
		if opened[shard] != 1 {
			t.Errorf("%s was opened %d times", shard, opened[shard])
		}
	}
}

// cpuTime is what this process used so far. It says more than the wall's time on a
// machine that does other things as well.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkPut(b *testing.B) {
	s := open(b, Options{})
	content := make([]byte, 20<<10)
	b.SetBytes(int64(len(content)))
	i := 0
	for b.Loop() {
		i++
		copy(content, strconv.Itoa(i))
		if _, err := s.PutBytes(content); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := open(b, Options{})
	d, err := s.PutBytes(bytes.Repeat([]byte("x"), 20<<10))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := s.Open(d)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkMissing500(b *testing.B) {
	s := open(b, Options{})
	var ds []broker.Digest
	for i := range 500 {
		d, err := s.PutBytes([]byte(strconv.Itoa(i)))
		if err != nil {
			b.Fatal(err)
		}
		ds = append(ds, d)
	}
	for b.Loop() {
		if m := s.Missing(ds); m != nil {
			b.Fatal(m)
		}
	}
}
