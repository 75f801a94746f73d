package packs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
	"github.com/crosscc/crosscc/sandbox"
)

// placed takes packs, with a clock of the test's; no program of them runs. It also tells
// what a helper would tell.
func placed(t *testing.T) (*Packs, *time.Time, func() map[string]broker.PeerState) {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	log := logrus.New()
	log.SetOutput(io.Discard)
	run := func(context.Context, *sandbox.Spec) (*sandbox.Outcome, error) {
		return nil, errors.New("nothing runs here")
	}
	var mu sync.Mutex
	var told map[string]broker.PeerState
	c, err := catalog.New(catalog.Options{Dir: t.TempDir(), Runner: run, Sandbox: "bwrap", Search: []string{"/nowhere"}, Log: log}, func(peers map[string]broker.PeerState) {
		mu.Lock()
		defer mu.Unlock()
		told = peers
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	s, err := New(Options{
		Dir: filepath.Join(t.TempDir(), "packs"), Store: st, Catalog: c, Log: log, Now: func() time.Time { return now },
		Slot: func(context.Context) (func(), error) { return func() {}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.o.Dir); !os.IsNotExist(err) {
			t.Errorf("the directory of packs: %v", err)
		}
	})
	return s, &now, func() map[string]broker.PeerState {
		mu.Lock()
		defer mu.Unlock()
		return told
	}
}

// from is a peer of that name; all are behind one address.
func from(name string) broker.Peer { return broker.Peer{Name: name, Address: "10.0.0.1"} }

// takePlace gives a peer a place, as Take does.
func takePlace(s *Packs, peer broker.Peer) (*place, error) {
	s.one <- struct{}{}
	defer func() { <-s.one }()
	p, err := s.of(peer)
	if err == nil {
		s.used(p)
	}
	return p, err
}

func here(s *Packs) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.peers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A place that nobody needs goes when its peer had nothing done for long, and its disk
// with it; not while a job runs, however long that takes, and not when the peer is heard
// though nothing of it runs.
func TestPlacesAreGivenBack(t *testing.T) {
	s, now, told := placed(t)
	for _, name := range []string{"busy", "heard", "idle"} {
		if _, err := takePlace(s, from(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range s.peers {
		p.shelf.Round(p.ctx) // as Take does: the catalog knows all three
	}
	done := s.Use("busy")
	*now = now.Add(PlaceTime / 2)
	s.Heard("heard")
	s.Heard("unknown")
	*now = now.Add(PlaceTime / 2)
	idle := s.peers["idle"].dir
	s.Sweep(t.Context(), *now)
	if got := here(s); !slices.Equal(got, []string{"busy", "heard"}) {
		t.Errorf("left are %q", got)
	}
	if _, err := os.Stat(idle); !os.IsNotExist(err) {
		t.Errorf("its disk: %v", err)
	}
	if told := told(); len(told) != 3 { // everybody, and those two
		t.Errorf("told are %v", told)
	}
	*now = now.Add(10 * PlaceTime)
	s.Sweep(t.Context(), *now)
	if got := here(s); !slices.Equal(got, []string{"busy"}) {
		t.Errorf("left are %q", got)
	}
	done()
	s.Sweep(t.Context(), *now)
	if got := here(s); !slices.Equal(got, []string{"busy"}) {
		t.Errorf("a job that has just ended: left are %q", got)
	}
	*now = now.Add(PlaceTime)
	s.Sweep(t.Context(), *now)
	if got := here(s); len(got) != 0 {
		t.Errorf("left are %q", got)
	}
	s.Use("nobody")()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.one <- struct{}{} // one is taken
	s.Sweep(ctx, *now)
	s.Watch(ctx)
}

// While a place goes nobody finds a compiler there: its files would go under the job.
func TestNobodyFindsAPlaceThatGoes(t *testing.T) {
	s, now, told := placed(t)
	gone := 0
	take := func(i int) *place {
		p, err := takePlace(s, from(fmt.Sprintf("%02d", i)))
		if err != nil {
			t.Fatal(err)
		}
		leave := p.leave
		p.leave = func() {
			p.shelf.Round(p.ctx) // one that was under way
			if _, found := told()[p.from.Name]; found {
				t.Error("it is found")
			}
			leave()
			gone++
		}
		addPack(t, p, i)
		p.shelf.Round(p.ctx)
		if _, found := told()[p.from.Name]; !found {
			t.Error("it is not found before")
		}
		return p
	}
	for i := range maxOfAddress {
		take(i)
	}
	*now = now.Add(placeRest)
	take(maxOfAddress) // in the place of another
	*now = now.Add(PlaceTime)
	s.Sweep(t.Context(), *now)
	if gone != maxOfAddress+1 {
		t.Errorf("%d places went", gone)
	}
	if p := take(0); s.peers["00"] != p { // it may come again
		t.Error("a peer has no new place")
	}
}

// When places are few the one goes that was not used for the longest time; none that is
// in use or was a moment ago, and none of another address where one address has many.
func TestPlacesForOthers(t *testing.T) {
	s, now, _ := placed(t)
	at := func(i, address int) broker.Peer {
		return broker.Peer{Name: fmt.Sprintf("%02d", i), Address: fmt.Sprint("10.0.0.", address)}
	}
	takes := func(what string, p broker.Peer, gone string) {
		t.Helper()
		before := here(s)
		if _, err := takePlace(s, p); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		after := here(s)
		lost := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(after, name) })
		if fmt.Sprint(lost) != fmt.Sprintf("[%s]", gone) {
			t.Errorf("%s: %v are gone, not %s", what, lost, gone)
		}
	}
	refuses := func(what string, p broker.Peer) {
		t.Helper()
		before := here(s)
		if _, err := takePlace(s, p); err == nil || !slices.Equal(before, here(s)) {
			t.Errorf("%s: %v, there are %v", what, err, here(s))
		}
	}
	hear := func(but ...string) {
		for _, name := range here(s) {
			if !slices.Contains(but, name) {
				s.Heard(name)
			}
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
	*now = now.Add(time.Second)
	s.Heard("02")
	*now = now.Add(time.Second)
	hear("02", "10", "11", "12", "13", "14", "15", "16", "17")
	*now = now.Add(placeRest)
	takes("an address with many, though others were used longer ago", next(1), "02") // 18
	hear("10", "11")
	done := s.Use("10")
	*now = now.Add(placeRest)
	s.Heard("11")
	*now = now.Add(time.Second)
	hear("10", "11")
	*now = now.Add(placeRest)
	takes("another address, though one that is in use was used longer ago", next(2), "11") // 19
	hear("19")
	done()
	refuses("one of a moment ago", next(2))
	*now = now.Add(placeRest)
	hear("10")
	takes("when it is not in use any more", next(2), "10") // 21
}

// addPack gives a place a pack without a compiler, and tells its name there.
func addPack(t *testing.T, p *place, i int) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "pack"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := images.BuildPack(f, []images.File{{Path: fmt.Sprint("/usr/bin/", i), Mode: fs.ModeDir | 0o755}}, nil); err != nil {
		t.Fatal(err)
	}
	id, err := p.add(t.Context(), f, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Of one peer's packs the one goes for a new one that was not used for the longest time.
func TestPackMakesRoom(t *testing.T) {
	s, _, _ := placed(t)
	p, err := takePlace(s, from("one"))
	if err != nil {
		t.Fatal(err)
	}
	p.leave() // which uses them too, to look at them
	add := func(i int) string { return addPack(t, p, i) }
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

// A pack for which the peer's part of the disk has no room takes that of the peer's others,
// and one that has none even so is refused in words that are true.
func TestPackTakesRoomOfOthers(t *testing.T) {
	s, _, _ := placed(t)
	p, err := takePlace(s, from("one"))
	if err != nil {
		t.Fatal(err)
	}
	p.leave() // which uses them too, to look at them
	addPack(t, p, 0)
	one, err := p.store.List()
	if err != nil || len(one) != 1 {
		t.Fatalf("%d packs, %v", len(one), err)
	}
	room := one[0].Size + one[0].Packed*5/2 // one that is unpacked, and one that is not
	if p.store, err = imagestore.Open(filepath.Join(t.TempDir(), "small"), imagestore.Options{MaxBytes: room}); err != nil {
		t.Fatal(err)
	}
	for i := range maxOfPeer / 2 {
		addPack(t, p, i)
	}
	if kept, err := p.store.List(); err != nil || len(kept) != 2 {
		t.Errorf("%d packs, %v", len(kept), err)
	}
	if p.store, err = imagestore.Open(filepath.Join(t.TempDir(), "none"), imagestore.Options{MaxBytes: 1 << 10}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "pack"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := images.BuildPack(f, []images.File{{Path: "/usr/bin/x", Mode: fs.ModeDir | 0o755}}, nil); err != nil {
		t.Fatal(err)
	}
	var refusal *broker.Refusal
	if _, err := p.add(t.Context(), f, func(string) {}); !errors.As(err, &refusal) || strings.Contains(err.Error(), "crossctl image") {
		t.Errorf("got %v", err)
	}
}
