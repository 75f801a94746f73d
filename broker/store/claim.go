package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/crosscc/crosscc/broker"
)

// A claim is a value that a client keeps here under a name of its choice: what
// ccache says that a compile gave. Nothing proves it, so claims are a name space of
// their own, which no compile reads from; they share the bound and the order of
// last use with all others, and are verified as blobs are.

// claimHead is how long the first line of a claim's file is, before the value: see
// recordHead.
const claimHead = int64(len("crosscc claim 1 ") + 64 + len(" ") + 64 + len("\n"))

// PutClaim keeps the content of r, which must have size bytes, under name, in the
// place of an earlier value. Room is reserved and errors are as for PutFrom, and
// ErrMismatch is content of another size. A value that is being read stays the same
// for who reads it.
func (s *Store) PutClaim(client, name string, size int64, r io.Reader) error {
	if err := s.putClaim(client, name, size, r); err != nil {
		return fmt.Errorf("store claim %s: %w", name, err)
	}
	return nil
}

func (s *Store) putClaim(client, name string, size int64, r io.Reader) error {
	if size < 0 || size > s.o.MaxBytes { // before it is added to
		return fmt.Errorf("%d bytes: %w", size, ErrTooLarge)
	}
	k := claimKey(name)
	room, err := s.index.reserve(claimHead+size, true, client)
	if err != nil {
		return err
	}
	return s.write(room, &entry{key: k, size: claimHead + size, checked: true}, func(f *os.File) error {
		// The sum is known after the value, and its place is before it.
		if _, err := f.Seek(claimHead, io.SeekStart); err != nil {
			return err
		}
		sum, err := copyAll(f, r, size)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(recordHead(k, sum), 0)
		return err
	})
}

// A Claim is a value, open at its beginning. It stays readable, and the same, when
// the store evicts or replaces it. Whoever has it closes it.
type Claim struct {
	*io.SectionReader
	file *os.File
}

// Close ends it.
func (c *Claim) Close() error { return c.file.Close() }

// Claim returns the value under name. Its errors are Open's, and so is what is done
// to verify it: the value, and that it was put under this name.
func (s *Store) Claim(name string) (*Claim, error) {
	return get(s, claim, digestOfName(name), func(e entry) (*Claim, error) {
		f, st, err := s.openChecked(e)
		if err != nil {
			return nil, err
		}
		return &Claim{io.NewSectionReader(f, claimHead, st.Size()-claimHead), f}, nil
	})
}

// RemoveClaim takes the value under name away. What is not there is removed.
func (s *Store) RemoveClaim(name string) error {
	if err := s.index.discard(claimKey(name)); err != nil {
		return fmt.Errorf("remove claim %s: %w", name, err)
	}
	return nil
}

// digestOfName is what a claim is looked up by.
func digestOfName(name string) broker.Digest { return broker.DigestOf([]byte(name)) }

func claimKey(name string) key {
	return key{kind: claim, sum: sha256.Sum256([]byte(name))}
}

// checkClaim reads f, a claim's file at its beginning, and compares its first line
// with what it says of the rest.
func checkClaim(k key, f io.Reader) error {
	head := make([]byte, claimHead)
	if _, err := io.ReadFull(f, head); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &damage{errors.New("its first line is cut off")}
	} else if err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if sum := [32]byte(h.Sum(nil)); string(head) != string(recordHead(k, sum)) {
		return &damage{fmt.Errorf("its value has hash %x and its first line says otherwise", sum)}
	}
	return nil
}
