package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crosscc/crosscc/broker"
)

func putClaim(t *testing.T, s *Store, name, value string) {
	t.Helper()
	if err := s.PutClaim("client", name, int64(len(value)), strings.NewReader(value)); err != nil {
		t.Fatal(err)
	}
}

func readClaim(s *Store, name string) (string, error) {
	c, err := s.Claim(name)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err == nil && int64(len(b)) != c.Size() {
		err = fmt.Errorf("%d bytes, and it says %d", len(b), c.Size())
	}
	return string(b), err
}

func claims(t *testing.T, s *Store, name, value string) {
	t.Helper()
	if got, err := readClaim(s, name); got != value || err != nil {
		t.Fatalf("claim %s reads as %.20q, %v; want %.20q", name, got, err, value)
	}
}

func claimFile(s *Store, name string) string { return s.path(claimKey(name)) }

func TestClaims(t *testing.T) {
	s := open(t, Options{})
	for _, value := range []string{"one", "", "two\nlines\n", strings.Repeat("x", 100_000), "same size", "SAME SIZE"} {
		putClaim(t, s, "k", value)
		claims(t, s, "k", value)
	}
	putClaim(t, s, "other", "other")
	if st := s.Stats(); st.Claims != 2 || st.Used != 2*block || diskUse(t, s.dir) != st.Used {
		t.Errorf("two claims: %+v", st)
	}
	held, err := s.Claim("k")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for range 2 {
		if err := s.RemoveClaim("k"); err != nil {
			t.Fatal(err)
		}
		_, err := s.Claim("k")
		misses(t, err, false, "claim ")
	}
	if b, err := io.ReadAll(held); string(b) != "SAME SIZE" || err != nil {
		t.Errorf("a removed claim that was open reads as %q, %v", b, err)
	}
	s = restart(t, s)
	claims(t, s, "other", "other")
	if st := s.Stats(); st.Claims != 1 || diskUse(t, s.dir) != block {
		t.Errorf("%+v, %d bytes on disk", st, diskUse(t, s.dir))
	}
	nothingIncoming(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveClaim("other"); !errors.Is(err, ErrClosed) {
		t.Errorf("remove after close: %v", err)
	}
}

// TestClaimsLiveApart: nothing that a client claims is ever a blob or a record, nor
// the other way round.
func TestClaimsLiveApart(t *testing.T) {
	s := open(t, Options{})
	name := "name"
	key := broker.DigestOf([]byte(name))
	putClaim(t, s, name, name)
	for range 2 {
		_, err := s.Open(key)
		misses(t, err, false, "not in the store")
		_, err = s.Action(key)
		misses(t, err, false, "not in the store")
		if m := s.Missing([]broker.Digest{key}); len(m) != 1 {
			t.Error("a claim is taken for a blob")
		}
		s = restart(t, s)
	}
	put(t, s, name)
	if err := s.PutAction(key, []byte("record")); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveClaim(name); err != nil {
		t.Fatal(err)
	}
	_, err := s.Claim(name)
	misses(t, err, false, "not in the store")
	has(t, s, name)
	if b, err := s.Action(key); string(b) != "record" || err != nil {
		t.Errorf("record reads as %q, %v", b, err)
	}
	// A record's file, in a claim's place, is damage and nothing else.
	putClaim(t, s, name, "claim")
	if err := os.Rename(file(s, action, key), claimFile(s, name)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Claim(name)
	misses(t, err, true, "its value has hash")
}

func TestClaimRefused(t *testing.T) {
	s := open(t, Options{MaxBytes: 1 << 20})
	putClaim(t, s, "k", "old")
	boom := errors.New("boom")
	for _, tt := range []struct {
		name string
		size int64
		r    io.Reader
		want error
	}{
		{"too short", 9, strings.NewReader("value"), ErrMismatch},
		{"too long", 3, strings.NewReader("value"), ErrMismatch},
		{"reader fails", 9, io.MultiReader(strings.NewReader("val"), iotest.ErrReader(boom)), boom},
		{"over a quarter", 1 << 18, strings.NewReader(strings.Repeat("x", 1<<18)), ErrTooLarge},
		{"as large as can be", 1<<63 - 1, strings.NewReader("x"), ErrTooLarge},
		{"negative", -1, strings.NewReader(""), ErrTooLarge},
	} {
		if err := s.PutClaim("c", "k", tt.size, tt.r); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	nothingIncoming(t, s)
	claims(t, s, "k", "old")
}

func TestDamagedClaim(t *testing.T) {
	value := strings.Repeat("value", 1000)
	swap := vandal{"another's claim", func(path string) error {
		shard := filepath.Dir(filepath.Dir(path))
		return os.Rename(filepath.Join(shard, claimKey("other").name()[:2], claimKey("other").name()), path)
	}}
	cut := vandal{"cut in its first line", rewrite(func(b []byte) []byte { return b[:100] })}
	for _, v := range append(vandals(), swap, cut) {
		for _, when := range []string{"while closed", "before the first read", "after the first read"} {
			t.Run(v.name+" "+when, func(t *testing.T) {
				s := open(t, Options{Logf: t.Logf})
				putClaim(t, s, "k", value)
				putClaim(t, s, "other", "other")
				dir := s.dir
				s.Close()
				damage := func() {
					if err := v.do(claimFile(s, "k")); err != nil {
						t.Fatal(err)
					}
				}
				if when == "while closed" {
					damage()
				}
				s = reopen(t, dir, s.o)
				if when == "after the first read" {
					claims(t, s, "k", value)
				}
				if when != "while closed" {
					damage()
				}
				_, err := s.Claim("k")
				gone := when == "while closed" && s.Stats().Damaged == 0 // seen by the walk
				misses(t, err, !gone, "claim ")
				if _, err := os.Lstat(claimFile(s, "k")); !os.IsNotExist(err) {
					t.Errorf("the damaged file is still there: %v", err)
				}
				putClaim(t, s, "k", value)
				claims(t, s, "k", value)
				if diskUse(t, dir) != s.Stats().Used && v.name != swap.name {
					t.Errorf("%+v, %d bytes on disk", s.Stats(), diskUse(t, dir))
				}
			})
		}
	}
}

// TestClaimsShareTheBound: claims, blobs and records go in the order of last use,
// whichever they are, restarted or not.
func TestClaimsShareTheBound(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		c := newClock()
		s := open(t, Options{MaxBytes: 4 * block, Now: c.now})
		putClaim(t, s, "used", "1")
		c.forward(useGrain)
		putClaim(t, s, "old", "2")
		c.forward(useGrain)
		blob := put(t, s, "3")
		c.forward(useGrain)
		if err := s.PutAction(blob, []byte("4")); err != nil {
			t.Fatal(err)
		}
		c.forward(useGrain)
		claims(t, s, "used", "1")
		c.forward(useGrain)
		if restarted {
			s = restart(t, s)
		}
		putClaim(t, s, "new", "5")
		put(t, s, "6")
		if st := s.Stats(); st.Evicted != 2 || st.Claims != 2 || st.Blobs != 1 || st.Actions != 1 || st.Used != st.Max || diskUse(t, s.dir) != st.Used {
			t.Errorf("restarted %v: %+v", restarted, st)
		}
		claims(t, s, "used", "1")
		_, err := s.Claim("old")
		misses(t, err, false, "not in the store")
	}
}

// TestClaimsShareTheQuarter: one client's blobs and claims on the way hold a
// quarter of the store together.
func TestClaimsShareTheQuarter(t *testing.T) {
	s := open(t, Options{MaxBytes: 16 * block})
	pr, pw := io.Pipe()
	done := make(chan error)
	go func() { done <- s.PutClaim("one", "k", 3*block, pr) }()
	if _, err := pw.Write([]byte("x")); err != nil { // it is under way
		t.Fatal(err)
	}
	if err := s.PutFrom("one", broker.DigestOf([]byte("late")), strings.NewReader("late")); !errors.Is(err, ErrBusy) {
		t.Errorf("a blob beside the claim: %v", err)
	}
	if err := s.PutClaim("one", "other", 1, strings.NewReader("x")); !errors.Is(err, ErrBusy) {
		t.Errorf("a claim beside the claim: %v", err)
	}
	if err := s.PutClaim("two", "other", 1, strings.NewReader("x")); err != nil {
		t.Errorf("another client's claim: %v", err)
	}
	pw.Close()
	if err := <-done; !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
	nothingIncoming(t, s)
}
