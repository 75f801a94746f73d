package drivers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// grain is how young a file may not be for its stamp to be trusted: the time of
// a file system's clock can stand still for that long (FAT: 2 s, NFS and old
// ext3: 1 s), and a file be changed without a trace.
const grain = 2 * time.Second

// Bounds of a cache, in memory and on disk.
const (
	maxEntries   = 512     // answers kept; a machine has some dozens
	maxEntryFile = 1 << 20 // bytes of one file
)

// A Cache keeps answers for as long as they hold: while every file that one
// rests on (driver, scripts, compilers, assembler, libraries) has the same
// stat, no specs file, nearer program or (clang) gcc installation has appeared,
// and PATH, COMPILER_PATH, GCC_EXEC_PREFIX and LIBRARY_PATH are the same. Each
// question is asked by one at a time; the others wait for its answer.
//
// A Cache serves one way of running programs: answers from within a sandbox and
// from outside differ, and need a Cache and a Dir each. The zero value works,
// in memory only.
type Cache struct {
	// Dir is where answers are kept between runs, one small file each; "" keeps
	// none. It is made when needed, for its owner only. Set before the first use.
	Dir string
	// Now is the time; nil: time.Now.
	Now func() time.Time

	digests digests

	mu      sync.Mutex // guards entries, and busy of each
	entries map[string]*entry
}

// An entry is the place of one answer. busy holds a token while a probe runs.
type entry struct {
	busy chan struct{}
	answer
}

// An answer is what is kept in memory.
type answer struct {
	value any
	looks map[string]stamp // every name it rests on, absent ones too; nil: no answer yet
}

// Recall gives the answer to a question, a text for each thing that it depends on
// besides files: from sys.Cache for as long as it holds, else by ask. What comes
// back is shared with others who ask, and must not be changed. T is one type for
// each first text, and comes through JSON as it was.
func Recall[T any](ctx context.Context, sys System, question []string, ask func(*Asker) (T, error)) (value T, err error) {
	c := sys.Cache
	if c == nil {
		return ask(NewAsker(sys))
	}
	key, err := cacheKey(sys, question)
	if err != nil {
		return value, err
	}
	e := c.entry(key)
	if value, ok := held[T](c, sys.Root, e); ok {
		return value, nil
	}
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return value, fmt.Errorf("wait for another probe: %w", context.Cause(ctx))
	}
	if value, ok := held[T](c, sys.Root, e); ok { // who was before us has asked
		return value, nil
	}
	if value, looks, ok := load[T](c, key); ok && holds(sys.Root, looks) {
		c.keep(e, answer{value, looks})
		return value, nil
	}
	start := c.time()
	a := NewAsker(sys)
	asked, err := ask(a)
	if err != nil {
		return value, err
	}
	if !a.fleeting && holds(sys.Root, a.looks) && settled(a.looks, start) {
		c.keep(e, answer{asked, a.looks})
		c.save(key, asked, a.looks)
	}
	return asked, nil
}

// Remembered is s.Run for questions to a clang driver that prints its answer on
// standard error (-v, -###), remembered for as long as everything stands by
// which the driver chooses directories. of tells the toolchain's files from others
// (its Digest): what it says depends on libraries that are its own and may change
// alone. Standard output is not kept, and what has an input is refused.
func (s System) Remembered(of string) RunFunc {
	return func(ctx context.Context, prog Program) (Output, error) {
		if len(prog.Stdin) > 0 {
			return Output{}, fmt.Errorf("ask %s: a question with an input can't be remembered", prog.Path)
		}
		status := 0
		question := slices.Concat([]string{"driver", of, prog.Path, s.Under(prog.Args), fmt.Sprintf("%q", prog.Env)}, prog.Args)
		said, err := Recall(ctx, s, question, func(a *Asker) ([]byte, error) {
			out, _, err := a.askDriver(ctx, prog)
			status = out.Status // not 0: not kept
			return out.Stderr, err
		})
		return Output{Stderr: slices.Clone(said), Status: status}, err
	}
}

// cacheKey is a readable text: all that an answer depends on besides files.
func cacheKey(sys System, question []string) (string, error) {
	root, err := sys.Root.ID()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "crosscc toolchain cache v5\nroot %s\n", root)
	for _, name := range []string{"PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "LIBRARY_PATH"} {
		fmt.Fprintf(&b, "%s %q\n", name, sys.env(name))
	}
	fmt.Fprintf(&b, "question %q\n", question)
	return b.String(), nil
}

func (c *Cache) time() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// entry finds or makes the place for a key. A cache that is full starts anew:
// what is in use comes back from disk.
func (c *Cache) entry(key string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxEntries && c.entries[key] == nil {
		c.entries = map[string]*entry{}
	}
	if c.entries[key] == nil {
		c.entries[key] = &entry{busy: make(chan struct{}, 1)}
	}
	return c.entries[key]
}

// held is the answer in memory, if it still holds.
func held[T any](c *Cache, root *rootfs.Root, e *entry) (value T, ok bool) {
	c.mu.Lock()
	a := e.answer
	c.mu.Unlock()
	value, ok = a.value.(T)
	return value, ok && a.looks != nil && holds(root, a.looks)
}

func (c *Cache) keep(e *entry, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.answer = a
}

// holds reports whether every name still stands as it did.
func holds(root *rootfs.Root, looks map[string]stamp) bool {
	for name, s := range looks {
		if stampOf(root, name) != s {
			return false
		}
	}
	return true
}

// settled reports whether no file changed so shortly before start that a
// change after it could leave the same stamp. A clock that was set back makes
// files look young, and they are asked again: slow, but right.
func settled(looks map[string]stamp, start time.Time) bool {
	newest := start.Add(-grain).UnixNano()
	for _, s := range looks {
		if s.Ctime > newest {
			return false
		}
	}
	return true
}

// A record is an answer's file. Sum is of the answer's text as it stands there,
// so that any damage to it shows.
type record struct {
	Key    string
	Sum    string
	Answer json.RawMessage
}

// A written is an answer as its file has it.
type written[T any] struct {
	Value T
	Looks map[string]stamp
}

func (c *Cache) file(key string) string { return filepath.Join(c.Dir, sum(key)+".json") }

func sum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// load reads an answer from disk. Whatever is wrong with it is a miss.
func load[T any](c *Cache, key string) (value T, looks map[string]stamp, ok bool) {
	if c.Dir == "" {
		return value, nil, false
	}
	dir, err := rootfs.At(c.Dir)
	if err != nil {
		return value, nil, false
	}
	defer func() { _ = dir.Close() }()
	text, err := dir.ReadFile(filepath.Base(c.file(key)), maxEntryFile)
	if err != nil {
		return value, nil, false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Key != key || r.Sum != sum(string(r.Answer)) {
		return value, nil, false
	}
	var a written[T]
	if json.Unmarshal(r.Answer, &a) != nil || a.Looks == nil {
		return value, nil, false
	}
	return a.Value, a.Looks, true
}

// save writes an answer to disk: temporary name, then rename. A cache that
// can't be written is a slower one, not an error.
func (c *Cache) save(key string, value any, looks map[string]stamp) {
	if c.Dir == "" {
		return
	}
	body, err := json.Marshal(written[any]{value, looks})
	if err != nil {
		return
	}
	text, err := json.Marshal(record{Key: key, Sum: sum(string(body)), Answer: body})
	if err != nil || os.MkdirAll(c.Dir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(c.Dir, "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil && closed == nil && os.Rename(f.Name(), c.file(key)) == nil {
		c.prune()
		return
	}
	_ = os.Remove(f.Name())
}

// prune removes the files longest not written, down to maxEntries: compilers
// inside build trees come and go.
func (c *Cache) prune() {
	files, err := os.ReadDir(c.Dir)
	if err != nil || len(files) <= maxEntries {
		return
	}
	age := func(e os.DirEntry) int64 {
		if info, err := e.Info(); err == nil {
			return info.ModTime().UnixNano()
		}
		return 0
	}
	slices.SortFunc(files, func(a, b os.DirEntry) int { return int(min(max(age(a)-age(b), -1), 1)) })
	for _, f := range files[:len(files)-maxEntries] {
		_ = os.Remove(filepath.Join(c.Dir, f.Name()))
	}
}
