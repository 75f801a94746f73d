package closure

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
)

// A Cache remembers what programs need for as long as every file that was
// looked at stays the same. Its zero value is ready, for many goroutines. Asking the loader costs a process for each program,
// looking again costs one lstat for each name.
type Cache struct {
	mu    sync.Mutex // guards known; held while the loader is asked, so that it is asked once
	known map[string]known
}

type known struct {
	binds []Bind
	seen  map[string]stamp
}

// maxKnown bounds the memory of a helper that is asked for ever new sets.
const maxKnown = 256

// Of is [Of] for programs of the host.
func (c *Cache) Of(programs []string) ([]Bind, error) {
	key := strings.Join(programs, "\x00")
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.known[key]; ok && k.fresh() {
		return k.binds, nil
	}
	found, err := find(programs)
	if err != nil {
		return nil, err
	}
	if c.known == nil || len(c.known) >= maxKnown {
		c.known = map[string]known{}
	}
	k := known{found.list(), found.seen}
	c.known[key] = k
	return k.binds, nil
}

// Stale names a program or library that is not what it was when it was shown.
func (c *Cache) Stale(programs []string) error {
	c.mu.Lock()
	k := c.known[strings.Join(programs, "\x00")]
	c.mu.Unlock()
	for p, s := range k.seen {
		if !s.holds(p) {
			return fmt.Errorf("%s was changed or removed meanwhile", p)
		}
	}
	return nil
}

func (k known) fresh() bool {
	for p, s := range k.seen {
		if !s.holds(p) {
			return false
		}
	}
	return true
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
