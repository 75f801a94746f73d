package closure

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// A Cache remembers what programs need for as long as every file that was
// looked at stays the same. Its zero value is ready for programs of this machine,
// for many goroutines. Asking the loader costs a process for each program,
// looking again costs one lstat for each name.
type Cache struct {
	// List is for programs below other roots. Set before the first use.
	List Lister

	mu    sync.Mutex // guards known
	known map[string]*known
}

// A known is the place of one answer.
type known struct {
	mu    sync.Mutex // held while the loaders are asked, so that they are asked once
	root  string
	binds []Bind
	seen  map[string]stamp // nil: no answer yet
}

// maxKnown bounds the memory of a helper that is asked for ever new sets.
const maxKnown = 256

// Of is the package's [Of], remembered.
func (c *Cache) Of(programs []string, root string) ([]Bind, error) {
	k := c.entry(programs, root)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen != nil && k.stale() == "" {
		return k.binds, nil
	}
	found, err := find(programs, root, c.List)
	if err != nil {
		return nil, err
	}
	k.binds, k.seen = found.list(), found.seen
	return k.binds, nil
}

// entry finds or makes the place of an answer. A cache that is full starts anew.
func (c *Cache) entry(programs []string, root string) *known {
	root = ownRoot(root)
	key := root + "\x00" + strings.Join(programs, "\x00")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[key] == nil {
		if c.known == nil || len(c.known) >= maxKnown {
			c.known = map[string]*known{}
		}
		c.known[key] = &known{root: root}
	}
	return c.known[key]
}

// Stale names a program or library that is not what it was when it was shown.
func (c *Cache) Stale(programs []string, root string) error {
	k := c.entry(programs, root)
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.stale(); p != "" {
		return fmt.Errorf("%s was changed or removed meanwhile", p)
	}
	return nil
}

// stale is a name that does not stand as it did; "" when all do.
func (k *known) stale() string {
	for p, s := range k.seen {
		if !s.holds(filepath.Join("/", k.root, p)) {
			return p
		}
	}
	return ""
}

// A stamp tells whether a file is still the one that was looked at. A directory
// counts by its inode alone: others come and go in it.
type stamp struct {
	dev, ino     uint64
	mode         uint32
	size         int64
	mtime, ctime syscall.Timespec
}

func stampOf(info fs.FileInfo) stamp {
	st := info.Sys().(*syscall.Stat_t) // always, for what os.Lstat returns on Linux
	s := stamp{dev: uint64(st.Dev), ino: st.Ino, mode: st.Mode}
	if !info.IsDir() {
		s.size, s.mtime, s.ctime = st.Size, st.Mtim, st.Ctim
	}
	return s
}

func (s stamp) holds(p string) bool {
	info, err := os.Lstat(p)
	return err == nil && stampOf(info) == s
}
