package docker

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A container that waits for jobs holds the files that it shows, and their disk: of a
// toolchain that was removed or replaced, whose jobs nobody sends any more, it would do so
// until it is pushed out by others.

// staleRound is how often the containers that wait for jobs are looked at, while there
// are some.
const staleRound = 30 * time.Second

// stamped is a file of the host as it was shown.
type stamped struct{ name, stamp string }

// stampOf is what a file is, for the key of a container: one that was replaced is
// still the old one where it is mounted.
func stampOf(name string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return "", &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	return strconv.FormatUint(uint64(st.Dev), 10) + " " + strconv.FormatUint(st.Ino, 10) + " " + strconv.FormatInt(st.Size, 10) + " " +
		strconv.FormatInt(st.Mtim.Nano(), 10) + " " + strconv.FormatInt(st.Ctim.Nano(), 10), nil
}

// stale reports whether a file that the container shows is gone or another.
func (w *warm) stale() bool {
	for _, f := range w.shows {
		if now, err := stampOf(f.name); err != nil || now != f.stamp {
			return true
		}
	}
	return false
}

// stale takes the stale containers out of those that wait for jobs; left says that
// others wait.
func (p *pool) stale() (gone []*warm, left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var fresh []*warm
	for _, w := range p.idle {
		if w.stale() {
			gone = append(gone, w)
		} else {
			fresh = append(fresh, w)
		}
	}
	p.idle = fresh
	return gone, len(fresh) > 0
}

// lookLater has endStale called, unless it will be.
func (d *runner) lookLater() {
	if d.looks.CompareAndSwap(false, true) {
		time.AfterFunc(staleRound, d.endStale)
	}
}

// endStale ends the containers that wait for jobs of toolchains which are gone.
func (d *runner) endStale() {
	d.looks.Store(false)
	if d.pool.enter() != nil { // it is closed
		return
	}
	defer d.pool.busy.Done()
	gone, left := d.pool.stale()
	if left {
		d.lookLater()
	}
	for _, w := range gone {
		d.logf("sandbox: a container ends, whose toolchain is gone")
		if err := d.end(w); err != nil {
			d.logf("%v", err)
		}
	}
}
