package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/object"
	"github.com/crosscc/crosscc/e2e/site"
)

// A target is what a project is built for.
type target struct {
	chost string // as a Gentoo build would call it; the build's compiler is chost-gcc
	tools string // prefix of the same target's tools on Debian
	// emulator runs the target's programs here; none for the host's own.
	emulator []string
	note     string // why it is in the demo; "" for one that is not
}

func targets() []target {
	return []target{
		{"aarch64-unknown-linux-gnu", "aarch64-linux-gnu-",
			[]string{"qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"}, "a Pi helped by a PC"},
		{"riscv64-unknown-linux-gnu", "riscv64-linux-gnu-",
			[]string{"qemu-riscv64-static", "-L", "/usr/riscv64-linux-gnu"}, "a RISC-V board helped by a PC"},
		{"x86_64-pc-linux-gnu", "x86_64-linux-gnu-",
			nil, "the host's own, by the name that Gentoo has for it"},
		{"arm-unknown-linux-gnueabihf", "arm-linux-gnueabihf-",
			[]string{"qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"}, ""},
	}
}

// A build is one project for one target with one compiler.
type build struct {
	project project
	target  target
	family  string // gcc or clang

	preprocessed bool // its sources travel as text
	full         bool // with the project's larger tests
}

func (b build) String() string { return b.project.name + " " + b.family + " " + b.target.chost }

// A row is what came of one build.
type row struct {
	build     build
	files     int // objects and dependency files
	identical int
	took      time.Duration // of the build through crosscc
	status    site.Status   // what the agent counted for it
	faults    []string      // each file that differs, each compile that was local
}

// run builds the project twice in the same directory, so that the compilers see
// equal names, and compares.
func (b build) run(ctx context.Context, s *site.Site, source string, jobs int) (row, error) {
	r := row{build: b}
	src := filepath.Join(source, b.project.dir)
	if b.project.prepare != nil {
		if err := b.project.prepare(ctx, src, b); err != nil {
			return r, fmt.Errorf("prepare: %w", err)
		}
	}
	clean, err := made(src)
	if err != nil {
		return r, err
	}
	before, err := s.Status(ctx)
	if err != nil {
		return r, err
	}
	begin := time.Now()
	if err := b.make(ctx, s, src, jobs, s.Program("crosscc")+" "+b.compiler()); err != nil {
		return r, fmt.Errorf("build through crosscc: %w", err)
	}
	r.took = time.Since(begin)
	after, err := s.Status(ctx)
	if err != nil {
		return r, err
	}
	r.status = after.Since(before)
	if b.project.try != nil {
		if err := b.project.try(ctx, src, b.target); err != nil {
			return r, fmt.Errorf("run what was built: %w", err)
		}
	}
	have, err := take(src, clean)
	if err != nil {
		return r, err
	}
	if err := b.make(ctx, s, src, jobs, b.localCompiler()); err != nil {
		return r, fmt.Errorf("build without crosscc: %w", err)
	}
	want, err := take(src, clean)
	if err != nil {
		return r, err
	}
	return r, r.compare(have, want)
}

// compiler is what a build calls: a Gentoo build has a name for it that this
// machine need not have.
func (b build) compiler() string {
	if b.family == "gcc" {
		return b.target.chost + "-" + b.driver("gcc", "g++")
	}
	return b.localCompiler()
}

// localCompiler is what crosscc stands for: the name that the build says, where
// this machine has it, else Debian's name for the same target.
func (b build) localCompiler() string {
	if b.family == "clang" {
		return b.driver("clang-14", "clang++-14") + " --target=" + strings.TrimSuffix(b.target.tools, "-")
	}
	name := b.target.chost + "-" + b.driver("gcc", "g++")
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return b.target.tools + b.driver("gcc", "g++")
}

func (b build) driver(c, cxx string) string {
	if b.project.cxx {
		return cxx
	}
	return c
}

// make is the project's own build with its own flags; only the tools are named.
func (b build) make(ctx context.Context, s *site.Site, src string, jobs int, compiler string) error {
	command := b.project.command(b, compiler, "-j"+strconv.Itoa(jobs))
	return site.Run(ctx, src, s.Env, command[0], command[1:]...)
}

// made are the files below a directory, by their names in it.
func made(src string) (map[string]bool, error) {
	all := make(map[string]bool)
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[path] = true
		}
		return err
	})
	return all, err
}

// take removes all that a build added to a directory, and gives back the objects
// and dependency files among it.
func take(src string, clean map[string]bool) (map[string][]byte, error) {
	all, err := made(src)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte)
	for path := range all {
		if clean[path] {
			continue
		}
		switch filepath.Ext(path) {
		case ".o", ".lo", ".d":
			if out[path], err = os.ReadFile(path); err != nil {
				return nil, err
			}
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compare counts files, and lists what should not be.
func (r *row) compare(have, want map[string][]byte) error {
	r.files = len(want)
	objects := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if filepath.Ext(name) != ".d" {
			objects++
		}
		switch got, ok := have[name]; {
		case !ok:
			r.fault("%s was not made", filepath.Base(name))
		case r.differ(name, got, want[name]):
		default:
			r.identical++
		}
	}
	if objects == 0 || objects == r.files && !r.build.project.probes {
		return errors.New("the build made no object, or no dependency file")
	}
	r.count(objects)
	for why, n := range r.status.Preprocessed {
		if !r.build.preprocessed && !r.build.project.probes {
			r.fault("%d compiles had no tree: %s", n, why)
		}
	}
	if n := r.status.Jobs.Failed; n > 0 {
		r.fault("%d jobs failed", n)
	}
	return nil
}

// count says which compiles were local that should not be. A project that probes
// has local jobs of many kinds beside its compiles, and some compiles of its own
// stay local; the table says why.
func (r *row) count(objects int) {
	n := r.status.Jobs.Remote + r.status.Jobs.Cached
	if r.build.project.probes {
		if n < objects*3/4 {
			r.fault("only %d compiles were remote or cached, of %d objects", n, objects)
		}
		return
	}
	if n != objects {
		r.fault("%d compiles were remote or cached, of %d objects", n, objects)
	}
	for why, n := range r.status.LocalReasons {
		if why != "link" { // a link is no compile: it is always local
			r.fault("%d compiles were local: %s", n, why)
		}
	}
}

// differ says how a file is not the local one.
func (r *row) differ(name string, have, want []byte) bool {
	if bytes.Equal(have, want) {
		return false
	}
	err := errors.New(filepath.Base(name) + " differs")
	if r.build.preprocessed && filepath.Ext(name) != ".d" {
		err = object.SameCodeOf(name, want, name+" of the helper", have)
	}
	if err != nil {
		r.fault("%v", err)
	}
	return err != nil
}

func (r *row) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}
