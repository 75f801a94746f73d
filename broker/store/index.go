package store

import (
	"fmt"
	"sync"
)

// An index knows each entry's size and last use, and keeps the bound:
// used + reserved <= max, at every moment, and no file is on disk that is in
// neither. So room is reserved before a byte is written, and entries leave the
// disk before their room is given away.
//
// Entries lie in one slice and point to each other by number: a hundred thousand
// of them take 13 MB, and the garbage collector has nothing to follow.
type index struct {
	max    int64
	remove func(key) error // takes the file of an entry away

	mu       sync.Mutex // guards the fields below, and every rename and unlink of an entry's file
	slots    []entry    // slots[0] is the head of the ring of last use: its next is the newest, its prev the oldest
	free     []int32    // slots without an entry
	at       map[key]int32
	births   uint32
	used     int64
	reserved int64
	uploads  map[string]int64 // the part of reserved that clients' uploads hold; no entry is 0
	kept     [kinds]int       // entries of each kind
	counts   Stats            // the counts since Open alone
	closed   bool
}

// An entry is one file.
type entry struct {
	key
	checked    bool   // hashed since start, when the file had this size and mtime
	birth      uint32 // tells it from a later entry of the same key
	prev, next int32
	size       int64
	mtime      int64 // ns, as on disk
}

// block is what the space of files is counted in: what file systems give out.
const block = 4096

// charge is the disk space that a file of size bytes takes.
func charge(size int64) int64 { return max(block, (size+block-1)/block*block) }

// newIndex makes an index of found, which is in order of last use, oldest first.
func newIndex(limit int64, found []entry, remove func(key) error) *index {
	ix := &index{
		max:     limit,
		remove:  remove,
		slots:   make([]entry, 1, len(found)+1),
		at:      make(map[key]int32, len(found)),
		uploads: make(map[string]int64),
	}
	for _, e := range found {
		ix.insert(e)
	}
	_ = ix.makeRoom(0) // what cannot be removed now is tried again with the next write
	return ix
}

// insert adds e as the newest. ix.mu is held, and e.key is not there.
func (ix *index) insert(e entry) {
	i := int32(len(ix.slots))
	if n := len(ix.free); n > 0 {
		i, ix.free = ix.free[n-1], ix.free[:n-1]
	} else {
		ix.slots = append(ix.slots, entry{})
	}
	ix.births++
	e.birth = ix.births
	ix.slots[i] = e
	ix.at[e.key] = i
	ix.link(i)
	ix.used += charge(e.size)
	ix.kept[e.kind]++
}

// link makes slot i the newest. ix.mu is held.
func (ix *index) link(i int32) {
	e, head := &ix.slots[i], &ix.slots[0]
	e.prev, e.next = 0, head.next
	ix.slots[head.next].prev = i
	head.next = i
}

// unlink takes slot i out of the ring. ix.mu is held.
func (ix *index) unlink(i int32) {
	e := &ix.slots[i]
	ix.slots[e.prev].next = e.next
	ix.slots[e.next].prev = e.prev
}

// forget takes an entry out, and leaves its file. ix.mu is held.
func (ix *index) forget(i int32) {
	ix.unlink(i)
	ix.used -= charge(ix.slots[i].size)
	ix.kept[ix.slots[i].kind]--
	delete(ix.at, ix.slots[i].key)
	ix.slots[i] = entry{}
	ix.free = append(ix.free, i)
}

// maxStuck is how many entries are passed over in the search for room: a file that
// cannot be removed stays an entry, since it takes its room on disk and can be read.
const maxStuck = 8

// makeRoom evicts the oldest until n more bytes fit. ix.mu is held, and n fits
// into what is not reserved.
func (ix *index) makeRoom(n int64) error {
	for stuck := 0; ix.used+ix.reserved+n > ix.max && ix.used > 0; {
		i := ix.slots[0].prev
		if err := ix.remove(ix.slots[i].key); err != nil {
			if stuck++; stuck == maxStuck {
				return fmt.Errorf("make room: %w", err)
			}
			ix.unlink(i)
			ix.link(i)
			continue
		}
		ix.forget(i)
		ix.counts.Evicted++
	}
	return nil
}

// use finds an entry and makes it the newest.
func (ix *index) use(k key) (entry, bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	i, ok := ix.at[k]
	if !ok || ix.closed {
		return entry{}, false
	}
	ix.unlink(i)
	ix.link(i)
	return ix.slots[i], true
}

// update changes the entry that was e when its caller looked, if it is still there.
func (ix *index) update(e entry, change func(*entry)) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if i, ok := ix.at[e.key]; ok && ix.slots[i].birth == e.birth {
		change(&ix.slots[i])
	}
}

// drop removes the entry that was e, with its file, and reports whether it was
// still there. When the file cannot be removed the entry stays, to be looked at
// again by who reads it.
func (ix *index) drop(e entry) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	i, ok := ix.at[e.key]
	if !ok || ix.slots[i].birth != e.birth || ix.closed {
		return false
	}
	ix.counts.Damaged++
	if err := ix.remove(e.key); err != nil {
		ix.slots[i].checked = false
		return true
	}
	ix.forget(i)
	return true
}

// discard removes the entry of k, if there is one, with its file.
func (ix *index) discard(k key) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.closed {
		return ErrClosed
	}
	i, ok := ix.at[k]
	if !ok {
		return nil
	}
	if err := ix.remove(k); err != nil {
		return err
	}
	ix.forget(i)
	return nil
}

// A reservation is room for one file that is being written.
type reservation struct {
	ix     *index
	bytes  int64
	upload bool
	client string
}

// reserve finds room for a file of size bytes. An upload takes it from the quarter
// that its client may hold; what this machine made itself may take all.
func (ix *index) reserve(size int64, upload bool, client string) (*reservation, error) {
	r := &reservation{ix: ix, bytes: charge(size), upload: upload, client: client}
	limit := ix.max
	if upload {
		limit = ix.max / 4
	}
	if size > limit || r.bytes > limit {
		return nil, fmt.Errorf("%d bytes of at most %d: %w", size, limit, ErrTooLarge)
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	switch {
	case ix.closed:
		return nil, ErrClosed
	case upload && ix.uploads[client]+r.bytes > limit, ix.reserved+r.bytes > ix.max:
		return nil, fmt.Errorf("%d bytes: %w", size, ErrBusy)
	}
	if err := ix.makeRoom(r.bytes); err != nil {
		return nil, err
	}
	r.hold(+1)
	return r, nil
}

// hold takes (+1) or gives back (-1) the room. ix.mu is held.
func (r *reservation) hold(sign int64) {
	r.ix.reserved += sign * r.bytes
	if !r.upload {
		return
	}
	if r.ix.uploads[r.client] += sign * r.bytes; r.ix.uploads[r.client] == 0 {
		delete(r.ix.uploads, r.client)
	}
}

// release gives back what commit did not use. The file must be gone from disk.
func (r *reservation) release() {
	r.ix.mu.Lock()
	defer r.ix.mu.Unlock()
	r.hold(-1)
	r.bytes = 0
}

// commit turns the room into an entry, whose file rename puts in its place. What
// is there already stays when keep says so; then rename is not called, and the
// caller's file is of no use.
func (r *reservation) commit(e entry, keep func(there entry) bool, rename func() error) error {
	ix := r.ix
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.closed {
		return ErrClosed
	}
	i, there := ix.at[e.key]
	if there && keep(ix.slots[i]) {
		ix.unlink(i)
		ix.link(i)
		return nil
	}
	if err := rename(); err != nil {
		return err
	}
	if there {
		ix.forget(i)
	}
	r.hold(-1)
	r.bytes = 0
	ix.insert(e)
	return nil
}

// count notes a read.
func (ix *index) count(hit bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if hit {
		ix.counts.Hits++
	} else {
		ix.counts.Misses++
	}
}

// close reports whether it was open. After it no file of an entry is touched.
func (ix *index) close() bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	was := !ix.closed
	ix.closed = true
	return was
}

func (ix *index) figures() Stats {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	s := ix.counts
	s.Max, s.Used, s.Reserved = ix.max, ix.used, ix.reserved
	s.Blobs, s.Actions, s.Claims = ix.kept[blob], ix.kept[action], ix.kept[claim]
	return s
}
