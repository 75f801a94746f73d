package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// useGrain is how much later than the mtime a use must be to be written to disk.
// It orders evictions after a restart only: while the store is open the index
// knows each use. Ten minutes make a build's thousand reads of one header one
// write.
const useGrain = 10 * time.Minute

// Open returns a file with d's content, at its beginning. It stays readable, and
// the same, when the store evicts the blob. The first read since start hashes the
// content through the descriptor that is then handed out; so does a read that
// finds the file's size or mtime changed.
//
// A *Miss says that the content is not here, or was damaged and is not any more.
// Any other error is this machine's trouble (no descriptors, say) and nothing was
// removed.
func (s *Store) Open(d broker.Digest) (*os.File, error) {
	read := func(e entry) (*os.File, error) { return s.openBlob(e, d) }
	f, err := get(s, blob, d, read)
	if _, missed := errors.AsType[*Miss](err); missed && d == broker.DigestOf(nil) {
		// Everybody has the empty blob: REAPI says so.
		if _, err := s.PutBytes(nil); err != nil {
			return nil, err
		}
		return get(s, blob, d, read)
	}
	return f, err
}

// Action returns the value that PutAction kept under key. Its errors are Open's.
func (s *Store) Action(key broker.Digest) ([]byte, error) {
	return get(s, action, key, s.readRecord)
}

// A damage is what is wrong with a file.
type damage struct{ err error }

func (d *damage) Error() string { return d.err.Error() }
func (d *damage) Unwrap() error { return d.err }

// get does what is the same for every read: it finds the entry, has read read it,
// removes what is damaged, and keeps count.
func get[T any](s *Store, k kind, d broker.Digest, read func(entry) (T, error)) (T, error) {
	var none T
	miss := func(reason error, damaged bool) (T, error) {
		s.index.count(false)
		return none, &Miss{What: k.String(), Digest: d, Damaged: damaged, Reason: reason}
	}
	name, ok := keyOf(k, d)
	if !ok {
		return miss(errMalformed, false)
	}
	e, ok := s.index.use(name)
	if !ok {
		return miss(errAbsent, false)
	}
	v, err := read(e)
	if bad, ok := errors.AsType[*damage](err); ok {
		if !s.index.drop(e) { // it was evicted under our hands
			return miss(errAbsent, false)
		}
		s.o.Logf("store: %s %s: %v; it is removed", k, d, bad)
		return miss(bad.err, true)
	}
	if wrong, ok := errors.AsType[*wrongSize](err); ok {
		return miss(wrong, false)
	}
	if err != nil {
		return none, fmt.Errorf("read %s %s: %w", k, d, err)
	}
	s.index.count(true)
	s.touch(e)
	return v, nil
}

// A wrongSize is a digest whose hash is of other content than its size says; the
// content itself is well.
type wrongSize struct{ have, want int64 }

func (w *wrongSize) Error() string {
	return fmt.Sprintf("the content of this hash has %d bytes, not %d", w.have, w.want)
}

func (s *Store) openBlob(e entry, d broker.Digest) (*os.File, error) {
	f, st, err := s.openChecked(e)
	if err != nil {
		return nil, err
	}
	if st.Size() != d.Size {
		f.Close()
		return nil, &wrongSize{have: st.Size(), want: d.Size}
	}
	return f, nil
}

// openChecked opens a blob or claim, and checks it unless that was done.
func (s *Store) openChecked(e entry) (*os.File, os.FileInfo, error) {
	f, st, err := s.openEntry(e)
	if err != nil {
		return nil, nil, err
	}
	if !e.checked || !same(e, st) {
		if err := s.check(e, f); err != nil {
			f.Close()
			return nil, nil, err
		}
	}
	return f, st, nil
}

// openEntry opens a file that must be regular.
func (s *Store) openEntry(e entry) (*os.File, os.FileInfo, error) {
	// A pipe in its place must not hold us.
	f, err := os.OpenFile(s.path(e.key), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		if isDamage(err) {
			err = &damage{err}
		}
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &damage{fmt.Errorf("%s is no regular file", f.Name())}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

// isDamage tells a broken entry from a broken machine, which may be well again soon.
func isDamage(err error) bool {
	for _, e := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO, unix.EIO, unix.EUCLEAN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// same reports whether a file looks as it did when the index last saw it.
func same(e entry, st os.FileInfo) bool {
	return st.Mode().IsRegular() && st.Size() == e.size && st.ModTime().UnixNano() == e.mtime
}

// check hashes f, notes that it is well, and leaves it at its beginning. Others who
// want the same one wait, and need not hash it again.
func (s *Store) check(e entry, f *os.File) error {
	lock := &s.checking[e.sum[0]]
	lock.Lock()
	defer lock.Unlock()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if now, ok := s.index.use(e.key); ok && now.birth == e.birth && now.checked && same(now, st) {
		return nil
	}
	hash := checkBlob
	if e.kind == claim {
		hash = checkClaim
	}
	if err := hash(e.key, f); err != nil {
		if isDamage(err) {
			err = &damage{err}
		}
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.index.update(e, func(e *entry) { e.checked, e.mtime = true, st.ModTime().UnixNano() })
	return nil
}

func checkBlob(k key, f io.Reader) error {
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if sum := [32]byte(h.Sum(nil)); sum != k.sum {
		return &damage{fmt.Errorf("its hash is %x", sum)}
	}
	return nil
}

func (s *Store) readRecord(e entry) ([]byte, error) {
	f, _, err := s.openEntry(e)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const maxHead = 256
	b, err := io.ReadAll(io.LimitReader(f, maxAction+maxHead))
	if err != nil {
		if isDamage(err) {
			err = &damage{err}
		}
		return nil, err
	}
	i := bytes.IndexByte(b, '\n') + 1
	if !bytes.Equal(b[:i], recordHead(e.key, sha256.Sum256(b[i:]))) {
		return nil, &damage{errors.New("its checksum is wrong")}
	}
	return b[i:], nil
}

// Missing returns those of ds whose content is not here, in their order. Those that
// are here count as used. A damaged file that nobody read yet is taken for good:
// its first read will miss.
func (s *Store) Missing(ds []broker.Digest) []broker.Digest {
	var missing []broker.Digest
	empty := broker.DigestOf(nil) // see Open
	for _, d := range ds {
		if d != empty && !s.has(d) {
			missing = append(missing, d)
		}
	}
	return missing
}

func (s *Store) has(d broker.Digest) bool {
	k, ok := keyOf(blob, d)
	if !ok {
		return false
	}
	e, ok := s.index.use(k)
	return ok && e.size == d.Size && s.touch(e)
}

// touch writes the use of e to disk when the last one there is old, and reports
// whether the file is still there.
func (s *Store) touch(e entry) bool {
	now := s.now()
	recent := func(e entry) bool { return now.Sub(time.Unix(0, e.mtime)).Abs() < useGrain }
	if recent(e) {
		return true
	}
	lock := &s.checking[e.sum[0]] // mtimes change under it alone
	lock.Lock()
	defer lock.Unlock()
	e, ok := s.index.use(e.key)
	if !ok || recent(e) {
		return ok
	}
	st, err := os.Lstat(s.path(e.key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.index.drop(e)
		return false
	case err != nil || e.checked && !same(e, st):
		// Our mtime must not cover up that somebody wrote to it.
		s.index.update(e, func(e *entry) { e.checked = false })
	case setUsed(s.path(e.key), now) == nil:
		s.index.update(e, func(e *entry) { e.mtime = usedAt(now) })
	}
	return true
}
