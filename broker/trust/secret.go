package trust

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// This file is how a helper knows one agent from another without asking who it is:
// by a secret that only the agent has. Behind one address there may be many users
// (loopback, ssh -L, NAT), and what belongs to one of them is not the others'.
//
// No helper sees the secret itself, but a word that is made of it for that helper's
// address: what a helper was told is of no use at another. And a helper keeps no
// word, but a name that is made of it: who learns a name, from a log or a directory,
// can't say the word.

const (
	// secretSize is what can't be guessed.
	secretSize = 32
	// secretWait bounds the wait for another agent that makes the secret just now,
	// which takes it some milliseconds.
	secretWait = 5 * time.Second
	// secretBeat is how often that is looked at.
	secretBeat = 5 * time.Millisecond
)

// A Secret is an agent's own. The zero value is none. Printed, in whatever way, it
// shows nothing.
type Secret struct{ bytes [secretSize]byte }

// OpenSecret reads the secret of a state directory, which is made, for its owner
// alone, when it is not there. One that is not there yet is made; so is one that can't
// be right, or that others could have read or written. Of agents that do so at once all
// get the same.
func OpenSecret(ctx context.Context, dir string) (Secret, error) {
	s, err := openSecret(ctx, filepath.Join(dir, "peer-secret"))
	if err != nil {
		return Secret{}, fmt.Errorf("the agent's secret: %w", err)
	}
	return s, nil
}

func openSecret(ctx context.Context, name string) (Secret, error) {
	if s, ok := readSecret(name); ok {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return Secret{}, err
	}
	unlock, err := lockSecret(ctx, name+".lock")
	if err != nil {
		return Secret{}, err
	}
	defer unlock()
	if s, ok := readSecret(name); ok { // another was quicker
		return s, nil
	}
	return makeSecret(name)
}

// readSecret reads a file that only its owner, this user, can have written or read.
func readSecret(name string) (s Secret, ok bool) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return s, false
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || st.Mode != unix.S_IFREG|0o600 || int(st.Uid) != os.Geteuid() || st.Size != secretSize {
		return s, false
	}
	if _, err := io.ReadFull(f, s.bytes[:]); err != nil || s.None() { // all zeros: lost in a crash
		return Secret{}, false
	}
	return s, true
}

// makeSecret puts a new one in the place of what is there. The lock is held.
func makeSecret(name string) (s Secret, err error) {
	_, _ = rand.Read(s.bytes[:]) // which never fails
	f, err := os.CreateTemp(filepath.Dir(name), ".peer-secret-*")
	if err != nil {
		return Secret{}, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(s.bytes[:])
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return Secret{}, err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return Secret{}, err
	}
	return s, nil
}

// lockSecret takes the lock by which agents make one secret, or says that another
// holds it for too long.
func lockSecret(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, secretWait, fmt.Errorf("another process holds %s for more than %s", name, secretWait))
	defer cancel()
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
		}
		select {
		case <-time.After(secretBeat):
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// None reports whether there is no secret.
func (s Secret) None() bool { return s == Secret{} }

// Format prints that there is a secret, and nothing of it.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

// Word is what the agent says to the helper at an address, as the agent knows it:
// 64 hexadecimal digits that nobody else can work out. It is as secret as s.
func (s Secret) Word(address string) string {
	m := hmac.New(sha256.New, s.bytes[:])
	_, _ = io.WriteString(m, "crosscc peer v1\n"+address)
	return hex.EncodeToString(m.Sum(nil))
}

// PeerName is the name that a helper gives to who says a word: no secret, and of no
// use to who would say the word. It is "" for what is no word.
func PeerName(word string) string {
	raw, err := hex.DecodeString(word)
	if err != nil || len(word) != 2*sha256.Size {
		return ""
	}
	sum := sha256.Sum256(append([]byte("crosscc peer name v1\n"), raw...))
	return hex.EncodeToString(sum[:])
}
