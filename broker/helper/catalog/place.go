package catalog

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/crosscc/crosscc/broker/pack"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/native"
	"github.com/crosscc/crosscc/toolchains/probe"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// A Place is a file system with toolchains: this machine's, or an image's for as
// long as it is held. Whatever a compiler reads besides the job comes from its
// place.
type Place struct {
	Dir  string // sandbox.Spec.Root; "" for this machine
	Root *rootfs.Root
	Path string // PATH of the programs
	done func() // lets go of an image; nil for this machine

	drivers []string // where a pack says that it has compilers
}

// Release ends the use of an image's place; one of this machine stays.
func (p *Place) Release() {
	if p.done != nil {
		_ = p.Root.Close()
		p.done()
	}
}

func (p *Place) getenv(key string) string {
	if key == "PATH" {
		return p.Path
	}
	return "" // COMPILER_PATH and its kin are nothing to a helper
}

// LocaleFiles are what the C library reads for C.UTF-8, where the place has them.
// Where it has not the compiler prints as in C, which is not what the client would
// see at home.
func (p *Place) LocaleFiles() []string {
	var list []string
	for _, name := range []string{"LC_CTYPE", "LC_MESSAGES/SYS_LC_MESSAGES"} {
		name = "/usr/lib/locale/C.utf8/" + name
		if _, err := p.Root.Stat(name); err == nil {
			list = append(list, name)
		}
	}
	return list
}

// probe asks one driver, in the sandbox, with its own programs in view: what it is,
// or what it is as a derived one.
func (c *Catalog) probe(ctx context.Context, at *Place, path string, as *triple.Derivation) (toolchains.Toolchain, error) {
	if as != nil {
		return probe.Derived(ctx, c.system(at, path), path, *as)
	}
	return probe.Toolchain(ctx, c.system(at, path), path, "")
}

// Probe asks the driver at a path what it is; what it said before is remembered for as
// long as its files stand as they did.
func (c *Catalog) Probe(ctx context.Context, at *Place, path string) (toolchains.Toolchain, error) {
	return c.probe(ctx, at, path, nil)
}

// AsksNative reports whether all that a gcc asks of the CPU is in the one spec that a
// helper answers.
func (c *Catalog) AsksNative(ctx context.Context, at *Place, l Located) (bool, error) {
	if l.native != nil {
		return *l.native, nil
	}
	return native.Taken(ctx, c.system(at, l.Driver()), l.Driver(), l.Toolchain)
}

// system is how the driver at path is asked.
func (c *Catalog) system(at *Place, path string) drivers.System {
	return drivers.System{Root: at.Root, Getenv: at.getenv, Run: c.inside(at, path), Cache: c.cache}
}

// inside runs the driver at path and its programs in the sandbox. What these
// are has to be asked with more in view, once for each probe that the cache can't
// answer.
func (c *Catalog) inside(at *Place, path string) drivers.RunFunc {
	programs := sync.OnceValues(func() ([]string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), probeTime)
		defer cancel()
		sys := drivers.System{Root: at.Root, Getenv: at.getenv, Run: c.first(at)}
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
func (c *Catalog) first(at *Place) drivers.RunFunc {
	return func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		if at.Dir == "" {
			return c.run(ctx, c.o.direct(), at, p, func(*sandbox.Spec) {})
		}
		return c.run(ctx, c.o.Runner, at, p, func(s *sandbox.Spec) { s.Whole = true })
	}
}

func (c *Catalog) run(ctx context.Context, run sandbox.Runner, at *Place, p drivers.Program, show func(*sandbox.Spec)) (drivers.Output, error) {
	s := &sandbox.Spec{
		Path: p.Path, Args: append([]string{p.Path}, p.Args...), Env: append([]string{"PATH=" + at.Path}, p.Env...), Dir: "/",
		Root: at.Dir, Stdin: p.Stdin, Limits: probeLimits, Brief: true,
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
func openPlace(r *ImageRoot) (*Place, error) {
	root, err := rootfs.At(r.Dir)
	if err != nil {
		r.Release()
		return nil, fmt.Errorf("image: %w", err)
	}
	at := &Place{Dir: r.Dir, Root: root, Path: defaultPath, done: r.Release}
	for _, kv := range r.Env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok && path != "" && !strings.Contains(path, "\x00") {
			at.Path = path
		}
	}
	if drivers, path := pack.Drivers(r.Labels); len(drivers) > 0 {
		at.drivers, at.Path = drivers, cmp.Or(path, at.Path)
	}
	return at, nil
}

// Enterable reports whether anybody may pass through dir and what is above it.
func Enterable(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil || st.Mode()&0o001 == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}
