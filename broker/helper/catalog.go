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
	"github.com/crosscc/crosscc/toolchains/triple"
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
	again chan struct{} // holds a token when the machine should be looked at soon

	mu    sync.Mutex             // guards found
	found []toolchains.Toolchain // sorted; nil before the first round
}

func newCatalog(o Options, tell func([]toolchains.Toolchain)) (*catalog, error) {
	root, err := rootfs.At("/")
	if err != nil {
		return nil, err
	}
	return &catalog{
		o: o, root: root, tell: tell, ready: make(chan struct{}), again: make(chan struct{}, 1),
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
		case <-c.again:
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
	found := make([][]toolchains.Toolchain, len(paths))
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	for i, path := range paths {
		g.Go(func() error {
			tc, err := c.probe(ctx, path, nil)
			if err != nil {
				c.o.Log.WithError(err).WithField("compiler", path).Info("compiler left out")
				return nil
			}
			found[i] = append(c.derived(ctx, tc), tc)
			return nil
		})
	}
	_ = g.Wait() // every error was logged where it belongs
	if ctx.Err() == nil {
		c.set(slices.Concat(found...))
	}
}

// derived are the toolchains that a gcc is besides, for targets that a word leads to.
// One that does not take the word is none.
func (c *catalog) derived(ctx context.Context, of toolchains.Toolchain) []toolchains.Toolchain {
	var list []toolchains.Toolchain
	if of.Family != argv.GCC {
		return nil
	}
	for _, d := range triple.Derivations(of.Target) {
		tc, err := c.probe(ctx, of.Driver(), &d)
		if err != nil {
			c.o.Log.WithError(err).WithField("compiler", of.Driver()).Debug("no compiler for " + d.Target)
			continue
		}
		list = append(list, tc)
	}
	return list
}

// anew probes a toolchain that was found once more.
func (c *catalog) anew(ctx context.Context, tc toolchains.Toolchain) (toolchains.Toolchain, error) {
	if len(tc.Derived) > 0 {
		return c.probe(ctx, tc.Driver(), &triple.Derivation{Target: tc.Target, Words: tc.Derived})
	}
	return c.probe(ctx, tc.Driver(), nil)
}

func (c *catalog) drivers() ([]string, error) {
	if c.o.Search != nil {
		return toolchains.Discover(c.root, "", c.o.Search)
	}
	return toolchains.Discover(c.root, c.o.Path, toolchains.DefaultPrefixes())
}

// set replaces what was found, and tells of it when it is news.
func (c *catalog) set(found []toolchains.Toolchain) {
	list := append([]toolchains.Toolchain{}, found...)
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

// match finds the toolchain for a job, or says why there is none: the one that the
// job names, else one that is identical to the client's. Of what else might do a
// client would have to have proof. Programs that changed since the last look are
// seen: what was found then only says where to look first.
func (c *catalog) match(ctx context.Context, j *broker.Job, lang argv.Language) (toolchains.Toolchain, error) {
	c.mu.Lock()
	list := slices.Clone(c.found)
	c.mu.Unlock()
	slices.SortStableFunc(list, func(a, b toolchains.Toolchain) int {
		_, fitsA := misfit(j, lang, a)
		_, fitsB := misfit(j, lang, b)
		return cmp.Compare(rank(fitsB), rank(fitsA))
	})
	var near []string
	var failed error
	for _, tc := range list {
		if tc.Family != j.Identity.Family || !tc.CanTarget(j.Identity.Target) {
			continue
		}
		now, err := c.anew(ctx, tc)
		if err != nil {
			failed = fmt.Errorf("probe %s again: %w", tc.Driver(), err)
			c.lookAgain()
			continue
		}
		if !same(now, tc) {
			c.lookAgain()
		}
		why, fits := misfit(j, lang, now)
		if fits {
			return now.For(j.Identity.Target), nil
		}
		near = append(near, why)
	}
	if failed != nil {
		return toolchains.Toolchain{}, failed
	}
	if len(near) == 0 {
		near = []string{"has no " + j.Identity.Family.String() + " for " + j.Identity.Target}
	}
	return toolchains.Toolchain{}, broker.Refusef(ReasonNoMatch, "%s", strings.Join(slices.Compact(near), ", and "))
}

func rank(fits bool) int {
	if fits {
		return 1
	}
	return 0
}

// lookAgain has the machine looked at soon: its clients should know what it has.
func (c *catalog) lookAgain() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// misfit says why a toolchain is not the one for a job, or that it is.
func misfit(j *broker.Job, lang argv.Language, tc toolchains.Toolchain) (why string, fits bool) {
	tc = tc.For(j.Identity.Target)
	if j.With != "" {
		// Defaults that differ are the client's to make explicit.
		return "has " + tc.String() + ", which is not the one that was compared", tc.Digest() == j.With && tc.Compiles(lang)
	}
	m, _, why := toolchains.MatchOf(toolchains.Toolchain{Identity: j.Identity, Fingerprint: j.Fingerprint}, lang, nil, tc)
	switch {
	case m == toolchains.Identical:
		return "", true
	case m == toolchains.Calibrated && len(j.Fingerprint) == 0 && tc.Identity == j.Identity && len(tc.Derived) == 0:
		return "", true // a client that is none of ours asks for nothing more
	case m == toolchains.Calibrated:
		why = "has " + tc.String() + " with other programs than the client's"
	}
	return why, false
}

// probe asks one driver, in the sandbox, with its own programs in view: what it is,
// or what it is as a derived one.
func (c *catalog) probe(ctx context.Context, path string, as *triple.Derivation) (toolchains.Toolchain, error) {
	sys := toolchains.System{Root: c.root, Getenv: c.getenv, Run: c.inside(path)}
	if as != nil {
		return c.cache.ProbeDerived(ctx, sys, path, *as)
	}
	return c.cache.Probe(ctx, sys, path, "")
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
