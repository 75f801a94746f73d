package toolchains

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// grain is how young a file may not be for its stamp to be trusted: the time of
// a file system's clock can stand still for that long (FAT: 2 s, NFS and old
// ext3: 1 s), and a file be changed without a trace.
const grain = 2 * time.Second

// Bounds of a cache, in memory and on disk.
const (
	maxEntries   = 512     // probes kept; a machine has some dozens
	maxEntryFile = 1 << 20 // bytes of one file
)

// A Cache keeps probes for as long as they hold: while every file that one
// rests on (driver, scripts, compilers, assembler, libraries) has the same
// stat, no specs file, nearer program or (clang) gcc installation has appeared,
// and PATH, COMPILER_PATH, GCC_EXEC_PREFIX and LIBRARY_PATH are the same. One
// probe runs at a time for each driver and target; the others wait for its answer.
//
// A Cache serves one way of running programs: answers from within a sandbox and
// from outside differ, and need a Cache and a Dir each. The zero value works,
// in memory only.
type Cache struct {
	// Dir is where probes are kept between runs, one small file each; "" keeps
	// none. It is made when needed, for its owner only. Set before the first use.
	Dir string

	digests digests
	now     func() time.Time // nil: time.Now

	mu      sync.Mutex // guards entries, and busy of each
	entries map[string]*entry
}

// An entry is the place of one answer. busy holds a token while a probe runs.
type entry struct {
	busy chan struct{}
	answer
}

// An answer is what is kept, in memory and on disk.
type answer struct {
	Toolchain Toolchain
	Words     []string // of ClangWords
	Native    Native
	Said      []byte           // what the driver printed
	Looks     map[string]stamp // every name it rests on, absent ones too; nil: no answer yet
}

// Probe is [Probe], remembered.
func (c *Cache) Probe(ctx context.Context, sys drivers.System, path, target string) (Toolchain, error) {
	a, err := c.recall(ctx, sys, []string{"probe", path, target}, func(p *prober) (a answer, err error) {
		a.Toolchain, err = p.probe(ctx, path, target)
		return a, err
	})
	return a.Toolchain.clone(), err
}

// ProbeDerived is Probe of a gcc as one for another target, that of d.
func (c *Cache) ProbeDerived(ctx context.Context, sys drivers.System, path string, d triple.Derivation) (Toolchain, error) {
	a, err := c.recall(ctx, sys, append([]string{"derived", path, d.Target}, d.Words...), func(p *prober) (a answer, err error) {
		p.derived = d.Words
		if a.Toolchain, err = p.probe(ctx, path, ""); err != nil {
			return a, err
		}
		if !slices.ContainsFunc(triple.Derivations(a.Toolchain.Target), func(e triple.Derivation) bool { return e.Target == d.Target }) {
			return a, fmt.Errorf("probe compiler: nothing makes a %s of %s", a.Toolchain, d.Target)
		}
		a.Toolchain.Target, a.Toolchain.Derived = d.Target, d.Words
		return a, nil
	})
	return a.Toolchain.clone(), err
}

// ClangWords is [ClangWords], remembered. of is the fingerprint of the
// toolchain that the clang at path is of: what it says depends on libraries that
// are its own and may change alone.
func (c *Cache) ClangWords(ctx context.Context, sys drivers.System, of Fingerprint, path string, words []string) ([]string, error) {
	question := append([]string{"clang words", fmt.Sprint(of), path, underDir(sys.Dir, words)}, words...)
	a, err := c.recall(ctx, sys, question, func(p *prober) (a answer, err error) {
		a.Words, err = p.clangWords(ctx, path, words)
		return a, err
	})
	return slices.Clone(a.Words), err
}

// Clang is sys.Run for questions to a clang driver that prints its answer on
// standard error (-v, -###), remembered for as long as everything stands by
// which the driver chooses directories. of is the fingerprint of the toolchain
// that the driver is of. Standard output is not kept, and what has an input is
// refused.
func (c *Cache) Clang(sys drivers.System, of Fingerprint) drivers.RunFunc {
	return func(ctx context.Context, prog drivers.Program) (drivers.Output, error) {
		if len(prog.Stdin) > 0 {
			return drivers.Output{}, fmt.Errorf("ask %s: a question with an input can't be remembered", prog.Path)
		}
		status := 0
		question := slices.Concat([]string{"driver", fmt.Sprint(of), prog.Path, underDir(sys.Dir, prog.Args), fmt.Sprintf("%q", prog.Env)}, prog.Args)
		a, err := c.recall(ctx, sys, question, func(p *prober) (answer, error) {
			out, _, err := p.askDriver(ctx, prog)
			status = out.Status // not 0: not kept
			return answer{Said: out.Stderr}, err
		})
		return drivers.Output{Stderr: slices.Clone(a.Said), Status: status}, err
	}
}

// recall answers from memory, from disk, or by asking.
func (c *Cache) recall(ctx context.Context, sys drivers.System, question []string, ask func(*prober) (answer, error)) (answer, error) {
	key, err := cacheKey(sys, question)
	if err != nil {
		return answer{}, err
	}
	e := c.entry(key)
	if a, ok := c.held(sys.Root, e); ok {
		return a, nil
	}
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return answer{}, fmt.Errorf("wait for another probe: %w", context.Cause(ctx))
	}
	if a, ok := c.held(sys.Root, e); ok { // who was before us has asked
		return a, nil
	}
	if a, ok := c.load(key); ok && holds(sys.Root, a.Looks) {
		c.keep(e, a)
		return a, nil
	}
	start := c.time()
	p := newProber(sys, &c.digests)
	a, err := ask(p)
	if err != nil {
		return answer{}, err
	}
	if p.fleeting {
		return a, nil
	}
	if a.Looks = p.looks; holds(sys.Root, a.Looks) && settled(a.Looks, start) {
		c.keep(e, a)
		c.save(key, a)
	}
	return a, nil
}

// cacheKey is a readable text: all that an answer depends on besides files.
func cacheKey(sys drivers.System, question []string) (string, error) {
	root, err := sys.Root.ID()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "crosscc toolchain cache v4\nroot %s\n", root)
	for _, name := range []string{"PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "LIBRARY_PATH"} {
		fmt.Fprintf(&b, "%s %q\n", name, sys.Env(name))
	}
	fmt.Fprintf(&b, "question %q\n", question)
	return b.String(), nil
}

func (c *Cache) time() time.Time {
	if c.now != nil {
		return c.now()
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
func (c *Cache) held(root *rootfs.Root, e *entry) (answer, bool) {
	c.mu.Lock()
	a := e.answer
	c.mu.Unlock()
	return a, a.Looks != nil && holds(root, a.Looks)
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

func (c *Cache) file(key string) string {
	return filepath.Join(c.Dir, digestText(key)+".json")
}

// load reads an answer from disk. Whatever is wrong with it is a miss.
func (c *Cache) load(key string) (a answer, ok bool) {
	if c.Dir == "" {
		return a, false
	}
	dir, err := rootfs.At(c.Dir)
	if err != nil {
		return a, false
	}
	defer func() { _ = dir.Close() }()
	text, err := dir.ReadFile(filepath.Base(c.file(key)), maxEntryFile)
	if err != nil {
		return a, false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Key != key || r.Sum != digestText(string(r.Answer)) {
		return a, false
	}
	if json.Unmarshal(r.Answer, &a) != nil || a.Looks == nil {
		return a, false
	}
	// Numbers of languages may have changed since: what is there has not.
	a.Toolchain.Languages = languages(a.Toolchain.Family, a.Toolchain.Fingerprint)
	return a, true
}

// save writes an answer to disk: temporary name, then rename. A cache that
// can't be written is a slower one, not an error.
func (c *Cache) save(key string, a answer) {
	if c.Dir == "" {
		return
	}
	body, err := json.Marshal(a)
	if err != nil {
		return
	}
	text, err := json.Marshal(record{Key: key, Sum: digestText(string(body)), Answer: body})
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

// clone keeps a caller from changing what others were given.
func (t Toolchain) clone() Toolchain {
	print := Fingerprint{}
	for role, sum := range t.Fingerprint {
		print[role] = sum
	}
	t.Fingerprint = print
	t.Languages = slices.Clone(t.Languages)
	t.Programs = slices.Clone(t.Programs)
	t.Targets = slices.Clone(t.Targets)
	t.Unasked = t.Unasked.clone()
	t.Derived = slices.Clone(t.Derived)
	return t
}
