package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/crosscc/crosscc/broker"
)

func open(tb testing.TB, o Options) *Store {
	tb.Helper()
	return reopen(tb, filepath.Join(tb.TempDir(), "store"), o)
}

func reopen(tb testing.TB, dir string, o Options) *Store {
	tb.Helper()
	s, err := Open(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// restart closes s and opens its directory again, when nothing is checked yet.
func restart(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return reopen(t, s.dir, s.o)
}

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func put(tb testing.TB, s *Store, content string) broker.Digest {
	tb.Helper()
	d := broker.DigestOf([]byte(content))
	if err := s.Put(d, strings.NewReader(content)); err != nil {
		tb.Fatal(err)
	}
	return d
}

func read(s *Store, d broker.Digest) (string, error) {
	f, err := s.Open(d)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

// has fails unless the store gives out content.
func has(t *testing.T, s *Store, content string) {
	t.Helper()
	if got, err := read(s, broker.DigestOf([]byte(content))); got != content || err != nil {
		t.Fatalf("blob %.20q reads as %.20q, %v", content, got, err)
	}
}

// misses fails unless err is a miss, with these words.
func misses(t *testing.T, err error, damaged bool, says string) {
	t.Helper()
	m, ok := errors.AsType[*Miss](err)
	if !ok || m.Damaged != damaged || !strings.Contains(err.Error(), says) {
		t.Fatalf("got error %v, want a miss (damaged %v) that says %q", err, damaged, says)
	}
}

func file(s *Store, k kind, d broker.Digest) string {
	name, _ := keyOf(k, d)
	return s.path(name)
}

func nothingIncoming(t *testing.T, s *Store) {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(s.dir, incoming))
	if err != nil || len(names) > 0 {
		t.Errorf("incoming holds %v, %v", names, err)
	}
	if st := s.Stats(); st.Reserved != 0 || len(s.index.uploads) != 0 {
		t.Errorf("%d bytes are reserved, uploads %v", st.Reserved, s.index.uploads)
	}
}

func TestBlobs(t *testing.T) {
	s := open(t, Options{})
	for _, content := range []string{"", "a", strings.Repeat("0123456789abcdef", 10_000)} {
		d := put(t, s, content)
		has(t, s, content)
		put(t, s, content)
		if err := s.Put(d, iotest.ErrReader(errors.New("was read"))); err != nil {
			t.Errorf("a blob that is there is read again: %v", err)
		}
		if got, err := s.PutBytes([]byte(content)); got != d || err != nil {
			t.Errorf("PutBytes gives %v, %v, want %v", got, err, d)
		}
	}
	if st := s.Stats(); st.Blobs != 3 || st.Actions != 0 || st.Used != 2*block+40*block || st.Hits != 3 {
		t.Errorf("stats are %+v", st)
	}
	s = restart(t, s)
	has(t, s, "a")
	nothingIncoming(t, s)
}

func TestPutFile(t *testing.T) {
	s := open(t, Options{})
	f, err := os.Create(filepath.Join(t.TempDir(), "a.o"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("object"); err != nil { // leaves the offset at the end
		t.Fatal(err)
	}
	d, err := s.PutFile(f)
	if err != nil || d != broker.DigestOf([]byte("object")) {
		t.Fatalf("PutFile gives %v, %v", d, err)
	}
	if _, err := f.WriteAt([]byte("OBJ"), 0); err != nil {
		t.Fatal(err)
	}
	has(t, s, "object")

	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := s.PutFile(dir); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("PutFile of a directory: %v", err)
	}
	nothingIncoming(t, s)
}

func TestPutRefuses(t *testing.T) {
	s := open(t, Options{MaxBytes: 1 << 20})
	good := broker.DigestOf([]byte("content"))
	sized := func(n int64) broker.Digest { return broker.Digest{Hash: good.Hash, Size: n} }
	boom := errors.New("boom")
	tests := []struct {
		name string
		d    broker.Digest
		r    io.Reader
		want error
		says string
	}{
		{"other content", good, strings.NewReader("CONTENT"), ErrMismatch, "its hash is 65f2"},
		{"too short", good, strings.NewReader("conten"), ErrMismatch, "ends after 6 bytes of 7"},
		{"too long", good, strings.NewReader("content!"), ErrMismatch, "goes on after 7 bytes"},
		{"nothing", good, strings.NewReader(""), ErrMismatch, "ends after 0 bytes of 7"},
		{"wrong size", sized(6), strings.NewReader("content"), ErrMismatch, "goes on after 6"},
		{"reader fails", good, io.MultiReader(strings.NewReader("con"), iotest.ErrReader(boom)), boom, "boom"},
		{"reader fails at the end", good, io.MultiReader(strings.NewReader("content"), iotest.ErrReader(boom)), boom, "boom"},
		{"over a quarter", sized(1<<18 + 1), strings.NewReader("x"), ErrTooLarge, "at most 262144"},
		{"as large as can be", sized(1<<63 - 1), strings.NewReader("x"), ErrTooLarge, ""},
		{"negative", sized(-1), strings.NewReader("x"), errMalformed, ""},
		{"no digest", broker.Digest{}, strings.NewReader(""), errMalformed, ""},
		{"a path", broker.Digest{Hash: "../../../../etc/passwd", Size: 1}, strings.NewReader("x"), errMalformed, ""},
		{"capitals", broker.Digest{Hash: strings.ToUpper(good.Hash), Size: 7}, strings.NewReader("content"), errMalformed, ""},
	}
	for _, tt := range tests {
		err := s.Put(tt.d, tt.r)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %v %q", tt.name, err, tt.want, tt.says)
		}
	}
	if m := s.Missing([]broker.Digest{good}); len(m) != 1 {
		t.Error("refused content is in the store")
	}
	nothingIncoming(t, s)

	// What this machine made may be more than a quarter, not more than all.
	if _, err := s.PutBytes(make([]byte, 1<<20)); err != nil {
		t.Errorf("a blob of the store's size: %v", err)
	}
	if _, err := s.PutBytes(make([]byte, 1<<20+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a blob over the store's size: %v", err)
	}
	if err := s.PutAction(good, make([]byte, maxAction+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record over its limit: %v", err)
	}
	if err := s.PutAction(broker.Digest{}, nil); !errors.Is(err, errMalformed) {
		t.Errorf("a record without a key: %v", err)
	}
}

func TestMissesAreNotDamage(t *testing.T) {
	s := open(t, Options{})
	d := put(t, s, "content")
	_, err := s.Open(broker.DigestOf([]byte("other")))
	misses(t, err, false, "not in the store")
	_, err = s.Open(broker.Digest{Hash: "../x", Size: 1})
	misses(t, err, false, "malformed")
	_, err = s.Open(broker.Digest{Hash: d.Hash, Size: 8})
	misses(t, err, false, "has 7 bytes, not 8")
	_, err = s.Action(d) // a blob is no record
	misses(t, err, false, "action "+d.String()+": not in the store")
	has(t, s, "content")
	if st := s.Stats(); st.Misses != 4 || st.Damaged != 0 {
		t.Errorf("stats are %+v", st)
	}
	// The empty blob is everybody's.
	empty := broker.DigestOf(nil)
	if m := s.Missing([]broker.Digest{empty}); m != nil {
		t.Errorf("the empty blob is missing: %v", m)
	}
	has(t, s, "")
}

func TestMissing(t *testing.T) {
	s := open(t, Options{})
	a, b := put(t, s, "a"), broker.DigestOf([]byte("b"))
	wrong := broker.Digest{Hash: a.Hash, Size: 9}
	bad := broker.Digest{Hash: "zz"}
	if m := s.Missing([]broker.Digest{b, a, wrong, a, bad}); !slices.Equal(m, []broker.Digest{b, wrong, bad}) {
		t.Errorf("missing are %v", m)
	}
	if m := s.Missing(nil); m != nil {
		t.Errorf("of nothing, %v is missing", m)
	}
}

func TestActions(t *testing.T) {
	s := open(t, Options{})
	key := broker.DigestOf([]byte("key"))
	for _, value := range []string{"one", "", "two\nlines\n", strings.Repeat("x", maxAction)} {
		if err := s.PutAction(key, []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Action(key); string(got) != value || err != nil {
			t.Fatalf("record %.20q reads as %.20q, %v", value, got, err)
		}
	}
	if st := s.Stats(); st.Actions != 1 || st.Used != charge(maxAction+1) {
		t.Errorf("four values of one key: %+v", st)
	}
	s = restart(t, s)
	if got, err := s.Action(key); len(got) != maxAction || err != nil {
		t.Errorf("after restart: %d bytes, %v", len(got), err)
	}
}

func TestOneProcess(t *testing.T) {
	s := open(t, Options{})
	if _, err := Open(s.dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second store in one directory: %v", err)
	}
	s.Close()
	if err := s.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("second close: %v", err)
	}
	if _, err := s.PutBytes([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	_, err := s.Open(broker.DigestOf([]byte("x")))
	misses(t, err, false, "")
	reopen(t, s.dir, Options{})
}

// TestCloseDuringWrite checks that a writer that is late touches nothing that may
// be another process's by then.
func TestCloseDuringWrite(t *testing.T) {
	s := open(t, Options{})
	d := broker.DigestOf([]byte("content"))
	pr, pw := io.Pipe()
	done := make(chan error)
	go func() { done <- s.Put(d, pr) }()
	pw.Write([]byte("con"))
	again := restart(t, s)
	pw.Write([]byte("tent"))
	pw.Close()
	if err := <-done; err == nil {
		t.Error("a write went well after close")
	}
	if m := again.Missing([]broker.Digest{d}); len(m) != 1 {
		t.Error("the late blob is there")
	}
}

func TestOpenRefuses(t *testing.T) {
	home := t.TempDir()
	precious := filepath.Join(home, "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(home, Options{}); err == nil || !strings.Contains(err.Error(), `holds "precious" and is no store`) {
		t.Errorf("somebody's directory: %v", err)
	}
	if _, err := Open(precious, Options{}); err == nil {
		t.Error("a file is opened as a store")
	}
	if names, _ := os.ReadDir(home); len(names) != 1 {
		t.Errorf("somebody's directory now holds %v", names)
	}

	later := t.TempDir()
	if err := os.WriteFile(filepath.Join(later, markerName), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(later, Options{}); err == nil || !strings.Contains(err.Error(), `layout is "2\n"`) {
		t.Errorf("a later layout: %v", err)
	}

	mount := t.TempDir()
	if err := os.Mkdir(filepath.Join(mount, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	reopen(t, mount, Options{})
}

func TestSameBlobAtOnce(t *testing.T) {
	s := open(t, Options{})
	content := bytes.Repeat([]byte("content"), 10_000)
	d := broker.DigestOf(content)
	var work sync.WaitGroup
	for range 32 {
		work.Go(func() {
			if err := s.Put(d, iotest.HalfReader(bytes.NewReader(content))); err != nil {
				t.Error(err)
			}
			if got, err := read(s, d); got != string(content) || err != nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	work.Wait()
	nothingIncoming(t, s)
	if st := s.Stats(); st.Blobs != 1 || st.Used != charge(d.Size) || diskUse(t, s.dir) != st.Used {
		t.Errorf("%+v, %d bytes on disk", st, diskUse(t, s.dir))
	}
}
