package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// TestEvictsLeastRecentlyUsed has room for four blobs, and uses one of them in
// each way that there is.
func TestEvictsLeastRecentlyUsed(t *testing.T) {
	ways := map[string]func(s *Store, d broker.Digest){
		"open":    func(s *Store, d broker.Digest) { read(s, d) },
		"missing": func(s *Store, d broker.Digest) { s.Missing([]broker.Digest{d}) },
		"put":     func(s *Store, d broker.Digest) { s.Put(d, strings.NewReader("a")) },
	}
	for name, use := range ways {
		for _, restarted := range []bool{false, true} {
			c := newClock()
			s := open(t, Options{MaxBytes: 4 * block, Now: c.now})
			for _, content := range []string{"a", "b", "c", "d"} {
				put(t, s, content)
				c.forward(time.Hour)
			}
			use(s, broker.DigestOf([]byte("a")))
			c.forward(time.Hour)
			if restarted && name == "put" {
				continue // a put of what is there is no use that has to last
			}
			if restarted {
				s = restart(t, s)
			}
			put(t, s, "e")
			put(t, s, "f")
			has(t, s, "a")
			has(t, s, "d")
			_, err := s.Open(broker.DigestOf([]byte("b")))
			misses(t, err, false, "not in the store")
			if st := s.Stats(); st.Evicted != 2 || st.Blobs != 4 || st.Used != st.Max {
				t.Errorf("%s, restarted %v: %+v", name, restarted, st)
			}
			if onDisk := diskUse(t, s.dir); onDisk != 4*block {
				t.Errorf("%s, restarted %v: %d bytes on disk", name, restarted, onDisk)
			}
		}
	}
}

// diskUse is what the files of a store take, as the bound counts.
func diskUse(tb testing.TB, dir string) (sum int64) {
	tb.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name() == markerName {
			return err
		}
		st, err := e.Info()
		if err == nil {
			sum += charge(st.Size())
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return sum
}

func TestEvictedFileStaysReadable(t *testing.T) {
	s := open(t, Options{MaxBytes: 4 * block})
	f, err := s.Open(put(t, s, "content"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 4 {
		put(t, s, fmt.Sprint(i))
	}
	if b, err := io.ReadAll(f); string(b) != "content" || err != nil {
		t.Errorf("evicted blob reads as %q, %v", b, err)
	}
}

func TestBoundBecameSmaller(t *testing.T) {
	c := newClock()
	s := open(t, Options{Now: c.now})
	for i := range 10 {
		put(t, s, fmt.Sprint(i))
		c.forward(time.Minute)
	}
	s.Close()
	s = reopen(t, s.dir, Options{MaxBytes: 3 * block, Now: c.now})
	if st := s.Stats(); st.Blobs != 3 || diskUse(t, s.dir) != 3*block {
		t.Errorf("%+v, %d bytes on disk", st, diskUse(t, s.dir))
	}
	for _, content := range []string{"7", "8", "9"} {
		has(t, s, content)
	}
}

// TestClockJumps: whatever the machine's clock said while an entry was used, the
// least recently used goes first, restarted or not.
func TestClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"was ahead":            -20 * 365 * 24 * time.Hour,
		"stood at the start":   0,
		"starts again in 1970": -56 * 365 * 24 * time.Hour,
		"jumps ahead":          100 * 365 * 24 * time.Hour,
	} {
		c := newClock()
		s := open(t, Options{MaxBytes: 4 * block, Now: c.now})
		uses := []func(){
			func() { put(t, s, "a") },
			func() { put(t, s, "b") },
			func() { s = restart(t, s) },
			func() { put(t, s, "c") },
			func() { has(t, s, "a") },
			func() { c.forward(jump); s = restart(t, s) },
			func() { put(t, s, "d") },
			func() { has(t, s, "c") },
			func() { s = restart(t, s) },
			func() { put(t, s, "e") },
			func() { put(t, s, "f") },
		}
		for _, use := range uses {
			use()
			c.forward(2 * useGrain)
		}
		for _, content := range []string{"a", "b"} {
			_, err := s.Open(broker.DigestOf([]byte(content)))
			misses(t, err, false, "not in the store")
		}
		for _, content := range []string{"c", "d", "e", "f"} {
			if m := s.Missing([]broker.Digest{broker.DigestOf([]byte(content))}); m != nil {
				t.Errorf("clock %s: %s was evicted", name, content)
			}
		}
	}
}

// TestAbsurdTimes: a file of a time that no clock said goes first.
func TestAbsurdTimes(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano()
	for mtime, want := range map[int64]int64{now: now, 0: 0, -1: 0, math.MinInt64: 0, math.MaxInt64: 0, lastUse: lastUse, lastUse + 1: 0} {
		if got := usable(mtime); got != want {
			t.Errorf("mtime %d counts as %d, want %d", mtime, got, want)
		}
	}
	c := newClock()
	s := open(t, Options{MaxBytes: 4 * block, Now: c.now})
	old := file(s, blob, put(t, s, "old"))
	for _, content := range []string{"1", "2", "3"} {
		put(t, s, content)
	}
	if err := os.Chtimes(old, time.Time{}, time.Date(1925, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	s = restart(t, s)
	put(t, s, "4")
	for _, content := range []string{"1", "2", "3", "4"} {
		has(t, s, content)
	}
}

// slow is an upload that stands still until it is told to go on.
type slow struct {
	r    io.Reader
	wait chan struct{}
}

func (s slow) Read(b []byte) (int, error) {
	<-s.wait
	return s.r.Read(b)
}

func TestUnfinishedUploads(t *testing.T) {
	s := open(t, Options{MaxBytes: 16 * block}) // a quarter is four files
	wait := make(chan struct{})
	var uploads sync.WaitGroup
	begin := func(client, content string) {
		uploads.Go(func() {
			if err := s.PutFrom(client, broker.DigestOf([]byte(content)), slow{strings.NewReader(content), wait}); err != nil {
				t.Error(err)
			}
		})
	}
	for _, client := range []string{"one", "two", "three"} {
		for i := range 4 {
			begin(client, client+fmt.Sprint(i))
		}
	}
	for s.Stats().Reserved < 12*block {
		time.Sleep(time.Millisecond)
	}
	try := func(client string) error {
		return s.PutFrom(client, broker.DigestOf([]byte("late")), strings.NewReader("late"))
	}
	if err := try("one"); !errors.Is(err, ErrBusy) {
		t.Errorf("a client's fifth upload of four: %v", err)
	}
	if err := try("four"); err != nil {
		t.Errorf("another client's first upload: %v", err)
	}
	if _, err := s.PutBytes(make([]byte, 5*block)); !errors.Is(err, ErrBusy) {
		t.Errorf("an output when the room is promised: %v", err)
	}
	if _, err := s.PutBytes(make([]byte, 4*block)); err != nil {
		t.Errorf("an output that still fits: %v", err)
	}
	close(wait)
	uploads.Wait()
	nothingIncoming(t, s)
	if st := s.Stats(); st.Used > st.Max {
		t.Errorf("%+v", st)
	}
}

func TestUseIsWrittenOncePerGrain(t *testing.T) {
	c := newClock()
	s := open(t, Options{Now: c.now})
	d := put(t, s, "content")
	mtime := func() int64 {
		var st unix.Stat_t
		if err := unix.Stat(file(s, blob, d), &st); err != nil {
			t.Fatal(err)
		}
		return st.Mtim.Nano()
	}
	first := mtime()
	if first != usedAt(c.now()) {
		t.Fatalf("a new file has mtime %d, the time is %d", first, c.now().UnixNano())
	}
	c.forward(useGrain / 2)
	has(t, s, "content")
	if mtime() != first {
		t.Error("a use soon after another is written")
	}
	c.forward(useGrain)
	has(t, s, "content")
	if mtime() != usedAt(c.now()) {
		t.Error("a later use is not written")
	}
	if k, _ := keyOf(blob, d); !s.index.slots[s.index.at[k]].checked {
		t.Error("writing the use made the blob doubtful")
	}
}
