// Package helper is the side that compiles: it knows the toolchains of its
// machine and runs jobs with them in the sandbox. A door (broker/reapi/door) or an
// agent in the same process hands it a broker.Job; nothing in here knows which.
//
// Start with Helper.Run, which is the path of one job; package catalog (which
// toolchains are there), the key (when are two jobs one), what is refused of a job
// (admit.go) and where its files are shown (view.go, dirs.go, package views) stand
// beside it.
package helper

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/semaphore"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/broker/helper/packs"
	"github.com/crosscc/crosscc/broker/helper/views"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/sandbox"
)

// Reasons of a helper's refusals.
const (
	ReasonNoMatch                = catalog.ReasonNoMatch // no toolchain like the client's
	ReasonRejected broker.Reason = "rejected"            // the job is not one plain compile, or policy forbids a word
	ReasonDraining broker.Reason = "helper-draining"     // the helper is going
	ReasonLocale   broker.Reason = "helper-locale"       // messages in a locale that is not here
	ReasonNative   broker.Reason = "native-helper"       // the compiler can't be told what native means
	// ReasonTreeClosed: not in tree form, because the helper has files of its own
	// where the tree has some, or can't show a tree at all.
	ReasonTreeClosed broker.Reason = "tree-closed"
)

// errClosed is the cause of what Close stops.
var errClosed = errors.New("helper is closed")

// Options are what a Helper is made of.
type Options struct {
	// Dir is the state directory: probe results and job views. It is made
	// when it does not exist.
	Dir string
	// Views is an empty directory where views of jobs are assembled and kept. The
	// sandbox's user must be able to enter it.
	Views string
	// ViewBytes bounds the views there, on disk; 0 means 2 GiB.
	ViewBytes int64
	// Memory is another such directory on a file system in memory, where small
	// trees are assembled in less time: at most MemoryBytes together, with an
	// equal part for each slot. "" means none.
	Memory      string
	MemoryBytes int64
	// Store keeps inputs, outputs and results.
	Store *store.Store
	// Runner runs one program in the sandbox; Sandbox is its name, and Note is what
	// State says behind the name.
	Runner  sandbox.Runner
	Sandbox string
	Note    string
	// Limits bound a job; a zero field means this package's.
	Limits sandbox.Limits
	// Search are the prefixes where toolchains are looked for; nil means
	// $PATH and drivers.DefaultPrefixes.
	Search []string
	// Path is the PATH of the compilers, and is searched when Search is nil.
	Path string
	// Images are those that toolchains are served of as well; nil means none. Rows
	// say which of them must be there, and what is served of them.
	Images catalog.Images
	Rows   []config.Image
	// Packs says that peers may send their own compilers (package packs).
	Packs bool
	// Slots is how many jobs run at once; at least 1.
	Slots int
	// Version is shown to people.
	Version string
	Log     logrus.FieldLogger
}

// A Helper runs jobs with the toolchains of this machine. Its methods may be
// called at once. Drain finishes what runs, Close stops it.
type Helper struct {
	o       Options
	catalog *catalog.Catalog
	packs   *packs.Packs
	slots   *semaphore.Weighted
	pools   []*views.Pool       // where a job's view is looked for, in this order
	looks   *semaphore.Weighted // held to look through a text (admit.go)

	closers []func() error // what Open opened beside it, in that order

	ctx  context.Context // ended by Close
	stop context.CancelCauseFunc
	work sync.WaitGroup // the catalog's loop

	mu      sync.Mutex // guards the fields below
	state   broker.State
	changed chan struct{}  // closed at the next change of state
	jobs    sync.WaitGroup // Add only while mu is held and !state.Draining
}

// New starts a helper. Its toolchains are looked for in the background: State
// lists what was found so far and Ready waits for the first round.
func New(o Options) (*Helper, error) {
	if o.Slots < 1 {
		return nil, fmt.Errorf("helper with %d job slots: at least 1 is needed", o.Slots)
	}
	o.Limits = limitsOf(o.Limits)
	ctx, stop := context.WithCancelCause(context.Background())
	h := &Helper{
		o: o, ctx: ctx, stop: stop,
		slots:   semaphore.NewWeighted(int64(o.Slots)),
		looks:   semaphore.NewWeighted(int64(o.Slots)),
		state:   broker.State{Version: o.Version, Sandbox: o.Sandbox + o.Note, Slots: o.Slots, Machine: runtime.GOARCH, Packs: o.Packs},
		changed: make(chan struct{}),
	}
	var err error
	if h.pools, err = openPools(o); err != nil {
		stop(errClosed)
		return nil, err
	}
	c, err := catalog.New(catalog.Options{
		Dir: o.Dir, Runner: o.Runner, Sandbox: o.Sandbox, Views: o.Views, Search: o.Search, Path: o.Path, Images: o.Images, Rows: o.Rows, Log: o.Log,
	}, func(peers map[string]broker.PeerState) {
		h.update(func(s *broker.State) { s.Toolchains, s.Images, s.Peers = peers[""].Toolchains, peers[""].Images, peers })
	})
	if err != nil {
		stop(errClosed)
		return nil, err
	}
	h.catalog = c
	h.packs, err = packs.New(packs.Options{Dir: filepath.Join(o.Dir, "packs"), Store: o.Store, Catalog: c, Slot: h.acquire, State: h.State, Log: o.Log})
	if err != nil {
		stop(errClosed)
		return nil, errors.Join(err, c.Close())
	}
	h.work.Go(func() { c.Watch(ctx) })
	if o.Packs {
		h.work.Go(func() { h.packs.Watch(ctx) })
	}
	return h, nil
}

// State is what the helper tells of itself now, and a channel that is closed
// when that changes.
func (h *Helper) State() (broker.State, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state, h.changed
}

// Store is where inputs are put before Run and outputs are after.
func (h *Helper) Store() *store.Store { return h.o.Store }

// Ready returns when the toolchains of this machine were looked at once.
func (h *Helper) Ready(ctx context.Context) error {
	select {
	case <-h.catalog.Ready():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("looking for toolchains: %w", context.Cause(ctx))
	case <-h.ctx.Done():
		return errClosed
	}
}

// Key is the text whose digest is the key of the job's result, for people. It
// names all that decides what the compile says; nothing is run.
func (h *Helper) Key(ctx context.Context, j *broker.Job) (string, error) {
	if j.Image != "" {
		p, tc, err := h.planPinned(ctx, j)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		writeKey(&b, tc, p)
		return b.String(), nil
	}
	p, err := h.plan(j)
	if err != nil {
		return "", err
	}
	if err := h.Ready(ctx); err != nil {
		return "", err
	}
	tc, err := h.match(ctx, p)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	writeKey(&b, tc, p)
	return b.String(), nil
}

// Run runs one job; it is the helper's broker.Runner.
func (h *Helper) Run(ctx context.Context, j *broker.Job) (broker.Result, error) {
	done, err := h.begin()
	if err != nil {
		return broker.Result{}, err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.ctx, func() { cancel(errClosed) })()

	defer h.packs.Use(j.Peer)()
	began := time.Now()
	res, err := h.run(ctx, j)
	log := h.o.Log.WithFields(logrus.Fields{"compiler": j.Name, "target": j.Identity.Target, "time": time.Since(began).Round(time.Millisecond)})
	switch {
	case err != nil:
		log.WithError(err).Info("job not run")
	default:
		log.WithFields(logrus.Fields{"exit": res.ExitCode, "cached": res.Cached}).Debug("job done")
	}
	return res, err
}

// TakePack adds a pack, a blob of the store, for the peer that sent it: packs.Packs.Take.
func (h *Helper) TakePack(ctx context.Context, from broker.Peer, d broker.Digest, say func(string)) error {
	switch {
	case !h.o.Packs:
		return broker.Refusef(packs.Reason, "takes no packs (packs = true in its configuration)")
	case h.o.Sandbox == "none":
		return broker.Refusef(packs.Reason, "has no sandbox to run a pack in")
	}
	done, err := h.begin()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.ctx, func() { cancel(errClosed) })()
	return h.packs.Take(ctx, from, d, say)
}

// Heard notes that a peer with packs has something done, though it be answered without a
// run.
func (h *Helper) Heard(peer string) { h.packs.Heard(peer) }

// Drain takes no new jobs and returns when the running ones are done or ctx
// ends.
func (h *Helper) Drain(ctx context.Context) error {
	h.update(func(s *broker.State) { s.Draining = true })
	done := make(chan struct{})
	go func() { h.jobs.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for running jobs: %w", context.Cause(ctx))
	}
}

// Close stops running jobs and returns when nothing of the helper runs.
func (h *Helper) Close() error {
	h.update(func(s *broker.State) { s.Draining = true })
	h.stop(errClosed)
	h.jobs.Wait()
	h.work.Wait()
	for _, p := range h.pools {
		p.Close()
	}
	return errors.Join(h.packs.Close(), h.catalog.Close(), closeAll(h.closers))
}

func (h *Helper) begin() (done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state.Draining {
		return nil, broker.Refusef(ReasonDraining, "is going away")
	}
	h.jobs.Add(1)
	return h.jobs.Done, nil
}

// update changes the state and tells who waits for a change.
func (h *Helper) update(f func(*broker.State)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(&h.state)
	close(h.changed)
	h.changed = make(chan struct{})
}

// acquire waits in order for a slot.
func (h *Helper) acquire(ctx context.Context) (release func(), err error) {
	h.update(func(s *broker.State) { s.Queued++ })
	err = h.slots.Acquire(ctx, 1)
	h.update(func(s *broker.State) {
		s.Queued--
		if err == nil {
			s.Running++
		}
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for a slot: %w", context.Cause(ctx))
	}
	return func() {
		h.slots.Release(1)
		h.update(func(s *broker.State) { s.Running-- })
	}, nil
}
