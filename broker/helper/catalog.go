package helper

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

const (
	// rescan is how often the machine is looked at again for installed and
	// removed compilers. A round without news stats some hundred files.
	rescan = 30 * time.Second
	// probeTime bounds one run of a compiler that is asked what it is.
	probeTime = 20 * time.Second
)

// probeLimits bound a compiler that is asked what it is.
var probeLimits = sandbox.Limits{
	Wall: probeTime, CPU: probeTime, Memory: 4 << 30, FileSize: 64 << 20,
	OutputSum: 64 << 20, Stdout: 8 << 20, Stderr: 8 << 20,
}

// A catalog knows the toolchains of this machine, each probed in the sandbox
// that jobs get (X3).
type catalog struct {
	o     Options
	root  *rootfs.Root
	cache *toolchains.Cache
	tell  func([]toolchains.Toolchain)
	ready chan struct{} // closed after the first round
	once  sync.Once

	mu    sync.Mutex             // guards found
	found []toolchains.Toolchain // sorted; nil before the first round
}

func newCatalog(o Options, tell func([]toolchains.Toolchain)) (*catalog, error) {
	root, err := rootfs.At("/")
	if err != nil {
		return nil, err
	}
	return &catalog{
		o: o, root: root, tell: tell, ready: make(chan struct{}),
		cache: &toolchains.Cache{Dir: filepath.Join(o.Dir, "probes")},
	}, nil
}

func (c *catalog) close() error { return c.root.Close() }

// watch looks at the machine now and then, until ctx ends.
func (c *catalog) watch(ctx context.Context) {
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	for {
		c.scan(ctx)
		c.once.Do(func() { close(c.ready) })
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// scan probes every driver that is there. A driver that can't be probed is
// left out with a line in the log.
func (c *catalog) scan(ctx context.Context) {
	paths, err := c.drivers()
	if err != nil {
		c.o.Log.WithError(err).Warn("looking for compilers")
		return
	}
	found := make([]*toolchains.Toolchain, len(paths))
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	for i, path := range paths {
		g.Go(func() error {
			tc, err := c.probe(ctx, path)
			if err != nil {
				c.o.Log.WithError(err).WithField("compiler", path).Info("compiler left out")
				return nil
			}
			found[i] = &tc
			return nil
		})
	}
	_ = g.Wait() // every error was logged where it belongs
	if ctx.Err() == nil {
		c.set(found)
	}
}

func (c *catalog) drivers() ([]string, error) {
	if c.o.Search != nil {
		return toolchains.Discover(c.root, "", c.o.Search)
	}
	return toolchains.Discover(c.root, c.o.Path, toolchains.DefaultPrefixes())
}

// set replaces what was found, and tells of it when it is news.
func (c *catalog) set(found []*toolchains.Toolchain) {
	list := []toolchains.Toolchain{}
	for _, tc := range found {
		if tc != nil {
			list = append(list, *tc)
		}
	}
	slices.SortFunc(list, func(a, b toolchains.Toolchain) int {
		return cmp.Or(strings.Compare(a.Identity.String(), b.Identity.String()), strings.Compare(a.Driver(), b.Driver()))
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != nil && slices.EqualFunc(c.found, list, same) {
		return
	}
	c.found = list
	c.tell(list)
}

// same reports whether two looks at a machine saw one toolchain.
func same(a, b toolchains.Toolchain) bool {
	return a.Identity == b.Identity && a.Path == b.Path && a.CXXPath == b.CXXPath && a.Fingerprint.Equal(b.Fingerprint)
}

// match finds the toolchain for a job, probed anew when a program of it
// changed since, or says why there is none.
func (c *catalog) match(ctx context.Context, j *broker.Job, lang argv.Language) (toolchains.Toolchain, error) {
	c.mu.Lock()
	list := c.found
	c.mu.Unlock()
	best, _, why := toolchains.Best(j.Identity, j.Fingerprint, lang, list)
	if best == nil {
		return toolchains.Toolchain{}, broker.Refusef(ReasonNoMatch, "%s", why)
	}
	now, err := c.probe(ctx, best.Driver())
	if err != nil {
		return toolchains.Toolchain{}, fmt.Errorf("probe %s again: %w", best.Driver(), err)
	}
	now = now.For(j.Identity.Target)
	if m, why := toolchains.MatchOf(j.Identity, j.Fingerprint, lang, now); m == toolchains.None {
		return toolchains.Toolchain{}, broker.Refusef(ReasonNoMatch, "%s", why)
	}
	return now, nil
}

// probe asks one driver, in the sandbox, with its own programs in view.
func (c *catalog) probe(ctx context.Context, path string) (toolchains.Toolchain, error) {
	return c.cache.Probe(ctx, toolchains.System{Root: c.root, Getenv: c.getenv, Run: c.inside(path)}, path, "")
}

func (c *catalog) getenv(key string) string {
	if key == "PATH" {
		return c.o.Path
	}
	return "" // COMPILER_PATH and its kin are nothing to a helper
}

// inside runs the driver at path and its programs in the sandbox. What these
// are has to be asked outside, once for each probe that the cache can't answer.
func (c *catalog) inside(path string) toolchains.RunFunc {
	programs := sync.OnceValues(func() ([]string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), probeTime)
		defer cancel()
		sys := toolchains.System{Root: c.root, Getenv: c.getenv, Run: c.outside}
		return toolchains.Programs(ctx, sys, path)
	})
	return func(ctx context.Context, p toolchains.Program) (toolchains.Output, error) {
		list, err := programs()
		if err != nil {
			return toolchains.Output{}, err
		}
		return c.run(ctx, c.o.Runner, p, list)
	}
}

// outside runs a compiler of this machine's own, unsandboxed, to ask where its
// programs are: before that is known no root can be made for it.
func (c *catalog) outside(ctx context.Context, p toolchains.Program) (toolchains.Output, error) {
	return c.run(ctx, c.o.direct(), p, nil)
}

func (c *catalog) run(ctx context.Context, run sandbox.Runner, p toolchains.Program, programs []string) (toolchains.Output, error) {
	env := append([]string{"PATH=" + c.o.Path}, p.Env...)
	out, err := run(ctx, &sandbox.Spec{
		Path: p.Path, Args: append([]string{p.Path}, p.Args...), Env: env, Dir: "/",
		Programs: programs, Stdin: p.Stdin, Limits: probeLimits,
	})
	if err != nil {
		return toolchains.Output{}, err
	}
	defer out.Close()
	return toolchains.Output{Stdout: out.Stdout, Stderr: out.Stderr, Status: out.ExitCode}, nil
}

// direct runs programs of this machine without walls.
func (o Options) direct() sandbox.Runner {
	return sandbox.NewDirect(sandbox.Options{Dir: o.Views})
}
