package probe

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/drivers/drivertest"
)

// copyGCC makes a gcc of its own in a temporary directory: a real driver that
// finds its cc1 there, as one in /usr does, by where it lies.
func copyGCC(t *testing.T) (driver, cc1 string) {
	t.Helper()
	dir := t.TempDir()
	driver, cc1 = dir+"/bin/gcc", dir+"/lib/gcc/x86_64-linux-gnu/12/cc1"
	data, err := os.ReadFile(drivertest.Need(t, "x86_64-linux-gnu-gcc-12"))
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Write(t, driver, string(data), 0o755)
	drivertest.Write(t, cc1, "#!/bin/sh\nexec /usr/lib/gcc/x86_64-linux-gnu/12/cc1 \"$@\"\n", 0o755)
	return driver, cc1
}

func TestCacheNoticesChanges(t *testing.T) {
	driver, cc1 := copyGCC(t)
	tool := filepath.Dir(filepath.Dir(driver)) + "/x86_64-linux-gnu"
	bin := t.TempDir()
	h := drivertest.New(t, "PATH="+bin+":"+os.Getenv("PATH"))
	h.Cache = drivertest.Settled("")
	probe := func(sys drivers.System) toolchains.Toolchain {
		t.Helper()
		tc, err := Toolchain(t.Context(), sys, driver, "")
		if err != nil {
			t.Fatal(err)
		}
		return tc
	}
	last := probe(h.System)
	if last.Fingerprint["cc1"] == "" || !strings.HasPrefix(last.Programs[0]+last.Programs[1], filepath.Dir(filepath.Dir(driver))) {
		t.Fatalf("the copied driver uses %q", last.Programs)
	}
	for _, step := range []struct {
		name    string
		change  func()
		changes string // role whose digest changes; "" when nothing does
	}{
		{"nothing", func() {}, "-"},
		{"an upgraded cc1", func() {
			drivertest.Write(t, cc1, "#!/bin/sh\nexec /usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet \"$@\"\n", 0o755)
		}, "cc1"},
		{"cc1 replaced by rename, size and mtime kept", func() {
			old, _ := os.ReadFile(cc1)
			info, _ := os.Stat(cc1)
			drivertest.Write(t, cc1+".new", strings.Replace(string(old), "exec ", "exec\t", 1), 0o755)
			_ = os.Chtimes(cc1+".new", info.ModTime(), info.ModTime())
			_ = os.Rename(cc1+".new", cc1)
		}, "cc1"},
		{"a new cc1plus", func() { drivertest.Write(t, filepath.Dir(cc1)+"/cc1plus", "#!/bin/sh\n", 0o755) }, "cc1plus"},
		{"an assembler beside cc1", func() {
			drivertest.Write(t, filepath.Dir(cc1)+"/as", "#!/bin/sh\nexec /usr/bin/as \"$@\"\n", 0o755)
		}, "as"},
		{"it goes away again", func() { _ = os.Remove(filepath.Dir(cc1) + "/as") }, "as"},
		{"an assembler earlier on PATH", func() { drivertest.Write(t, bin+"/as", "#!/bin/sh\nexec /usr/bin/as $nothing \"$@\"\n", 0o755) }, "as"},
		{"an objcopy beside cc1", func() {
			data, _ := os.ReadFile("/usr/bin/objcopy")
			drivertest.Write(t, filepath.Dir(cc1)+"/objcopy", string(data)+"x", 0o755)
		}, "objcopy"},
		{"a script in its place", func() { drivertest.Write(t, filepath.Dir(cc1)+"/objcopy", "#!/bin/sh\n", 0o755) }, "objcopy"},
		{"a specs file beside cc1", func() { drivertest.Write(t, filepath.Dir(cc1)+"/specs", "*cc1_options:\n+ -fno-common\n\n", 0o644) }, "specs"},
		{"it changes", func() { drivertest.Write(t, filepath.Dir(cc1)+"/specs", "*cc1_options:\n+ -fcommon\n\n", 0o644) }, "specs"},
		{"it goes away", func() { _ = os.Remove(filepath.Dir(cc1) + "/specs") }, "specs"},
		{"a specs file below lib", func() { drivertest.Write(t, tool+"/lib/specs", "*cc1_options:\n+ -fno-common\n\n", 0o644) }, "specs"},
		{"an upgraded driver", func() {
			data, _ := os.ReadFile(driver)
			drivertest.Write(t, driver+".new", string(data)+"x", 0o755)
			_ = os.Rename(driver+".new", driver)
		}, "driver"},
		{"a g++ beside gcc", func() {
			data, _ := os.ReadFile("/usr/bin/x86_64-linux-gnu-g++-12")
			drivertest.Write(t, filepath.Dir(driver)+"/g++", string(data), 0o755)
		}, "driver++"},
	} {
		step.change()
		before := h.Runs.Load()
		now := probe(h.System)
		if asked := h.Runs.Load() > before; asked != (step.changes != "-") {
			t.Errorf("%s: programs run %v", step.name, asked)
		}
		if step.changes != "-" && now.Fingerprint[step.changes] == last.Fingerprint[step.changes] {
			t.Errorf("%s: %s is still %q", step.name, step.changes, now.Fingerprint[step.changes])
		}
		if specs := step.changes == "specs"; specs && now.Defaults == last.Defaults {
			t.Errorf("%s: the defaults are the same", step.name)
		}
		last = now
	}
	before := h.Runs.Load()
	other := h.System
	other.Getenv = func(k string) string {
		return map[string]string{"PATH": h.Getenv("PATH"), "COMPILER_PATH": "/nosuch"}[k]
	}
	if probe(other); h.Runs.Load() == before {
		t.Error("another COMPILER_PATH was not noticed")
	}
}

// A file that is as young as the clock is coarse may change unseen: it is asked
// again each time.
func TestCacheYoungFiles(t *testing.T) {
	driver, _ := copyGCC(t)
	h := drivertest.New(t)
	written := time.Now()
	h.Cache = &drivers.Cache{Dir: t.TempDir(), Now: func() time.Time { return written }}
	for range 2 {
		before := h.Runs.Load()
		if _, err := Toolchain(t.Context(), h.System, driver, ""); err != nil || h.Runs.Load() == before {
			t.Errorf("a compiler just written was trusted, %v", err)
		}
	}
	h.Cache.Now = func() time.Time { return written.Add(2 * time.Second) }
	_, _ = Toolchain(t.Context(), h.System, driver, "")
	before := h.Runs.Load()
	if _, err := Toolchain(t.Context(), h.System, driver, ""); err != nil || h.Runs.Load() != before {
		t.Errorf("a compiler two seconds old was asked again, %v", err)
	}
}

func TestCacheDisk(t *testing.T) {
	dir := t.TempDir() + "/made/when/needed"
	h := drivertest.New(t)
	driver := drivertest.Need(t, "aarch64-linux-gnu-gcc-12")
	h.Cache = drivertest.Settled(dir)
	first, err := Toolchain(t.Context(), h.System, driver, "")
	if err != nil {
		t.Fatal(err)
	}
	again := func() (toolchains.Toolchain, bool) {
		t.Helper()
		before := h.Runs.Load()
		h.Cache = drivertest.Settled(dir)
		tc, err := Toolchain(t.Context(), h.System, driver, "")
		if err != nil || !reflect.DeepEqual(tc, first) {
			t.Fatalf("%+v, %v, want %+v", tc, err, first)
		}
		return tc, h.Runs.Load() > before
	}
	if _, asked := again(); asked {
		t.Error("disk did not answer")
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := strings.Replace(string(good), "12.2.0", "12.3.0", 1)
	for name, text := range map[string]string{
		"empty": "", "cut": string(good[:len(good)/2]), "flipped": flipped, "no JSON": "hello", "null": "null", "list": "[]",
		"another answer": `{"Key":"x","Sum":"y","Answer":{}}`, "large": string(good) + strings.Repeat(" ", 1<<20),
		"no looks": `{"Key":` + `"","Sum":"` + digestText("{}") + `","Answer":{}}`,
	} {
		drivertest.Write(t, files[0], text, 0o600)
		if _, asked := again(); !asked {
			t.Errorf("%s: damage was believed", name)
		}
		if _, asked := again(); asked {
			t.Errorf("%s: was not mended", name)
		}
	}
	for name, spoil := range map[string]func() error{
		"directory": func() error { return os.Mkdir(files[0], 0o700) },
		"no Dir":    func() error { return os.RemoveAll(dir) },
		"file":      func() error { return os.WriteFile(dir, nil, 0o600) },
	} {
		_ = os.RemoveAll(files[0])
		if name == "file" {
			_ = os.RemoveAll(dir)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		again()
		if err := os.RemoveAll(dir); err != nil || os.MkdirAll(dir, 0o700) != nil {
			t.Fatal(err)
		}
	}
}

func TestCacheAsksOnce(t *testing.T) {
	h := drivertest.New(t)
	h.Cache = drivertest.Settled("")
	driver := drivertest.Need(t, "gcc-12")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if tc, err := Toolchain(t.Context(), h.System, driver, ""); err != nil || tc.Version != "12.2.0" {
				t.Errorf("%v, %v", tc, err)
			}
		})
	}
	all.Wait()
	if n := h.Runs.Load(); n > 6 {
		t.Errorf("%d programs were run", n)
	}
	tc, _ := Toolchain(t.Context(), h.System, driver, "")
	tc.Fingerprint["cc1"] = "changed by a caller"
	if again, _ := Toolchain(t.Context(), h.System, driver, ""); again.Fingerprint["cc1"] == tc.Fingerprint["cc1"] {
		t.Error("a caller changed what others are given")
	}
}

// Who waits for another's probe goes when its own context ends; a probe that
// fails or is cancelled is not the others' answer.
func TestCacheContext(t *testing.T) {
	h := drivertest.New(t)
	h.Cache = drivertest.Settled("")
	driver := drivertest.Need(t, "gcc-12")
	asking, release := make(chan struct{}), make(chan struct{})
	slow := h.System
	slow.Run = func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		close(asking)
		<-release
		return drivers.Output{}, context.Canceled
	}
	first := make(chan error, 1)
	go func() { _, err := Toolchain(context.Background(), slow, driver, ""); first <- err }()
	<-asking
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Toolchain(ctx, h.System, driver, ""); err == nil || !strings.Contains(err.Error(), "wait for another probe") {
		t.Errorf("a waiter whose time is up: %v", err)
	}
	close(release)
	if err := <-first; err == nil {
		t.Error("a cancelled probe has an answer")
	}
	if tc, err := Toolchain(t.Context(), h.System, driver, ""); err != nil || tc.Version != "12.2.0" {
		t.Errorf("after a cancelled probe: %v, %v", tc, err)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	h := drivertest.New(b)
	h.Cache = drivertest.Settled("")
	for b.Loop() {
		if _, err := Toolchain(b.Context(), h.System, "/usr/bin/gcc-12", ""); err != nil {
			b.Fatal(err)
		}
	}
}
