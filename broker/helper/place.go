package helper

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/crosscc/crosscc/broker/pack"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/probe"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// A place is a file system with toolchains: this machine's, or an image's for as
// long as it is held. Whatever a compiler reads besides the job comes from its
// place.
type place struct {
	dir  string // sandbox.Spec.Root; "" for this machine
	root *rootfs.Root
	path string // PATH of the programs
	done func() // lets go of an image; nil for this machine

	drivers []string // where a pack says that it has compilers
}

// release ends the use of an image's place; one of this machine stays.
func (p *place) release() {
	if p.done != nil {
		_ = p.root.Close()
		p.done()
	}
}

func (p *place) getenv(key string) string {
	if key == "PATH" {
		return p.path
	}
	return "" // COMPILER_PATH and its kin are nothing to a helper
}

// localeUTF8 asks for a locale that is not inside of every C library.
const localeUTF8 = "LC_ALL=C.UTF-8"

// localeFiles are what the C library reads for C.UTF-8, where the place has them.
// Where it has not the compiler prints as in C, which is not what the client would
// see at home.
func (p *place) localeFiles() []string {
	var list []string
	for _, name := range []string{"LC_CTYPE", "LC_MESSAGES/SYS_LC_MESSAGES"} {
		name = "/usr/lib/locale/C.utf8/" + name
		if _, err := p.root.Stat(name); err == nil {
			list = append(list, name)
		}
	}
	return list
}

// probe asks one driver, in the sandbox, with its own programs in view: what it is,
// or what it is as a derived one.
func (c *catalog) probe(ctx context.Context, at *place, path string, as *triple.Derivation) (toolchains.Toolchain, error) {
	if as != nil {
		return probe.Derived(ctx, c.system(at, path), path, *as)
	}
	return probe.Toolchain(ctx, c.system(at, path), path, "")
}

// system is how the driver at path is asked.
func (c *catalog) system(at *place, path string) drivers.System {
	return drivers.System{Root: at.root, Getenv: at.getenv, Run: c.inside(at, path), Cache: c.cache}
}

// inside runs the driver at path and its programs in the sandbox. What these
// are has to be asked with more in view, once for each probe that the cache can't
// answer.
func (c *catalog) inside(at *place, path string) drivers.RunFunc {
	programs := sync.OnceValues(func() ([]string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), probeTime)
		defer cancel()
		sys := drivers.System{Root: at.root, Getenv: at.getenv, Run: c.first(at)}
		return probe.Programs(ctx, sys, path)
	})
	return func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		list, err := programs()
		if err != nil {
			return drivers.Output{}, err
		}
		return c.run(ctx, c.o.Runner, at, p, func(s *sandbox.Spec) { s.Programs = list })
	}
}

// first asks a compiler where its programs are: before that is known no root can
// be made for it. One of this machine's own runs without walls; one of an image,
// which is a stranger's, in a sandbox that shows all of the image.
func (c *catalog) first(at *place) drivers.RunFunc {
	return func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		if at.dir == "" {
			return c.run(ctx, c.o.direct(), at, p, func(*sandbox.Spec) {})
		}
		return c.run(ctx, c.o.Runner, at, p, func(s *sandbox.Spec) { s.Whole = true })
	}
}

func (c *catalog) run(ctx context.Context, run sandbox.Runner, at *place, p drivers.Program, show func(*sandbox.Spec)) (drivers.Output, error) {
	s := &sandbox.Spec{
		Path: p.Path, Args: append([]string{p.Path}, p.Args...), Env: append([]string{"PATH=" + at.path}, p.Env...), Dir: "/",
		Root: at.dir, Stdin: p.Stdin, Limits: probeLimits, Brief: true,
	}
	show(s)
	out, err := run(ctx, s)
	if err != nil {
		return drivers.Output{}, err
	}
	defer out.Close()
	return drivers.Output{Stdout: out.Stdout, Stderr: out.Stderr, Status: out.ExitCode}, nil
}

// direct runs programs of this machine without walls.
func (o Options) direct() sandbox.Runner {
	return direct.New(direct.Options{Dir: o.Views})
}

// defaultPath is the PATH in an image that names none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// openPlace is the place of an image that is held until release.
func openPlace(r *ImageRoot) (*place, error) {
	root, err := rootfs.At(r.Dir)
	if err != nil {
		r.Release()
		return nil, fmt.Errorf("image: %w", err)
	}
	at := &place{dir: r.Dir, root: root, path: defaultPath, done: r.Release}
	for _, kv := range r.Env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok && path != "" && !strings.Contains(path, "\x00") {
			at.path = path
		}
	}
	if drivers, path := pack.Drivers(r.Labels); len(drivers) > 0 {
		at.drivers, at.path = drivers, cmp.Or(path, at.path)
	}
	return at, nil
}
