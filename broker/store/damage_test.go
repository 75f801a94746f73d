package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// A vandal does something to a file of the store.
type vandal struct {
	name string
	do   func(path string) error
}

// replace puts something else in the file's place.
func replace(with func(path string) error) func(string) error {
	return func(path string) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return with(path)
	}
}

// rewrite changes the content behind the store's back.
func rewrite(change func([]byte) []byte) func(string) error {
	return func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil { // for those who are not root
			return err
		}
		return os.WriteFile(path, change(bytes.Clone(b)), 0o600)
	}
}

func vandals() []vandal {
	return []vandal{
		{"a bit flipped", rewrite(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{"the first bit flipped", rewrite(func(b []byte) []byte { b[0] ^= 0x80; return b })},
		{"truncated", rewrite(func(b []byte) []byte { return b[:len(b)-1] })},
		{"longer", rewrite(func(b []byte) []byte { return append(b, 0) })},
		{"emptied", rewrite(func(b []byte) []byte { return nil })},
		{"zeroed", rewrite(func(b []byte) []byte { clear(b); return b })},
		{"removed", os.Remove},
		{"a directory", replace(func(p string) error { return os.Mkdir(p, 0o700) })},
		{"a full directory", replace(func(p string) error { return os.MkdirAll(filepath.Join(p, "a", "b"), 0o700) })},
		{"a link to a file", replace(func(p string) error { return os.Symlink("/etc/passwd", p) })},
		{"a link to nowhere", replace(func(p string) error { return os.Symlink("nowhere", p) })},
		{"a pipe", replace(func(p string) error { return unix.Mkfifo(p, 0o600) })},
	}
}

// TestDamagedBlob damages a blob before the store is opened, before its first
// read, and after it. Each is one miss, and then there is room for the right one.
func TestDamagedBlob(t *testing.T) {
	content := strings.Repeat("content", 1000)
	for _, v := range vandals() {
		for _, when := range []string{"while closed", "before the first read", "after the first read"} {
			t.Run(v.name+" "+when, func(t *testing.T) {
				s := open(t, Options{Logf: t.Logf})
				d := put(t, s, content)
				put(t, s, "neighbour")
				dir := s.dir
				s.Close()
				damage := func() {
					if err := v.do(file(s, blob, d)); err != nil {
						t.Fatal(err)
					}
				}
				if when == "while closed" {
					damage()
				}
				s = reopen(t, dir, s.o)
				if when == "after the first read" {
					has(t, s, content)
				}
				if when != "while closed" {
					damage()
				}
				_, err := s.Open(d)
				gone := when == "while closed" && s.Stats().Damaged == 0 // seen by the walk
				misses(t, err, !gone, "")
				if _, err := os.Lstat(file(s, blob, d)); !os.IsNotExist(err) {
					t.Errorf("the damaged file is still there: %v", err)
				}
				if m := s.Missing([]broker.Digest{d}); len(m) != 1 {
					t.Error("the damaged blob is not missing")
				}
				put(t, s, content)
				has(t, s, content)
				has(t, s, "neighbour")
				if st := s.Stats(); st.Blobs != 2 || st.Used != 3*block || diskUse(t, dir) != st.Used {
					t.Errorf("%+v, %d bytes on disk", st, diskUse(t, dir))
				}
			})
		}
	}
}

// TestPutMends: an upload of a blob that nobody read since start takes the place
// of what is there, whatever that is.
func TestPutMends(t *testing.T) {
	content := strings.Repeat("content", 1000)
	for _, v := range vandals() {
		s := restart(t, open(t, Options{}))
		d := put(t, s, content)
		s = restart(t, s)
		if err := v.do(file(s, blob, d)); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(d, strings.NewReader(content)); err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		has(t, s, content)
		if st := s.Stats(); st.Blobs != 1 || diskUse(t, s.dir) != st.Used {
			t.Errorf("%s: %+v, %d bytes on disk", v.name, st, diskUse(t, s.dir))
		}
	}
}

// TestUseDoesNotHideDamage: Missing writes the last use, and must not make a file
// that somebody wrote to look like the one that was hashed.
func TestUseDoesNotHideDamage(t *testing.T) {
	c := newClock()
	s := open(t, Options{Now: c.now})
	d := put(t, s, "content")
	has(t, s, "content")
	if err := os.Chmod(file(s, blob, d), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file(s, blob, d), []byte("CONTENT"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.forward(2 * useGrain)
	s.Missing([]broker.Digest{d})
	c.forward(2 * useGrain)
	s.Missing([]broker.Digest{d})
	_, err := s.Open(d)
	misses(t, err, true, "its hash is")

	d = put(t, s, "content")
	if err := os.Remove(file(s, blob, d)); err != nil {
		t.Fatal(err)
	}
	c.forward(2 * useGrain)
	if m := s.Missing([]broker.Digest{d}); len(m) != 1 {
		t.Error("a removed blob is not missing")
	}
}

func TestDamagedAction(t *testing.T) {
	key, other := broker.DigestOf([]byte("key")), broker.DigestOf([]byte("other"))
	swap := vandal{"another's record", nil}
	for _, v := range append(vandals(), swap) {
		t.Run(v.name, func(t *testing.T) {
			s := open(t, Options{Logf: t.Logf})
			for _, k := range []broker.Digest{key, other} {
				if err := s.PutAction(k, []byte("value of "+k.Hash)); err != nil {
					t.Fatal(err)
				}
			}
			do := v.do
			if do == nil {
				do = func(path string) error { return os.Rename(file(s, action, other), path) }
			}
			if err := do(file(s, action, key)); err != nil {
				t.Fatal(err)
			}
			_, err := s.Action(key)
			misses(t, err, true, "action "+key.String())
			_, err = s.Action(key)
			misses(t, err, false, "not in the store")
			if err := s.PutAction(key, []byte("new")); err != nil {
				t.Fatal(err)
			}
			if b, err := s.Action(key); string(b) != "new" || err != nil {
				t.Errorf("mended record reads as %q, %v", b, err)
			}
		})
	}
}

// TestStrangeDirectories: what nobody but a vandal makes must not stop a start.
func TestStrangeDirectories(t *testing.T) {
	s := open(t, Options{})
	d := put(t, s, "content")
	s.Close()
	shard := filepath.Dir(file(s, blob, d))
	blobs := filepath.Dir(shard)
	for name, do := range map[string]func() error{
		"a stranger's shard":    func() error { return os.WriteFile(filepath.Join(blobs, "zz"), nil, 0o600) },
		"no directory for temp": func() error { return os.RemoveAll(filepath.Join(s.dir, incoming)) },
		"a file for temp": func() error {
			return replace(func(p string) error { return os.WriteFile(p, nil, 0o600) })(filepath.Join(s.dir, incoming))
		},
		"a stranger's name": func() error { return os.WriteFile(filepath.Join(shard, "README"), nil, 0o600) },
		"a name in capitals": func() error {
			return os.WriteFile(filepath.Join(shard, strings.ToUpper(d.Hash)), nil, 0o600)
		},
		"a name in the wrong shard": func() error {
			return os.WriteFile(filepath.Join(shard, strings.Repeat("0", 64)), nil, 0o600)
		},
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		s = reopen(t, s.dir, Options{})
		has(t, s, "content")
		if n := s.Stats().Blobs; n != 1 {
			t.Errorf("%s: %d blobs", name, n)
		}
		s.Close()
	}
	if err := os.RemoveAll(shard); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shard, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s.dir, Options{})
	for name, do := range map[string]func() error{ // while it is open
		"no shard":                  func() error { return os.RemoveAll(shard) },
		"a file in a shard's place": func() error { return replace(func(p string) error { return os.WriteFile(p, nil, 0o600) })(shard) },
		"a link in a shard's place": func() error { return replace(func(p string) error { return os.Symlink("/dev/null", p) })(shard) },
	} {
		put(t, s, "content")
		if name != "no shard" {
			if err := os.RemoveAll(file(s, blob, d)); err != nil {
				t.Fatal(err)
			}
		}
		if err := do(); err != nil {
			t.Fatal(err)
		}
		_, err := s.Open(d)
		misses(t, err, true, "")
		put(t, s, "content")
		has(t, s, "content")
		if st := s.Stats(); st.Blobs != 1 {
			t.Errorf("%s: %+v", name, st)
		}
	}
}
