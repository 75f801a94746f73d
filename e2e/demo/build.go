package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/object"
)

// A target is what Lua is built for.
type target struct {
	chost string // as a Gentoo build would call it; the build's compiler is chost-gcc
	tools string // prefix of the same target's tools on Debian
	// emulator runs the target's programs here; none for the host's own.
	emulator []string
	note     string // why it is in the demo
}

func targets() []target {
	return []target{
		{"aarch64-unknown-linux-gnu", "aarch64-linux-gnu-",
			[]string{"qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"}, "a Pi helped by a PC"},
		{"riscv64-unknown-linux-gnu", "riscv64-linux-gnu-",
			[]string{"qemu-riscv64-static", "-L", "/usr/riscv64-linux-gnu"}, "a RISC-V board helped by a PC"},
		{"x86_64-pc-linux-gnu", "x86_64-linux-gnu-",
			nil, "the host's own, by the name that Gentoo has for it"},
	}
}

// A row is what came of one target.
type row struct {
	target    target
	files     int // objects
	identical int
	took      time.Duration // of the build through crosscc
	status    status        // what the agent counted for it
	faults    []string      // each object that differs, each compile that was local
}

// build builds Lua twice in the same directory, so that the compilers see equal
// names, and compares.
func (s *site) build(ctx context.Context, t target, source string, jobs int) (row, error) {
	r := row{target: t}
	src := filepath.Join(source, "src")
	before, err := s.status(ctx)
	if err != nil {
		return r, err
	}
	begin := time.Now()
	if err := s.make(ctx, t, src, jobs, filepath.Join(s.bin, "crosscc")+" "+t.chost+"-gcc"); err != nil {
		return r, fmt.Errorf("build through crosscc: %w", err)
	}
	r.took = time.Since(begin)
	after, err := s.status(ctx)
	if err != nil {
		return r, err
	}
	r.status = after.since(before)
	if err := t.run(ctx, src); err != nil {
		return r, fmt.Errorf("run lua: %w", err)
	}
	kept := filepath.Join(s.dir, "objects-"+t.chost)
	if err := keepObjects(src, kept); err != nil {
		return r, err
	}
	if err := s.make(ctx, t, src, jobs, t.localCompiler()); err != nil {
		return r, fmt.Errorf("build without crosscc: %w", err)
	}
	if err := r.compare(kept, src, s.debug); err != nil {
		return r, err
	}
	return r, runIn(ctx, src, nil, "make", "clean")
}

// localCompiler is what crosscc stands for: the name that the build says, where
// this machine has it, else Debian's name for the same target.
func (t target) localCompiler() string {
	if path, err := exec.LookPath(t.chost + "-gcc"); err == nil {
		return path
	}
	return t.tools + "gcc"
}

// make is Lua's own Makefile with its own flags; only the tools are named.
func (s *site) make(ctx context.Context, t target, src string, jobs int, compiler string) error {
	args := []string{"-j" + strconv.Itoa(jobs), "linux",
		"CC=" + compiler, "AR=" + t.tools + "ar rcu", "RANLIB=" + t.tools + "ranlib"}
	if s.debug {
		args = append(args, "MYCFLAGS=-g")
	}
	return runIn(ctx, src, s.env, "make", args...)
}

// since is what was counted between two questions.
func (st status) since(before status) status {
	st.Jobs.Remote -= before.Jobs.Remote
	st.Jobs.Cached -= before.Jobs.Cached
	st.Jobs.Local -= before.Jobs.Local
	st.Jobs.Failed -= before.Jobs.Failed
	reasons := make(map[string]int)
	for why, n := range st.LocalReasons {
		if n -= before.LocalReasons[why]; n > 0 {
			reasons[why] = n
		}
	}
	st.LocalReasons = reasons
	return st
}

// program exercises strings, tables, closures, integers and floats of the lua
// that was built; answer is what it must print.
const (
	program = `
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local t = {}
for w in ("the quick brown fox"):gmatch("%a+") do t[#t + 1] = w:upper() end
table.sort(t)
print(_VERSION, fib(20), table.concat(t, " "), 7 // 2, 2^0.5, 1 << 40)`
	answer = "Lua 5.4\t6765\tBROWN FOX QUICK THE\t3\t1.4142135623731\t1099511627776\n"
)

func (t target) run(ctx context.Context, src string) error {
	words := append(slices.Clone(t.emulator), filepath.Join(src, "lua"), "-e", program)
	got, err := output(ctx, src, nil, words[0], words[1:]...)
	if err != nil {
		return err
	}
	if got != answer {
		return fmt.Errorf("it prints %q, want %q", got, answer)
	}
	return nil
}

// keepObjects moves the objects of a build away, and all else that it made.
func keepObjects(src, kept string) error {
	objects, err := filepath.Glob(filepath.Join(src, "*.o"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(kept, 0o755); err != nil {
		return err
	}
	for _, o := range objects {
		if err := os.Rename(o, filepath.Join(kept, filepath.Base(o))); err != nil {
			return err
		}
	}
	for _, made := range []string{"lua", "luac", "liblua.a"} {
		if err := os.Remove(filepath.Join(src, made)); err != nil {
			return err
		}
	}
	return nil
}

// compare counts objects, and lists what should not be.
func (r *row) compare(remote, local string, debug bool) error {
	objects, err := filepath.Glob(filepath.Join(local, "*.o"))
	if err != nil {
		return err
	}
	r.files = len(objects)
	if r.files == 0 {
		return errors.New("the build made no object")
	}
	for _, o := range objects {
		if err := compareObjects(filepath.Join(remote, filepath.Base(o)), o, debug); err != nil {
			r.faults = append(r.faults, err.Error())
			continue
		}
		r.identical++
	}
	if n := r.status.Jobs.Remote + r.status.Jobs.Cached; n != r.files {
		r.faults = append(r.faults, fmt.Sprintf("%d compiles were remote or cached, of %d objects", n, r.files))
	}
	for why, n := range r.status.LocalReasons {
		if why != "link" { // a link is no compile: it is always local
			r.faults = append(r.faults, fmt.Sprintf("%d compiles were local: %s", n, why))
		}
	}
	if n := r.status.Jobs.Failed; n > 0 {
		r.faults = append(r.faults, fmt.Sprintf("%d jobs failed", n))
	}
	return nil
}

func compareObjects(remote, local string, debug bool) error {
	if debug {
		return object.SameCode(remote, local)
	}
	a, err := os.ReadFile(remote)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(local)
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("%s differs", filepath.Base(local))
	}
	return nil
}

// reasons is "2 (link 2)" or "0".
func (st status) reasons() string {
	var words []string
	for why, n := range st.LocalReasons {
		words = append(words, fmt.Sprintf("%s %d", why, n))
	}
	slices.Sort(words)
	if len(words) == 0 {
		return strconv.Itoa(st.Jobs.Local)
	}
	return fmt.Sprintf("%d (%s)", st.Jobs.Local, strings.Join(words, ", "))
}
