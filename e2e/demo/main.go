// Command demo is `make demo`: it builds Lua for three targets through crosscc
// and a helper on loopback, builds it again with the compilers that crosscc
// stands for, and compares objects and dependency files byte by byte, debug info
// and all. It ends with a table, and with status 1 when one file differs or one
// compile was not remote. Other projects, targets and compilers can be named: that
// is `make e2e-projects`.
//
// Start with run, which is the demo from top to bottom.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/e2e/debian"
	"github.com/crosscc/crosscc/e2e/site"
	"github.com/crosscc/crosscc/e2e/tool"
)

func main() {
	os.Exit(tool.Main("demo", run))
}

// options are the command line.
type options struct {
	bin, cache                   string
	projects, targets, compilers string
	preprocessed, full           bool
	jobs                         int
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "bin", "directory of crosscc, crossccd and crossctl")
	flags.StringVar(&o.cache, "cache", ".cache/demo", "directory that keeps source packages and apt's lists")
	flags.StringVar(&o.projects, "projects", "lua", "what to build: lua, zlib, fmt, cmake-fmt, redis, linux; or all")
	flags.StringVar(&o.targets, "targets", "", "begins of targets' names, such as aarch64,riscv64; or all; default: those of the demo")
	flags.StringVar(&o.compilers, "compilers", "gcc", "gcc, clang; or all")
	flags.BoolVar(&o.preprocessed, "preprocessed", false, "send preprocessed text instead of trees: code and data must be identical, line tables need not")
	flags.BoolVar(&o.full, "full", false, "with the projects' larger tests")
	flags.IntVar(&o.jobs, "j", runtime.NumCPU(), "make's jobs at once")
	return o, flags.Parse(args)
}

// builds are what the options name, project by project.
func (o options) builds() ([]build, error) {
	var list []build
	for _, p := range projects() {
		for _, family := range []string{"gcc", "clang"} {
			for _, t := range targets() {
				b := build{p, t, family, o.preprocessed, o.full}
				wanted := named(o.projects, p.name) && named(o.compilers, family) && (named(o.targets, t.chost) || o.targets == "" && t.note != "")
				if wanted && (p.not == nil || !p.not(b)) {
					list = append(list, b)
				}
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("nothing to build: no such project, target or compiler")
	}
	return list, nil
}

// named reports whether a list of begins of names has name.
func named(list, name string) bool {
	return list == "all" || list != "" && slices.ContainsFunc(strings.Split(list, ","), func(s string) bool { return strings.HasPrefix(name, s) })
}

// run is the demo. What it starts is over when it returns, whatever ctx does.
func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	builds, err := o.builds()
	if err != nil {
		return err
	}
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("the demo's targets are for an x86_64 machine, this one is %s", runtime.GOARCH)
	}
	dir, err := os.MkdirTemp("", "crosscc-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// A helper that was started as root works as another user below it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	packages, err := debian.Open(o.cache)
	if err != nil {
		return err
	}
	s, err := site.Start(ctx, o.bin, dir, os.Environ())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if o.preprocessed {
		s.Env = append(s.Env, "CROSSCC_SOURCE=preprocessed", "CROSSCC_HOSTS=grpc://"+s.Helper+",debug=lines")
	}
	fmt.Printf("the helper listens at %s\n", s.Helper)

	var rows []row
	sources := make(map[string]string) // of projects that are unpacked
	for _, b := range builds {
		source := sources[b.project.name]
		if source == "" {
			source = filepath.Join(dir, b.project.name)
			version, err := b.project.unpack(ctx, packages, source, o.full)
			if err != nil {
				return fmt.Errorf("fetch %s: %w", b.project.name, err)
			}
			sources[b.project.name] = source
			fmt.Printf("%s is Debian's %s without its patches\n", b.project.name, version)
		}
		fmt.Printf("building %s with %s for %s, through crosscc and without\n", b.project.name, b.family, b.target.chost)
		r, err := b.run(ctx, s, source, o.jobs)
		if ctx.Err() != nil {
			return fmt.Errorf("%v: %w", b, err)
		}
		if err != nil { // the next one's source is a new one
			r.fault("%v", err)
			delete(sources, b.project.name)
			if err := os.RemoveAll(source); err != nil {
				return err
			}
		}
		printRow(os.Stdout, r)
		rows = append(rows, r)
	}
	printTable(os.Stdout, rows)
	return verdict(rows)
}
