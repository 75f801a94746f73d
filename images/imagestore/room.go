package imagestore

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// roomBeat is how often somebody who waits for room looks again.
const roomBeat = 200 * time.Millisecond

// makeRoom has the store have room for need more bytes, and waits for what is used as
// long as the options say. Without success it is ErrFull.
//
// With keep, need is all that this image takes while it is unpacked.
func (s *Store) makeRoom(ctx context.Context, need int64, keep digest.Digest) error {
	end := time.Now().Add(s.o.Wait)
	for told := false; ; told = true {
		worth, err := s.tryRoom(ctx, need, keep)
		if !worth || !time.Now().Before(end) {
			return err
		}
		if !told {
			s.o.Logf("images: %d bytes wait at most %v for those that are used to make room", need, s.o.Wait)
		}
		select {
		case <-time.After(roomBeat):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tryRoom removes unpacked images, those that were not used for the longest time
// first, until there is room. One that is used stays, and so does keep. Without success
// it is ErrFull; worth says that there will be room when what is used is released.
//
// An image that has nothing on the disk yet may wait for those that are unpacked now, too:
// they will be used and released. One that has waits for none, or two would wait for each
// other.
func (s *Store) tryRoom(ctx context.Context, need int64, keep digest.Digest) (worth bool, err error) {
	l, err := s.await(ctx, roomLock, exclusive, nil)
	if err != nil {
		return false, err
	}
	defer l.release()
	used, err := s.blobBytes()
	if err != nil {
		return false, err
	}
	var inUse int64
	making, begun := s.makingBesides(keep)
	for _, bytes := range making {
		used += bytes
		if !begun {
			inUse += bytes
		}
	}
	entries, err := s.List()
	if err != nil {
		return false, err
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool {
		_, counted := making[e.ID] // it may have come to its place just now
		return !e.Unpacked || counted
	})
	for _, e := range entries {
		used += e.Size
	}
	slices.SortFunc(entries, func(a, b Entry) int { return a.Used.Compare(b.Used) })
	for _, e := range entries {
		if used+need <= s.o.MaxBytes {
			break
		}
		if e.ID == keep {
			continue
		}
		gone, err := s.evict(e.ID)
		if err != nil {
			return false, err
		}
		if gone {
			s.o.Logf("images: the directory of %s, %d bytes, makes room; it was used last at %v", e.Pin(), e.Size, e.Used)
			used -= e.Size
		} else {
			inUse += e.Size
		}
	}
	if used+need > s.o.MaxBytes {
		return used+need-inUse <= s.o.MaxBytes, fmt.Errorf("%w: %d bytes are used, %d more are needed, and %d are the bound (images_size in crossccd.toml); crossctl image ls shows what can be removed",
			ErrFull, used, need, s.o.MaxBytes)
	}
	if keep != "" {
		s.grows(keep, need)
	}
	return false, nil
}

// grows says what an image takes that is unpacked now. It is no room for others, until
// made.
func (s *Store) grows(id digest.Digest, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.making[id] = bytes
}

// made says that an image is not unpacked any more: it stands in its place, or is gone.
func (s *Store) made(id digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.making, id)
}

// makingBesides is what each image takes that is unpacked now, but for one; begun says
// that this one is unpacked too.
func (s *Store) makingBesides(id digest.Digest) (others map[digest.Digest]int64, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, begun = s.making[id]
	others = maps.Clone(s.making)
	delete(others, id)
	return others, begun
}

// evict removes an image's directory, unless somebody uses it.
func (s *Store) evict(id digest.Digest) (gone bool, err error) {
	l, err := s.tryLock(imageLock(id), exclusive)
	if l == nil || err != nil {
		return false, err
	}
	defer l.release()
	return true, s.discard(s.rootDir(id))
}

// blobBytes is what all blobs take.
func (s *Store) blobBytes() (int64, error) {
	files, err := os.ReadDir(s.in("blobs", ""))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, f := range files {
		if info, err := f.Info(); err == nil { // else it went meanwhile
			sum += info.Size()
		}
	}
	return sum, nil
}

// touchPause is how exactly the last use of an image is known.
const touchPause = time.Minute

// touch notes that an image is used now; its lock's time says so. That it cannot be
// noted is no reason not to use it.
func (s *Store) touch(id digest.Digest) {
	now := s.o.Now()
	s.mu.Lock()
	last := s.touched[id]
	s.touched[id] = now
	s.mu.Unlock()
	if now.Sub(last).Abs() < touchPause {
		return
	}
	if err := os.Chtimes(s.in("locks", imageLock(id)), now, now); err != nil {
		s.o.Logf("images: %v", err)
	}
}
