package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// A Digest names content by its SHA-256 and size, as REAPI's Digest does.
type Digest struct {
	Hash string // 64 lower-case hex digits
	Size int64  // bytes
}

// DigestOf is the digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest{Hash: hex.EncodeToString(sum[:]), Size: int64(len(b))}
}

// DigestReader reads r to its end and returns the digest of what it read.
func DigestReader(r io.Reader) (Digest, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return Digest{}, fmt.Errorf("digest: %w", err)
	}
	return Digest{Hash: hex.EncodeToString(h.Sum(nil)), Size: n}, nil
}

// ParseDigest reads the form that String writes.
func ParseDigest(s string) (Digest, error) {
	hash, size, ok := strings.Cut(s, "/")
	n, err := strconv.ParseInt(size, 10, 64)
	d := Digest{Hash: hash, Size: n}
	if !ok || err != nil || !d.Valid() {
		return Digest{}, fmt.Errorf("digest %q is not HASH/SIZE", s)
	}
	return d, nil
}

// String is HASH/SIZE.
func (d Digest) String() string { return d.Hash + "/" + strconv.FormatInt(d.Size, 10) }

// Valid reports whether d can be the digest of anything. A peer's digest is
// valid before it names a file or a size.
func (d Digest) Valid() bool {
	if len(d.Hash) != sha256.Size*2 || d.Size < 0 {
		return false
	}
	for _, c := range []byte(d.Hash) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// A Blob is content with its digest, in memory or in a file that outlives the
// job. The zero Blob is of no content and no digest.
type Blob struct {
	Digest Digest
	data   []byte
	open   func() (io.ReadCloser, error)
}

// BytesBlob is a blob in memory. The caller must not change b after.
func BytesBlob(b []byte) Blob { return Blob{Digest: DigestOf(b), data: b} }

// FileBlob is a blob that open reads each time it is needed; d must be its
// digest, which Bytes verifies.
func FileBlob(d Digest, open func() (io.ReadCloser, error)) Blob {
	return Blob{Digest: d, open: open}
}

// PathBlob is a FileBlob of the file at path.
func PathBlob(d Digest, path string) Blob {
	return FileBlob(d, func() (io.ReadCloser, error) { return os.Open(path) })
}

// Open returns the content from its beginning. The caller closes it.
func (b Blob) Open() (io.ReadCloser, error) {
	if b.open != nil {
		return b.open()
	}
	return io.NopCloser(bytes.NewReader(b.data)), nil
}

// A ChangedError says that a file of the client's is no longer what it was when
// it was looked at, or can't be read any more. It is about the job, not about the
// helper: nothing was done with the file, and the agent looks again.
type ChangedError struct {
	Path   string // in the job's tree; "" where only the digest is known
	Digest Digest // what it was; zero where only the path is known
	Err    error  // what it is now; nil where nobody knows
}

func (e *ChangedError) Error() string {
	name, now := e.Path, ""
	if name == "" {
		name = "file with the digest " + e.Digest.String()
	}
	if e.Err != nil {
		now = ": " + e.Err.Error()
	}
	return name + " changed while the job was on its way" + now
}

func (e *ChangedError) Unwrap() error { return e.Err }

// Bytes returns the whole content, which must not be changed. Content of more
// than limit bytes is an error; content that can't be read, or is not what the
// digest says, is a *ChangedError.
func (b Blob) Bytes(limit int64) ([]byte, error) {
	if b.Digest.Size > limit {
		return nil, fmt.Errorf("blob of %d bytes is over the limit of %d", b.Digest.Size, limit)
	}
	if b.open == nil {
		return b.data, nil
	}
	changed := func(err error) ([]byte, error) { return nil, &ChangedError{Digest: b.Digest, Err: err} }
	r, err := b.open()
	if err != nil {
		return changed(err)
	}
	defer r.Close()
	data := make([]byte, b.Digest.Size)
	n, err := io.ReadFull(r, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("it ends after %d bytes of %d", n, len(data))
	}
	if err != nil {
		return changed(err)
	}
	if got := DigestOf(data); got != b.Digest {
		return changed(fmt.Errorf("its content is %s", got))
	}
	return data, nil
}
