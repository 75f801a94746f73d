package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// This file looks after the images whose toolchains a helper serves: those that its
// configuration names and those that were added to its store. Nothing that a client
// says makes a helper get one.
//
// An image never changes, so it is looked at once: what compilers it has, asked in
// the sandbox, and what they are made of. After that a job needs it to be held, and
// nothing else. All that can take long (a registry, unpacking, asking) is done
// besides, one image at a time, while the helper serves.

// Images are the images that a helper keeps; NewImages makes one of a store on
// disk. Methods may be called at once.
type Images interface {
	// List tells of the images that are there, unpacked or not.
	List() ([]Image, error)
	// Use shows an image's files, unpacked if need be, until Release.
	Use(ctx context.Context, digest string) (*ImageRoot, error)
	// Fetch gets the image of a row of the configuration, from where the row
	// allows; say is called with how far it has come, in words.
	Fetch(ctx context.Context, row config.Image, say func(string)) error
}

// An Image is one that is there.
type Image struct {
	Name    string   // as people know it
	Digest  string   // for Use
	Digests []string // all that a reference may have, sha256:…
	Shared  []string // of these: by which other machines have other images
}

// An ImageRoot is an image that is in use.
type ImageRoot struct {
	Dir     string   // absolute; everybody may read it
	Env     []string // of the image's configuration
	Labels  map[string]string
	Release func() // once
}

const (
	// imageRound is how often the store is looked at for images that came and went.
	imageRound = 3 * time.Second
	// firstRetry and lastRetry bound the pause after something went wrong.
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
	// imageTime bounds getting one image.
	imageTime = 2 * time.Hour
	// lookTime bounds asking one image for its compilers, unpacking included.
	lookTime = 30 * time.Minute
	// maxDrivers is how many compilers of one image are asked.
	maxDrivers = 256
)

// A Shelf knows the images of a helper and what is in them.
type Shelf struct {
	c      *Catalog
	owner  string // the one peer that is served of it; "" is everybody's
	images Images
	rows   []config.Image
	retry  func(failures int) time.Duration
	// slot waits for the place of a job, so that whoever fills this shelf can't have
	// more of the processors than by jobs; nil: nobody waits.
	slot func(context.Context) (release func(), err error)

	one chan struct{} // held by the work that is done now

	mu   sync.Mutex          // guards what follows, and the fields of each that change
	all  map[string]*shelved // by name
	work sync.WaitGroup

	listing string // what List said last, when it was an error

	forgotten bool // guarded by the catalog's mutex
}

// An shelved is an image that is there or should be.
type shelved struct {
	name    string         // as people know it: a reference
	digest  string         // for Images.Use; "" while it is not there
	digests string         // all that a pin may have, blanks between, its own first
	shared  string         // of these: by which other machines have other images
	rows    []config.Image // what to serve of it; none: all

	busy     bool
	failures int
	after    time.Time // when it may be tried again
	looked   bool
	found    []Located
	told     broker.ImageState
	said     time.Time // when told was published last
}

// NewShelf makes a shelf with images of a peer's, which serve it alone. What is asked of
// them is asked between slot and its release, and what went wrong is tried again after
// retry. Watch has to run; Forget ends what the catalog has of it.
func (c *Catalog) NewShelf(owner string, images Images, retry time.Duration, slot func(context.Context) (release func(), err error)) *Shelf {
	s := newShelf(c, owner, images, nil)
	s.retry, s.slot = func(int) time.Duration { return retry }, slot
	return s
}

func newShelf(c *Catalog, owner string, images Images, rows []config.Image) *Shelf {
	return &Shelf{
		c: c, owner: owner, images: images, rows: rows, one: make(chan struct{}, 1), all: map[string]*shelved{},
		retry: func(failures int) time.Duration { return min(firstRetry<<min(failures, 16), lastRetry) },
	}
}

// Forget has the catalog find nothing of the shelf any more, whatever still looks at its
// images.
func (s *Shelf) Forget() { s.c.forget(s) }

// Watch looks at the images now and then, until ctx ends, and returns when nothing of
// that runs any more.
func (s *Shelf) Watch(ctx context.Context) {
	defer s.work.Wait()
	tick := time.NewTicker(imageRound)
	defer tick.Stop()
	for {
		s.Round(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Round compares the store with what is known, and starts what is to be done.
func (s *Shelf) Round(ctx context.Context) {
	kept, err := s.images.List()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if text := err.Error(); text != s.listing {
			s.c.o.Log.WithError(err).Warn("looking at the images")
			s.listing = text
		}
		return
	}
	s.listing = ""
	s.match(kept)
	now := time.Now()
	for _, one := range s.all {
		if one.busy || one.looked || now.Before(one.after) {
			continue
		}
		one.busy = true
		s.work.Go(func() { s.advance(ctx, one) })
	}
	s.publish()
}

// match brings what is known in line with what is kept. mu is held.
func (s *Shelf) match(kept []Image) {
	wanted := map[string]*shelved{}
	for _, row := range s.rows {
		name := row.Reference.String()
		one := wanted[name]
		if one == nil {
			one = &shelved{name: name}
			wanted[name] = one
		}
		one.rows = append(one.rows, row)
	}
	for _, k := range kept {
		named := false
		for _, one := range wanted {
			if len(one.rows) > 0 && slices.Contains(k.Digests, one.rows[0].Reference.Digest.String()) {
				one.digest, one.digests, one.shared, named = k.Digest, allDigests(k), sharedDigests(k), true
			}
		}
		if !named {
			wanted[k.Name] = &shelved{name: k.Name, digest: k.Digest, digests: allDigests(k), shared: sharedDigests(k)}
		}
	}
	for name, one := range wanted {
		old := s.all[name]
		if old == nil || old.digest != one.digest && !old.busy {
			s.tell(one, broker.ImageWaiting, "")
			continue
		}
		if wanted[name] = old; old.digest == one.digest { // and may have been added by one more digest
			old.digests, old.told.Digests = one.digests, one.digests
			old.shared, old.told.Shared = one.shared, one.shared
		}
	}
	s.all = wanted
}

// allDigests are those that a pin of a kept image may have, its own first.
func allDigests(k Image) string {
	others := slices.DeleteFunc(slices.Clone(k.Digests), func(d string) bool { return d == k.Digest })
	slices.Sort(others)
	return strings.Join(append([]string{k.Digest}, slices.Compact(others)...), " ")
}

// sharedDigests are those of them that mean other images on other machines.
func sharedDigests(k Image) string {
	return strings.Join(slices.Sorted(slices.Values(k.Shared)), " ")
}

// advance takes one image a step on: gets it, or looks at it.
func (s *Shelf) advance(ctx context.Context, one *shelved) {
	select {
	case s.one <- struct{}{}:
		defer func() { <-s.one }()
	case <-ctx.Done():
		return
	}
	var err error
	var found []Located
	fetched := one.digest == ""
	if fetched {
		err = s.fetch(ctx, one)
	} else {
		found, err = s.look(ctx, one)
	}
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one.busy = false
	switch {
	case err != nil:
		pause := s.retry(one.failures)
		one.failures++
		one.after = time.Now().Add(pause)
		s.tell(one, broker.ImageFailed, err.Error())
		s.c.o.Log.WithError(err).WithField("image", one.name).Warnf("image can't be served; next try in %s", pause)
	case fetched: // the next round finds it in the store
		one.failures = 0
	default:
		one.looked, one.found = true, found
		s.tell(one, broker.ImageReady, "")
		s.c.o.Log.WithField("image", one.name).Infof("serves %d toolchains of an image", len(found))
	}
	s.publish()
}

func (s *Shelf) fetch(ctx context.Context, one *shelved) error {
	ctx, cancel := context.WithTimeoutCause(ctx, imageTime, fmt.Errorf("not here after %s", imageTime))
	defer cancel()
	s.say(one, broker.ImageFetching, "")
	return s.images.Fetch(ctx, one.rows[0], func(text string) { s.say(one, broker.ImageFetching, text) })
}

// say tells how far an image is while it is worked on, now and then.
func (s *Shelf) say(one *shelved, phase broker.ImagePhase, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.told.Phase == phase && time.Since(one.said) < time.Second {
		return // each news of a helper wakes all of its clients
	}
	s.tell(one, phase, text)
	one.said = time.Now()
	s.publish()
}

// tell notes what is said of an image. mu is held.
func (s *Shelf) tell(one *shelved, phase broker.ImagePhase, text string) {
	one.told = broker.ImageState{Name: one.name, Phase: phase, Detail: text, Toolchains: len(one.found), Digests: one.digests, Shared: one.shared}
}

// publish hands what is known to the catalog. mu is held.
func (s *Shelf) publish() {
	var found []Located
	var told []broker.ImageState
	for _, one := range s.all {
		found = append(found, one.found...)
		told = append(told, one.told)
	}
	slices.SortFunc(told, func(a, b broker.ImageState) int { return cmp.Compare(a.Name, b.Name) })
	s.c.setImages(s, onShelf{found, told})
}

// hold shows an image's files until the place is released.
func (s *Shelf) hold(ctx context.Context, digest string) (*Place, error) {
	r, err := s.images.Use(ctx, digest)
	if err != nil {
		return nil, err
	}
	return openPlace(r)
}

// look asks an image for the compilers that it has.
func (s *Shelf) look(ctx context.Context, one *shelved) ([]Located, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, fmt.Errorf("not looked at after %s", lookTime))
	defer cancel()
	if s.c.o.Sandbox == "none" {
		return nil, errors.New("its programs run in a sandbox only, and this helper has none (--sandbox=none)")
	}
	if s.slot != nil {
		release, err := s.slot(ctx)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	s.say(one, broker.ImageUnpacking, "")
	at, err := s.hold(ctx, one.digest)
	if err != nil {
		return nil, err
	}
	defer at.Release()
	if os.Geteuid() == 0 && !Enterable(at.Dir) {
		return nil, fmt.Errorf("the sandbox's user can't enter %s: chmod o+x each directory above it, or keep the state elsewhere (--state)", at.Dir)
	}
	s.say(one, broker.ImageProbing, "")
	rows := one.rows
	if len(rows) == 0 {
		rows = []config.Image{{}}
	}
	var found []Located
	for _, row := range rows {
		list, err := s.lookFor(ctx, one, row, at)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	return found, nil
}

// lookFor finds what one row serves.
func (s *Shelf) lookFor(ctx context.Context, one *shelved, row config.Image, at *Place) ([]Located, error) {
	drivers, err := driversOf(at, row)
	if err != nil {
		return nil, err
	}
	var found []Located
	var why error
	for _, driver := range drivers {
		tc, err := s.c.probe(ctx, at, driver, nil)
		if err == nil {
			err = s.locate(ctx, append(s.c.derived(ctx, at, tc), tc), one, row, at, &found)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			s.c.o.Log.WithError(err).WithField("image", one.name).Infof("compiler %s left out", driver)
			why = cmp.Or(why, foreign(at, driver), fmt.Errorf("%s: %w", driver, err))
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case why != nil:
		return nil, why
	case len(drivers) == 0:
		return nil, errors.New("it has no compiler in the directories where they are looked for; name it in the row: compiler = \"/…/bin/gcc\"")
	}
	return nil, fmt.Errorf("it has no compiler for %s", row.Target)
}

// driversOf are the compilers of an image that a row speaks of.
func driversOf(at *Place, row config.Image) ([]string, error) {
	if row.Compiler != "" {
		return []string{row.Compiler}, nil
	}
	list, err := drivers.Discover(at.Root, at.Path, append(drivers.DefaultPrefixes(), at.drivers...))
	if err == nil && len(list) > maxDrivers {
		err = fmt.Errorf("it has %d compilers, which is more than %d", len(list), maxDrivers)
	}
	return list, err
}

// narrow leaves of a toolchain the target of the row; false when it has another.
func narrow(row config.Image, tc *toolchains.Toolchain) bool {
	if row.Target == "" {
		return true
	}
	if !tc.CanTarget(row.Target) {
		return false
	}
	*tc = tc.For(row.Target)
	if t, err := triple.Parse(row.Target); err == nil && len(tc.Targets) > 0 {
		tc.Targets = []string{cmp.Or(t.LLVM(), t.Arch)}
	}
	return true
}

// locate works out what a job with a toolchain of an image, of those that one
// compiler is, needs to know of it, and adds those that the row serves to found.
func (s *Shelf) locate(ctx context.Context, all []toolchains.Toolchain, one *shelved, row config.Image, at *Place, found *[]Located) error {
	for _, tc := range all {
		binds, err := s.c.closure.Of(tc.Programs, at.Dir)
		if err != nil {
			return fmt.Errorf("files of %s: %w", tc.Driver(), err)
		}
		if tc.Image = one.name; !narrow(row, &tc) {
			continue
		}
		own := privateOf(tc, binds)
		l := Located{Toolchain: tc, Digest: one.digest, target: triple.Canonical(row.Target), SearchPath: at.Path, private: &own, Owner: s.owner, shelf: s}
		if s.slot != nil { // a job asks before it has its slot; what was just unpacked is not remembered
			ok, err := s.c.AsksNative(ctx, at, l)
			if err != nil {
				s.c.o.Log.WithError(err).WithField("image", one.name).Debug("specs of " + tc.Driver())
			}
			l.native = &ok
		}
		*found = append(*found, l)
	}
	return nil
}

// foreign says that a program is for machines of another kind than this one; nil
// when it is not, or can't be told.
func foreign(at *Place, program string) error {
	theirs, err := machineOf(at.Root.Open(program))
	ours, errOurs := machineOf(os.Open("/proc/self/exe"))
	if err != nil || errOurs != nil || theirs.Code == ours.Code || theirs.Format != triple.ELF {
		return nil
	}
	return fmt.Errorf("its %s runs on %s, and this machine is %s", program, theirs, ours)
}

// machineOf reads what machine a program that was opened is for.
func machineOf(f *os.File, err error) (triple.Machine, error) {
	if err != nil {
		return triple.Machine{}, err
	}
	defer f.Close()
	head := make([]byte, triple.HeadSize)
	_, err = f.ReadAt(head, 0)
	return triple.Read(head), err
}
