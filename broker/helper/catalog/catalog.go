// Package catalog knows the toolchains of a helper: those of its machine, those of its
// images, and those that peers have sent, which serve nobody else. Each is asked what it
// is in the sandbox that jobs get.
//
// Start with Catalog.Match, which finds the one for a job. A Place is where a toolchain
// lies, a Shelf what looks after images, Private what no tree may have where a toolchain
// has its own.
package catalog

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

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// ReasonNoMatch: no toolchain is like the client's.
const ReasonNoMatch broker.Reason = "no-match"

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

// Options are what a Catalog is made of.
type Options struct {
	// Dir is where the results of probes are kept, in a directory of their own.
	Dir string
	// Runner runs one program in the sandbox; Sandbox is its name.
	Runner  sandbox.Runner
	Sandbox string
	// Views is an enterable directory: what runs without walls is given it.
	Views string
	// Search are the prefixes where toolchains are looked for; nil means Path and
	// drivers.DefaultPrefixes. Path is the PATH of the compilers.
	Search []string
	Path   string
	// Images are those that toolchains are served of as well; nil means none. Rows say
	// which of them must be there, and what is served of them.
	Images Images
	Rows   []config.Image
	Log    logrus.FieldLogger
}

// A Catalog knows the toolchains of this machine and of its images, each probed in
// the sandbox that jobs get (X3).
type Catalog struct {
	o       Options
	host    *Place
	shelf   *Shelf // nil: no images
	cache   *drivers.Cache
	closure sandbox.Closures                  // of the toolchains' programs
	tell    func(map[string]broker.PeerState) // by peer; "" is all others
	ready   chan struct{}                     // closed after the first round
	once    sync.Once
	again   chan struct{} // holds a token when the machine should be looked at soon

	mu     sync.Mutex         // guards what follows; none of the lists is changed in place
	own    []Located          // of this machine; nil before the first round
	shelfs map[string]onShelf // by owner; "" is everybody's
	found  []Located          // all, sorted
	told   map[string]broker.PeerState
}

// onShelf is what one shelf has.
type onShelf struct {
	found []Located
	told  []broker.ImageState
}

// A Located toolchain is one with the place where it lies.
type Located struct {
	toolchains.Toolchain
	Digest     string // of the image; "" for this machine
	SearchPath string // PATH of its programs
	Owner      string // the one peer that it serves; "" serves all

	target  string   // the one target that it serves; "" when the toolchain says
	private *Private // of an image's, which does not change; else nil
	native  *bool    // what AsksNative says, of a peer's own
	shelf   *Shelf   // that has the image
}

// New makes a catalog that knows nothing until Watch. It calls tell with what each peer
// is to be told, whenever that is news; "" is all who have sent no pack.
func New(o Options, tell func(map[string]broker.PeerState)) (*Catalog, error) {
	root, err := rootfs.At("/")
	if err != nil {
		return nil, err
	}
	c := &Catalog{
		o: o, host: &Place{Root: root, Path: o.Path}, tell: tell, ready: make(chan struct{}), again: make(chan struct{}, 1),
		cache:   &drivers.Cache{Dir: filepath.Join(o.Dir, "probes")},
		closure: sandbox.Closures{List: sandbox.Lister(o.Runner)},
	}
	if o.Images != nil {
		c.shelf = newShelf(c, "", o.Images, o.Rows)
	}
	return c, nil
}

// Close ends the use of this machine's files. No other method runs, or is called after.
func (c *Catalog) Close() error { return c.host.Root.Close() }

// Ready is closed when the toolchains of this machine were looked at once.
func (c *Catalog) Ready() <-chan struct{} { return c.ready }

// Host is this machine.
func (c *Catalog) Host() *Place { return c.host }

// Watch looks at the machine now and then, until ctx ends.
func (c *Catalog) Watch(ctx context.Context) {
	if c.shelf != nil {
		looked := make(chan struct{})
		defer func() { <-looked }()
		go func() { defer close(looked); c.shelf.Watch(ctx) }()
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
func (c *Catalog) scan(ctx context.Context) {
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
func (c *Catalog) derived(ctx context.Context, at *Place, of toolchains.Toolchain) []toolchains.Toolchain {
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

func (c *Catalog) drivers() ([]string, error) {
	if c.o.Search != nil {
		return drivers.Discover(c.host.Root, "", c.o.Search)
	}
	return drivers.Discover(c.host.Root, c.o.Path, drivers.DefaultPrefixes())
}

// set replaces what was found on this machine.
func (c *Catalog) set(found []toolchains.Toolchain) {
	own := []Located{}
	for _, tc := range found {
		own = append(own, Located{Toolchain: tc, SearchPath: c.host.Path})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.own == nil
	c.own = own
	c.merge(first)
}

// setImages replaces what one shelf has.
func (c *Catalog) setImages(of *Shelf, now onShelf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of.forgotten {
		return
	}
	news := !slices.Equal(c.shelfs[of.owner].told, now.told)
	if c.shelfs == nil {
		c.shelfs = map[string]onShelf{}
	}
	c.shelfs[of.owner] = now
	c.merge(news)
}

// forget takes away what a shelf has, for good.
func (c *Catalog) forget(of *Shelf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of.forgotten = true
	delete(c.shelfs, of.owner)
	c.merge(true)
}

// merge makes one list, and tells of it when it is news. mu is held.
func (c *Catalog) merge(news bool) {
	list := slices.Clone(c.own)
	for _, on := range c.shelfs {
		list = append(list, on.found...)
	}
	slices.SortFunc(list, func(a, b Located) int {
		return cmp.Or(strings.Compare(a.Identity.String(), b.Identity.String()), strings.Compare(a.Owner, b.Owner),
			strings.Compare(a.Image, b.Image), strings.Compare(a.Driver(), b.Driver()))
	})
	changed := !slices.EqualFunc(c.found, list, func(a, b Located) bool { return Same(a.Toolchain, b.Toolchain) && a.Owner == b.Owner })
	if c.found = list; changed || news || c.told == nil {
		c.told = c.peerStates(changed)
		c.tell(c.told)
	}
}

// peerStates are what each peer is told. A list that did not change stays the one
// that it was: who watches knows it by that. mu is held.
func (c *Catalog) peerStates(changed bool) map[string]broker.PeerState {
	now := map[string]broker.PeerState{"": {}}
	for owner := range c.shelfs {
		now[owner] = broker.PeerState{}
	}
	for owner, state := range now {
		before, known := c.told[owner]
		if state.Toolchains = before.Toolchains; changed || !known {
			state.Toolchains = []toolchains.Toolchain{}
			for _, l := range c.found {
				if l.Owner == "" || l.Owner == owner {
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

// Same reports whether two looks saw one toolchain.
func Same(a, b toolchains.Toolchain) bool {
	return a.Identity == b.Identity && a.Image == b.Image && a.Path == b.Path && a.CXXPath == b.CXXPath && a.Fingerprint.Equal(b.Fingerprint)
}

// Match finds the toolchain for a job, or says why there is none: the one that the
// job names, else one that is identical to the client's. Of what else might do a
// client would have to have proof. Programs that changed since the last look are
// seen: what was found then only says where to look first. An image does not
// change.
func (c *Catalog) Match(ctx context.Context, j *broker.Job, lang argv.Language) (Located, error) {
	c.mu.Lock()
	list := slices.Clone(c.found)
	c.mu.Unlock()
	slices.SortStableFunc(list, func(a, b Located) int {
		_, fitsA := misfit(j, lang, a.Toolchain)
		_, fitsB := misfit(j, lang, b.Toolchain)
		return cmp.Compare(rank(fitsB), rank(fitsA))
	})
	var near []string
	var failed error
	for _, l := range list {
		if l.Owner != "" && l.Owner != j.Peer {
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
		if !Same(now.Toolchain, l.Toolchain) {
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
		return Located{}, failed
	}
	if len(near) == 0 {
		near = []string{"has no " + j.Identity.Family.String() + " for " + j.Identity.Target}
	}
	return Located{}, broker.Refusef(ReasonNoMatch, "%s", strings.Join(slices.Compact(near), ", and "))
}

// serves reports whether a toolchain is worth asking for a target.
func (l Located) serves(target string) bool {
	return l.CanTarget(target) && (l.target == "" || l.target == triple.Canonical(target) || l.Family == argv.GCC)
}

// now is a toolchain as it stands at this moment.
func (c *Catalog) now(ctx context.Context, l Located) (Located, error) {
	if l.Digest != "" {
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

// Hold keeps the place of a toolchain until it is released.
func (c *Catalog) Hold(ctx context.Context, l Located) (*Place, error) {
	if l.Digest == "" {
		return c.host, nil
	}
	at, err := l.shelf.hold(ctx, l.Digest)
	if err != nil && ctx.Err() == nil {
		return nil, broker.Refusef(ReasonNoMatch, "has no image %s any more: %v", l.Image, err)
	}
	return at, err
}

// PrivateOf are the directories of a toolchain where no tree may have files.
func (c *Catalog) PrivateOf(l Located) (Private, error) {
	if l.private != nil {
		return *l.private, nil
	}
	binds, err := c.closure.Of(l.Programs, "")
	if err != nil {
		return Private{}, fmt.Errorf("files of %s: %w", l.Driver(), err)
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
func (c *Catalog) lookAgain() {
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
