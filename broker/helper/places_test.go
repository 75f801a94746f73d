package helper

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
	"github.com/crosscc/crosscc/sandbox"
)

// placed is a helper that takes packs, with a clock of the test's.
func placed(t *testing.T, change func(*Options)) (*Helper, *time.Time) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	h := newPacked(t, change)
	h.packs.now = func() time.Time { return now }
	return h, &now
}

// takePlace gives a peer a place, as TakePack does.
func takePlace(h *Helper, peer broker.Peer) (*peerPacks, error) {
	h.packs.one <- struct{}{}
	defer func() { <-h.packs.one }()
	p, err := h.packs.of(peer)
	if err == nil {
		h.packs.used(p)
	}
	return p, err
}

func here(h *Helper) (names []string) {
	h.packs.mu.Lock()
	defer h.packs.mu.Unlock()
	for name := range h.packs.peers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A place that nobody needs goes when its peer had nothing done for long, and its disk
// with it; not while a job runs, however long that takes, and not when the peer is heard
// though nothing of it runs.
func TestPlacesAreGivenBack(t *testing.T) {
	h, now := placed(t, nil)
	for _, name := range []string{"busy", "heard", "idle"} {
		if _, err := takePlace(h, from(name)); err != nil {
			t.Fatal(err)
		}
	}
	done := h.packs.use("busy")
	*now = now.Add(placeTime / 2)
	h.Heard("heard")
	h.Heard("unknown")
	*now = now.Add(placeTime / 2)
	idle := h.packs.peers["idle"].dir
	h.packs.sweep(t.Context())
	if got := here(h); !slices.Equal(got, []string{"busy", "heard"}) {
		t.Errorf("left are %q", got)
	}
	if _, err := os.Stat(idle); !os.IsNotExist(err) {
		t.Errorf("its disk: %v", err)
	}
	if s, _ := h.State(); len(s.Peers) != 3 { // everybody, and those two
		t.Errorf("told are %v", s.Peers)
	}
	*now = now.Add(10 * placeTime)
	h.packs.sweep(t.Context())
	if got := here(h); !slices.Equal(got, []string{"busy"}) {
		t.Errorf("left are %q", got)
	}
	done()
	h.packs.sweep(t.Context())
	if got := here(h); !slices.Equal(got, []string{"busy"}) {
		t.Errorf("a job that has just ended: left are %q", got)
	}
	*now = now.Add(placeTime)
	h.packs.sweep(t.Context())
	if got := here(h); len(got) != 0 {
		t.Errorf("left are %q", got)
	}
	h.packs.use("nobody")()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.packs.one <- struct{}{} // one is taken
	h.packs.sweep(ctx)
	h.packs.watch(ctx)
}

// When places are few the one goes that was not used for the longest time; none that is
// in use or was a moment ago, and none of another address where one address has many.
func TestPlacesForOthers(t *testing.T) {
	h, now := placed(t, nil)
	at := func(i, address int) broker.Peer {
		return broker.Peer{Name: fmt.Sprintf("%02d", i), Address: fmt.Sprint("10.0.0.", address)}
	}
	takes := func(what string, p broker.Peer, gone string) {
		t.Helper()
		before := here(h)
		if _, err := takePlace(h, p); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		after := here(h)
		lost := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(after, name) })
		if fmt.Sprint(lost) != fmt.Sprintf("[%s]", gone) {
			t.Errorf("%s: %v are gone, not %s", what, lost, gone)
		}
	}
	refuses := func(what string, p broker.Peer) {
		t.Helper()
		before := here(h)
		if _, err := takePlace(h, p); err == nil || !slices.Equal(before, here(h)) {
			t.Errorf("%s: %v, there are %v", what, err, here(h))
		}
	}
	n := 0
	next := func(address int) broker.Peer { n++; return at(n-1, address) }
	for range maxOfAddress { // 00 to 07
		takes("the first of an address", next(1), "")
		*now = now.Add(time.Second)
	}
	refuses("one more, while all were just used", next(1)) // 08
	*now = now.Add(placeRest)
	takes("one more later", next(1), "00") // 09
	for range maxPeers - maxOfAddress {    // 10 to 17
		takes("others", next(1000+n), "")
	}
	takes("an address with many, when all places are taken", next(1), "01") // 18
	h.Heard("02")
	done := h.packs.use("03")
	*now = now.Add(placeRest)
	h.Heard("02")
	takes("another address, when all places are taken", next(2), "04") // 19
	*now = now.Add(placeRest)
	for name := range all(h) {
		if name != "03" && name != "19" {
			h.Heard(name)
		}
	}
	done()
	h.Heard("03")
	takes("the one that is left", next(3), "19")
	refuses("none is left", next(4))
}

func all(h *Helper) map[string]bool {
	set := map[string]bool{}
	for _, name := range here(h) {
		set[name] = true
	}
	return set
}

// Of one peer's packs the one goes for a new one that was not used for the longest time.
func TestPackMakesRoom(t *testing.T) {
	h, _ := placed(t, nil)
	p, err := takePlace(h, from("one"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(i int) string {
		d := blobOf(t, h, func(w io.Writer) error {
			_, err := images.BuildPack(w, []images.File{{Path: fmt.Sprint("/usr/bin/", i), Mode: fs.ModeDir | 0o755}}, nil)
			return err
		})
		f, err := h.o.Store.Open(d)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		id, err := p.add(t.Context(), f, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	var ids []string
	for i := range maxOfPeer {
		ids = append(ids, add(i))
	}
	use := func(id string) func() {
		r, err := catalog.NewImages(p.store, images.SourceOptions{Engine: "off"}).Use(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return r.Release
	}
	for i, id := range ids {
		use(id)()
		at := time.Now().Add(time.Duration(i-100) * time.Hour)
		if err := os.Chtimes(p.dir+"/locks/image-"+id[len("sha256:"):], at, at); err != nil {
			t.Fatal(err)
		}
	}
	release := use(ids[0])
	defer release()
	add(maxOfPeer)
	kept, err := p.store.List()
	if err != nil || len(kept) != maxOfPeer {
		t.Fatalf("%d packs, %v", len(kept), err)
	}
	for _, e := range kept {
		if e.ID.String() == ids[1] {
			t.Error("the one that was not used for the longest time is there")
		}
	}
	if !slices.ContainsFunc(kept, func(e imagestore.Entry) bool { return e.ID.String() == ids[0] }) {
		t.Error("one that is in use is gone")
	}
}

// A pack's programs run in a job's slot: while jobs have all of them, none runs.
func TestPackWaitsForASlot(t *testing.T) {
	var h *Helper
	ran, took := make(chan struct{}, 1000), make(chan error, 1)
	h, _ = placed(t, func(o *Options) {
		o.Slots = 1
		run := o.Runner
		o.Runner = func(ctx context.Context, s *sandbox.Spec) (*sandbox.Outcome, error) {
			if state, _ := h.State(); state.Running != 1 {
				t.Errorf("a program of the pack runs, and %d of 1 slots are taken", state.Running)
			}
			ran <- struct{}{}
			return run(ctx, s)
		}
	})
	d := packOf(t, h, "/usr/bin/gcc-12")
	release, err := h.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { took <- h.TakePack(t.Context(), from("one"), d, quiet) }()
	await(t, h, "the pack to wait", func(s broker.State) bool { return s.Queued == 1 })
	if len(ran) > 0 {
		t.Error("a program ran")
	}
	release()
	if err := <-took; err != nil || len(ran) == 0 {
		t.Errorf("%d programs ran, %v", len(ran), err)
	}
	if s, _ := h.State(); s.Running != 0 {
		t.Errorf("%d slots are still taken", s.Running)
	}
	// A job asks what native means before it has its slot; that is known by now.
	s, _ := h.State()
	before := len(ran)
	for _, tc := range s.For("one").Toolchains {
		l, err := h.catalog.Match(t.Context(), &broker.Job{Identity: tc.Identity, Fingerprint: tc.Fingerprint, With: tc.Digest(), Peer: "one"}, argv.C)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.takesNative(t.Context(), l); err != nil && len(tc.Derived) == 0 {
			t.Error(err)
		}
	}
	if len(ran) != before {
		t.Errorf("%d programs ran without a slot", len(ran)-before)
	}
}
