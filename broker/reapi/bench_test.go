package reapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/door"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/toolchains"
)

// serverVariable has this test binary be a server, so that a benchmark's figures
// are the client's alone.
const serverVariable = "CROSSCC_BENCH_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverVariable); dir != "" {
		if err := serveBench(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveBench serves until its input ends; every compile gives the same object.
func serveBench(dir string) error {
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	made := []broker.Blob{broker.BytesBlob([]byte(text(r, 16<<10))), broker.BytesBlob([]byte(text(r, 64<<10)))}
	state := broker.State{Version: "bench", Slots: 8, Toolchains: []toolchains.Toolchain{reapitest.Toolchain()}}
	s := door.New(door.Backend{
		Run: func(_ context.Context, j *broker.Job) (broker.Result, error) {
			var res broker.Result
			for i, name := range j.Outputs {
				res.Outputs = append(res.Outputs, broker.Output{Path: name, Blob: made[i]})
			}
			return res, nil
		},
		Store: st, State: func() (broker.State, <-chan struct{}) { return state, nil },
	}, door.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.Close()
	}()
	fmt.Println(l.Addr())
	return s.Serve(l)
}

// startServer is a server in a process of its own.
func startServer(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverVariable+"="+b.TempDir())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// text is something like a header: words that come again.
func text(r *rand.Rand, size int) string {
	var s strings.Builder
	for s.Len() < size {
		fmt.Fprintf(&s, "static inline int name_%d(const struct thing_%d *p) { return p->field_%d + %d; }\n",
			r.IntN(500), r.IntN(50), r.IntN(20), r.IntN(1000))
	}
	return s.String()[:size]
}

const (
	benchFiles = 455
	benchDirs  = 60
)

// benchTree is a tree like a C++ source's with the usual headers, on disk below
// dir: 455 files of 10 KiB in 60 directories.
func benchTree(b *testing.B, dir string, seed uint64) *broker.Dir {
	b.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	root := new(broker.Dir)
	for i := range benchFiles - 1 {
		name := fmt.Sprintf("/usr/include/c++/12/part_%02d/header_%03d.h", i%(benchDirs-7), i)
		data := []byte(text(r, 2<<10+r.IntN(16<<10)))
		path := filepath.Join(dir, fmt.Sprint(seed, "-", i))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			b.Fatal(err)
		}
		root.Put(name, broker.File{Blob: broker.PathBlob(broker.DigestOf(data), path)})
	}
	return root
}

// benchJob is a job of the tree's files and a source. The tree is not changed.
func benchJob(root *broker.Dir, source string) *broker.Job {
	j := reapitest.Job("")
	j.Form, j.Dir, j.Root = broker.Tree, "/home/user/project", &broker.Dir{Dirs: slices.Clone(root.Dirs)}
	j.Fingerprint = toolchains.Fingerprint{}
	for _, role := range []string{"driver", "driver++", "cc1", "cc1plus", "as", "specs"} {
		j.Fingerprint[role] = strings.Repeat("1", 64)
	}
	j.Args = []string{"-O2", "-g", "-Wall", "-Iinclude", "-DNDEBUG", "-std=c++17", "-x", "c++"}
	for i := range 12 {
		j.Args = append(j.Args, "-isystem", fmt.Sprintf("/usr/include/c++/12/part_%02d", i))
	}
	j.Args = append(j.Args, "-isysroot", "/.none", "-MD", "-MF", "out.d", "-c", "src/main.cc", "-o", "out.o")
	j.Outputs = []string{"out.d", "out.o"}
	j.Root.Put("/home/user/project/src/main.cc", broker.File{Blob: broker.BytesBlob([]byte(source))})
	return j
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs f with a number of its own each time, one or eight at once.
func measure(b *testing.B, f func(i int)) {
	b.Helper()
	f(-1)
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprint("at once ", workers), func(b *testing.B) {
			b.ReportAllocs()
			var next atomic.Int64
			began := cpuTime(b)
			b.ResetTimer()
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						f(int(i))
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N)/1e3, "cpu-µs/op")
		})
	}
}

// A job of which the server knows all but the source: one remote compile.
func BenchmarkWarm(b *testing.B) {
	c := dial(b, startServer(b), ClientOptions{})
	root := benchTree(b, b.TempDir(), 1)
	source := []byte("0000000000\n" + text(rand.New(rand.NewPCG(3, 4)), 16<<10))
	runs := 0
	var mu sync.Mutex
	measure(b, func(int) {
		mu.Lock()
		runs++
		copy(source, fmt.Sprintf("%010d", runs))
		j := benchJob(root, string(source))
		mu.Unlock()
		if _, err := c.Run(b.Context(), j); err != nil {
			b.Error(err)
		}
	})
}

// A job that the server has the result of.
func BenchmarkHit(b *testing.B) {
	c := dial(b, startServer(b), ClientOptions{})
	j := benchJob(benchTree(b, b.TempDir(), 1), "int main() {}\n")
	measure(b, func(int) {
		if _, err := c.Run(b.Context(), j); err != nil {
			b.Error(err)
		}
	})
}

// A job of which the server knows nothing, over loopback and as it would go over a
// network.
func BenchmarkCold(b *testing.B) {
	for name, pack := range map[string]bool{"near": false, "far": true} {
		b.Run(name, func(b *testing.B) {
			c := dial(b, startServer(b), ClientOptions{})
			mustRun(b, c, reapitest.Job("x"))
			believe(c, answers{run: true, pack: pack})
			dir, seed := b.TempDir(), uint64(100)
			b.ReportAllocs()
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				seed++
				j := benchJob(benchTree(b, dir, seed), "int main() {}\n")
				b.SetBytes(size(j))
				began := cpuTime(b)
				b.StartTimer()
				mustRun(b, c, j)
				b.StopTimer()
				used += cpuTime(b) - began
				b.StartTimer()
			}
			b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/op")
		})
	}
}

// size is the sum of a job's files.
func size(j *broker.Job) (n int64) {
	for _, e := range j.Root.All() {
		if e.File != nil {
			n += e.File.Blob.Digest.Size
		}
	}
	return n
}
