package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
)

// Put stores the content of r, which must be d's and end where d says: it is a
// client's upload that no client is known of (see PutFrom).
func (s *Store) Put(d broker.Digest, r io.Reader) error { return s.PutFrom("", d, r) }

// PutFrom stores the content of r, which must be d's and end where d says, else
// the error is ErrMismatch. Room for all of it is reserved before the first read:
// one client's unfinished uploads hold at most a quarter of the store, more is
// ErrBusy at once, and a blob that could never fit is ErrTooLarge. The caller
// bounds how long r may take. A blob that is there already is a success without a
// read.
func (s *Store) PutFrom(client string, d broker.Digest, r io.Reader) error {
	err := s.put(d, r, true, client)
	if err != nil {
		return fmt.Errorf("store blob %s: %w", d, err)
	}
	return nil
}

// PutFile copies f, from its beginning, whatever its offset is. f must not grow or
// shrink meanwhile. It is a copy and never a link, since others may still write
// to f.
func (s *Store) PutFile(f *os.File) (broker.Digest, error) {
	d, err := s.putFile(f)
	if err != nil {
		return broker.Digest{}, fmt.Errorf("store %s: %w", f.Name(), err)
	}
	return d, nil
}

func (s *Store) putFile(f *os.File) (broker.Digest, error) {
	st, err := f.Stat()
	if err != nil {
		return broker.Digest{}, err
	}
	if !st.Mode().IsRegular() {
		return broker.Digest{}, errors.New("it is no regular file")
	}
	room, err := s.index.reserve(st.Size(), false, "")
	if err != nil {
		return broker.Digest{}, err
	}
	e := entry{key: key{kind: blob}, size: st.Size(), checked: true}
	whole := io.NewSectionReader(f, 0, st.Size()+1) // one more, to see it grow
	err = s.write(room, &e, func(f *os.File) (err error) {
		e.sum, err = copyAll(f, whole, st.Size())
		return err
	})
	return broker.Digest{Hash: e.name(), Size: e.size}, err
}

// PutBytes stores b, which this machine made itself.
func (s *Store) PutBytes(b []byte) (broker.Digest, error) {
	d := broker.DigestOf(b)
	if err := s.put(d, bytes.NewReader(b), false, ""); err != nil {
		return broker.Digest{}, fmt.Errorf("store blob %s: %w", d, err)
	}
	return d, nil
}

func (s *Store) put(d broker.Digest, r io.Reader, upload bool, client string) error {
	k, ok := keyOf(blob, d)
	if !ok {
		return errMalformed
	}
	e := entry{key: k, size: d.Size, checked: true}
	if there, ok := s.index.use(e.key); ok && there.checked && there.size == d.Size {
		return nil
	}
	room, err := s.index.reserve(d.Size, upload, client)
	if err != nil {
		return err
	}
	return s.write(room, &e, func(f *os.File) error {
		sum, err := copyAll(f, r, d.Size)
		if err == nil && sum != e.sum {
			err = fmt.Errorf("%w: its hash is %x", ErrMismatch, sum)
		}
		return err
	})
}

// copyAll copies r, which must be of size bytes, and returns its sum. Not one byte
// over size is written: no more room was reserved.
func copyAll(w io.Writer, r io.Reader, size int64) (sum [32]byte, err error) {
	h := sha256.New()
	n, err := io.CopyN(io.MultiWriter(w, h), r, size)
	if errors.Is(err, io.EOF) {
		return sum, fmt.Errorf("%w: it ends after %d bytes of %d", ErrMismatch, n, size)
	}
	if err != nil {
		return sum, err
	}
	var over [1]byte
	switch n, err := io.ReadFull(r, over[:]); {
	case n > 0:
		return sum, fmt.Errorf("%w: it goes on after %d bytes", ErrMismatch, size)
	case !errors.Is(err, io.EOF):
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// maxAction bounds an action record, in bytes: they are small, and read whole.
const maxAction = 4 << 20

// PutAction keeps value under key, in the place of an earlier one. Values are of at
// most 4 MiB. The store believes its caller: only results that this machine made
// itself may come here. What a client says is a claim.
func (s *Store) PutAction(key broker.Digest, value []byte) error {
	if err := s.putAction(key, value); err != nil {
		return fmt.Errorf("store action %s: %w", key, err)
	}
	return nil
}

func (s *Store) putAction(key broker.Digest, value []byte) error {
	k, ok := keyOf(action, key)
	if !ok {
		return errMalformed
	}
	if len(value) > maxAction {
		return fmt.Errorf("%d bytes of at most %d: %w", len(value), maxAction, ErrTooLarge)
	}
	record := append(recordHead(k, sha256.Sum256(value)), value...)
	room, err := s.index.reserve(int64(len(record)), false, "")
	if err != nil {
		return err
	}
	return s.write(room, &entry{key: k, size: int64(len(record))}, func(f *os.File) error {
		_, err := f.Write(record)
		return err
	})
}

// recordHead is the first line of a record or claim whose value has this sum. The
// key is in it, so that a file under another's name is damage too.
func recordHead(k key, sum [32]byte) []byte {
	return fmt.Appendf(nil, "crosscc %s 1 %s %x\n", k.kind, k.name(), sum)
}

// write has fill write a new file and makes it the entry e, whose sum fill may
// still set. It ends the reservation.
func (s *Store) write(room *reservation, e *entry, fill func(*os.File) error) error {
	defer room.release()
	name := filepath.Join(s.dir, incoming, strconv.FormatUint(s.temps.Add(1), 10))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	// Runs before release: the room is free when the file is gone. After a
	// rename there is nothing left under this name.
	defer os.Remove(name)
	err = fill(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	now := s.now()
	if err := setUsed(name, now); err != nil {
		return err
	}
	e.mtime = usedAt(now)
	// A blob that was hashed is as good as ours; any other is mended by ours, and
	// the value of a key is what was put last.
	keep := func(there entry) bool { return e.kind == blob && there.checked && there.size == e.size }
	return room.commit(*e, keep, func() error { return s.place(name, e.key) })
}

// place renames a written file to its entry's name. The index is locked.
func (s *Store) place(name string, k key) error {
	err := os.Rename(name, s.path(k))
	switch {
	case errors.Is(err, fs.ErrNotExist): // the first of its shard
		err = os.MkdirAll(s.shard(k), 0o700)
	case errors.Is(err, unix.EISDIR), errors.Is(err, fs.ErrExist): // a directory of somebody's
		err = os.RemoveAll(s.path(k))
	case errors.Is(err, unix.ENOTDIR): // a file of somebody's
		if err = os.Remove(s.shard(k)); err == nil {
			err = os.Mkdir(s.shard(k), 0o700)
		}
	default: // also what is hopeless: no reason to lose what is there
		return err
	}
	if err != nil {
		return err
	}
	return os.Rename(name, s.path(k))
}

// usedAt is t as setUsed writes it: whole seconds, which every file system keeps.
func usedAt(t time.Time) int64 { return t.Unix() * int64(time.Second) }

// setUsed makes t the last use of a file.
func setUsed(name string, t time.Time) error {
	return os.Chtimes(name, time.Time{}, time.Unix(0, usedAt(t)))
}
