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
	"github.com/crosscc/crosscc/toolchains/drivers"
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

// A catalog knows the toolchains of this machine and of its images, each probed in
// the sandbox that jobs get (X3).
type catalog struct {
	o       Options
	host    *place
	shelf   *shelf // nil: no images
	cache   *drivers.Cache
	closure sandbox.Closures                  // of the toolchains' programs
	tell    func(map[string]broker.PeerState) // by peer; "" is all others
	ready   chan struct{}                     // closed after the first round
	once    sync.Once
	again   chan struct{} // holds a token when the machine should be looked at soon

	mu     sync.Mutex         // guards what follows; none of the lists is changed in place
	own    []located          // of this machine; nil before the first round
	shelfs map[string]onShelf // by owner; "" is everybody's
	found  []located          // all, sorted
	told   map[string]broker.PeerState
}

// onShelf is what one shelf has.
type onShelf struct {
	found []located
	told  []broker.ImageState
}

// A located toolchain is one with the place where it lies.
type located struct {
	toolchains.Toolchain
	digest  string   // of the image; "" for this machine
	target  string   // the one target that it serves; "" when the toolchain says
	path    string   // PATH of its programs
	private *private // of an image's, which does not change; else nil
	owner   string   // the one peer that it serves; "" serves all
	shelf   *shelf   // that has the image
}

func newCatalog(o Options, tell func(map[string]broker.PeerState)) (*catalog, error) {
	root, err := rootfs.At("/")
	if err != nil {
		return nil, err
	}
	c := &catalog{
		o: o, host: &place{root: root, path: o.Path}, tell: tell, ready: make(chan struct{}), again: make(chan struct{}, 1),
		cache:   &drivers.Cache{Dir: filepath.Join(o.Dir, "probes")},
		closure: sandbox.Closures{List: sandbox.Lister(o.Runner)},
	}
	if o.Images != nil {
		c.shelf = newShelf(c, "", o.Images, o.Rows)
	}
	return c, nil
}

func (c *catalog) close() error { return c.host.root.Close() }

// watch looks at the machine now and then, until ctx ends.
func (c *catalog) watch(ctx context.Context) {
	if c.shelf != nil {
		defer c.shelf.work.Wait()
		c.shelf.work.Go(func() { c.shelf.watch(ctx) })
	}
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
			tc, err := c.probe(ctx, c.host, path, nil)
			if err != nil {
				c.o.Log.WithError(err).WithField("compiler", path).Info("compiler left out")
				return nil
			}
			found[i] = append(c.derived(ctx, c.host, tc), tc)
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
func (c *catalog) derived(ctx context.Context, at *place, of toolchains.Toolchain) []toolchains.Toolchain {
	var list []toolchains.Toolchain
	if of.Family != argv.GCC {
		return nil
	}
	for _, d := range triple.Derivations(of.Target) {
		tc, err := c.probe(ctx, at, of.Driver(), &d)
		if err != nil {
			c.o.Log.WithError(err).WithField("compiler", of.Driver()).Debug("no compiler for " + d.Target)
			continue
		}
		list = append(list, tc)
	}
	return list
}

func (c *catalog) drivers() ([]string, error) {
	if c.o.Search != nil {
		return drivers.Discover(c.host.root, "", c.o.Search)
	}
	return drivers.Discover(c.host.root, c.o.Path, drivers.DefaultPrefixes())
}

// set replaces what was found on this machine.
func (c *catalog) set(found []toolchains.Toolchain) {
	own := []located{}
	for _, tc := range found {
		own = append(own, located{Toolchain: tc, path: c.host.path})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.own == nil
	c.own = own
	c.merge(first)
}

// setImages replaces what one shelf has.
func (c *catalog) setImages(owner string, now onShelf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := !slices.Equal(c.shelfs[owner].told, now.told)
	if c.shelfs == nil {
		c.shelfs = map[string]onShelf{}
	}
	c.shelfs[owner] = now
	c.merge(news)
}

// forget takes away what the shelf of a peer had.
func (c *catalog) forget(owner string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.shelfs, owner)
	c.merge(true)
}

// merge makes one list, and tells of it when it is news. mu is held.
func (c *catalog) merge(news bool) {
	list := slices.Clone(c.own)
	for _, on := range c.shelfs {
		list = append(list, on.found...)
	}
	slices.SortFunc(list, func(a, b located) int {
		return cmp.Or(strings.Compare(a.Identity.String(), b.Identity.String()), strings.Compare(a.owner, b.owner),
			strings.Compare(a.Image, b.Image), strings.Compare(a.Driver(), b.Driver()))
	})
	changed := !slices.EqualFunc(c.found, list, func(a, b located) bool { return same(a.Toolchain, b.Toolchain) && a.owner == b.owner })
	if c.found = list; changed || news || c.told == nil {
		c.told = c.peerStates(changed)
		c.tell(c.told)
	}
}

// peerStates are what each peer is told. A list that did not change stays the one
// that it was: who watches knows it by that. mu is held.
func (c *catalog) peerStates(changed bool) map[string]broker.PeerState {
	now := map[string]broker.PeerState{"": {}}
	for owner := range c.shelfs {
		now[owner] = broker.PeerState{}
	}
	for owner, state := range now {
		before, known := c.told[owner]
		if state.Toolchains = before.Toolchains; changed || !known {
			state.Toolchains = []toolchains.Toolchain{}
			for _, l := range c.found {
				if l.owner == "" || l.owner == owner {
					state.Toolchains = append(state.Toolchains, l.Toolchain)
				}
			}
		}
		if state.Images = c.shelfs[""].told; owner != "" {
			state.Images = slices.Concat(state.Images, c.shelfs[owner].told)
		}
		now[owner] = state
	}
	return now
}

// same reports whether two looks saw one toolchain.
func same(a, b toolchains.Toolchain) bool {
	return a.Identity == b.Identity && a.Image == b.Image && a.Path == b.Path && a.CXXPath == b.CXXPath && a.Fingerprint.Equal(b.Fingerprint)
}

// match finds the toolchain for a job, or says why there is none: the one that the
// job names, else one that is identical to the client's. Of what else might do a
// client would have to have proof. Programs that changed since the last look are
// seen: what was found then only says where to look first. An image does not
// change.
func (c *catalog) match(ctx context.Context, j *broker.Job, lang argv.Language) (located, error) {
	c.mu.Lock()
	list := slices.Clone(c.found)
	c.mu.Unlock()
	slices.SortStableFunc(list, func(a, b located) int {
		_, fitsA := misfit(j, lang, a.Toolchain)
		_, fitsB := misfit(j, lang, b.Toolchain)
		return cmp.Compare(rank(fitsB), rank(fitsA))
	})
	var near []string
	var failed error
	for _, l := range list {
		if l.owner != "" && l.owner != j.Peer {
			continue
		}
		if l.Family != j.Identity.Family || !l.serves(j.Identity.Target) {
			continue
		}
		now, err := c.now(ctx, l)
		if err != nil {
			failed = fmt.Errorf("probe %s again: %w", l.Driver(), err)
			c.lookAgain()
			continue
		}
		if !same(now.Toolchain, l.Toolchain) {
			c.lookAgain()
		}
		why, fits := misfit(j, lang, now.Toolchain)
		if fits {
			now.Toolchain = now.For(j.Identity.Target)
			return now, nil
		}
		near = append(near, why)
	}
	if failed != nil {
		return located{}, failed
	}
	if len(near) == 0 {
		near = []string{"has no " + j.Identity.Family.String() + " for " + j.Identity.Target}
	}
	return located{}, broker.Refusef(ReasonNoMatch, "%s", strings.Join(slices.Compact(near), ", and "))
}

// serves reports whether a toolchain is worth asking for a target.
func (l located) serves(target string) bool {
	return l.CanTarget(target) && (l.target == "" || l.target == triple.Canonical(target) || l.Family == argv.GCC)
}

// now is a toolchain as it stands at this moment.
func (c *catalog) now(ctx context.Context, l located) (located, error) {
	if l.digest != "" {
		return l, nil
	}
	var as *triple.Derivation
	if len(l.Derived) > 0 {
		as = &triple.Derivation{Target: l.Target, Words: l.Derived}
	}
	var err error
	l.Toolchain, err = c.probe(ctx, c.host, l.Driver(), as)
	return l, err
}

// hold keeps the place of a toolchain until it is released.
func (c *catalog) hold(ctx context.Context, l located) (*place, error) {
	if l.digest == "" {
		return c.host, nil
	}
	at, err := l.shelf.hold(ctx, l.digest)
	if err != nil && ctx.Err() == nil {
		return nil, broker.Refusef(ReasonNoMatch, "has no image %s any more: %v", l.Image, err)
	}
	return at, err
}

// private are the directories of a toolchain where no tree may have files.
func (c *catalog) privateOf(l located) (private, error) {
	if l.private != nil {
		return *l.private, nil
	}
	binds, err := c.closure.Of(l.Programs, "")
	if err != nil {
		return private{}, fmt.Errorf("files of %s: %w", l.Driver(), err)
	}
	return privateOf(l.Toolchain, binds), nil
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
	m, _, why := toolchains.MatchOf(toolchains.Toolchain{Identity: j.Identity, Fingerprint: j.Fingerprint}, lang, j.Args, tc)
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
