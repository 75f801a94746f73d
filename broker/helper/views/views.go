// Package views keeps directories on disk that show the trees of jobs, so that a
// job whose tree was seen before, or most of it, finds it there.
//
// A View is one such directory with a list in memory of what is in it. Pool.Take
// gives a job a free view for itself and makes it show the job's tree: what is
// there already stays (patch.go), as the two lists differ (tree.go). Pool.Return
// takes it back for the next job.
//
// A program in the sandbox can read a view and not write it, and nothing in a
// view is a hard link of anything outside it (X18).
package views

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

var (
	// ErrClosed is the error of a Take after Close.
	ErrClosed = errors.New("views are closed")
	// ErrTooLarge is the error of a Take of a tree that Options.Each forbids.
	ErrTooLarge = errors.New("tree is too large for these views")
)

// Options bound a Pool.
type Options struct {
	// Dir is where views are made: an empty directory of the caller's that the
	// user of the sandbox can enter and only the caller can write to.
	Dir string
	// Free is how many views are kept that no job uses; at least 1.
	Free int
	// Bytes bounds what the views take on disk together, those in use left out
	// when there is no other to remove. An entry of a tree counts as whole
	// blocks, at least one.
	Bytes int64
	// Each bounds one view, counted likewise; 0 means no bound.
	Each int64
}

// A Pool is the views of one helper. Its methods may be called at once.
type Pool struct {
	o      Options
	masked bool // the umask takes bits away from what is made

	buffers sync.Pool      // of *[]byte, bufSize each
	tidy    sync.WaitGroup // removals of views that are in no list any more

	mu     sync.Mutex // guards the fields below
	free   []*View    // least recently used first
	bytes  int64      // of the views that are free or in use
	closed bool
}

// A View is a directory that shows one job's tree. It is the job's alone until
// it is returned or dropped.
type View struct {
	pool  *Pool
	path  string
	dir   int   // descriptor, O_PATH
	bytes int64 // as counted in the pool
	shows shown
}

// Path is the view's directory on the host.
func (v *View) Path() string { return v.path }

// New makes an empty Pool.
func New(o Options) (*Pool, error) {
	p := &Pool{o: o}
	p.o.Free = max(1, o.Free)
	var err error
	if p.masked, err = masked(o.Dir); err != nil {
		return nil, fmt.Errorf("directory for job views: %w", err)
	}
	return p, nil
}

// masked reports whether what is made in dir lacks mode bits that it was made
// with, and so whether views can be made there at all.
func masked(dir string) (bool, error) {
	name := filepath.Join(dir, "umask")
	if err := os.Mkdir(name, dirMode); err != nil {
		return false, err
	}
	st, err := os.Lstat(name)
	return err == nil && st.Mode().Perm() != dirMode, errors.Join(err, os.Remove(name))
}

// Take gives the caller a view that shows root, which must be valid
// (broker.Dir.Validate) and is not changed. A tree whose hard links disagree is
// refused with a *Malformed, one with a file that has not its digest's content
// with a *broker.ChangedError; any other error is this machine's trouble or the
// cause of ctx. Nothing of what was begun is kept.
func (p *Pool) Take(ctx context.Context, root *broker.Dir) (*View, error) {
	want, err := shownOf(root)
	if err != nil {
		return nil, err
	}
	if p.o.Each > 0 && want.bytes > p.o.Each {
		return nil, ErrTooLarge
	}
	v, err := p.choose(want)
	if err != nil {
		return nil, err
	}
	if err := v.patch(ctx, root, want); err != nil {
		v.Drop()
		return nil, fmt.Errorf("assemble job view: %w", err)
	}
	return v, nil
}

// choose takes the free view that needs the fewest changes, or a new one where
// each needs as many as that.
//
// The fewest changes are exactly what costs time, and to count them is cheap: the
// lists are sorted and in memory (500 names: 20 µs), and the count of a view ends
// where it is no better than the best so far. The most recently used is counted
// first, because the next job of a build is most like the last one.
func (p *Pool) choose(want shown) (*View, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	best, least := -1, want.entries
	for i := len(p.free) - 1; i >= 0 && least > 0; i-- {
		if n := changes(p.free[i].shows, want, least); n < least {
			best, least = i, n
		}
	}
	if best < 0 {
		return p.make(want)
	}
	v := p.free[best]
	p.free = slices.Delete(p.free, best, best+1)
	p.bytes += want.bytes - v.bytes
	v.bytes = want.bytes
	p.evict()
	return v, nil
}

// make makes an empty view that will show want. The caller holds mu.
func (p *Pool) make(want shown) (*View, error) {
	// Nobody who may pass through the directory, but not list it, guesses a name.
	v := &View{pool: p, path: filepath.Join(p.o.Dir, "view-"+rand.Text()), bytes: want.bytes, shows: empty()}
	if err := os.Mkdir(v.path, dirMode); err != nil {
		return nil, fmt.Errorf("assemble job view: %w", err)
	}
	dir, err := unix.Open(v.path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil && p.masked {
		err = os.Chmod(v.path, dirMode)
	}
	if err != nil {
		os.Remove(v.path)
		return nil, fmt.Errorf("assemble job view: %w", err)
	}
	v.dir = dir
	p.bytes += want.bytes
	p.evict()
	return v, nil
}

// Return gives a view back that still shows what Take made it show.
func (p *Pool) Return(v *View) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.remove(v)
		return
	}
	p.free = append(p.free, v)
	p.evict()
}

// evict removes the views that were not used for longest, until the bounds hold
// or no free view is left. The caller holds mu.
func (p *Pool) evict() {
	for len(p.free) > p.o.Free || p.bytes > p.o.Bytes && len(p.free) > 0 {
		v := p.free[0]
		p.free = slices.Delete(p.free, 0, 1)
		p.remove(v)
	}
}

// Drop removes a view that the caller took and will not return.
func (v *View) Drop() {
	v.pool.mu.Lock()
	defer v.pool.mu.Unlock()
	v.pool.remove(v)
}

// remove takes a view that is in no list from disk, beside everybody's work. The
// caller holds mu.
func (p *Pool) remove(v *View) {
	p.bytes -= v.bytes
	p.tidy.Go(func() {
		_ = unix.Close(v.dir)
		_ = os.RemoveAll(v.path) // what stays is removed at the next start
	})
}

// Close removes all views. Those that are in use are removed when they are given
// back; who calls it has seen to that.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	for _, v := range p.free {
		p.remove(v)
	}
	p.free = nil
	p.mu.Unlock()
	p.tidy.Wait()
}
