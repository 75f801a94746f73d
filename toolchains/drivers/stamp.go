package drivers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// maxProgram bounds a file that is digested. A clang linked statically with
// debug information has 4 GiB; digesting it takes seconds.
const maxProgram = 8 << 30

// A stamp is how a file stands, as far as stat tells. All zero: there is none.
// Two equal stamps are the same contents, unless the file is younger than the
// clock's grain.
type stamp struct {
	Dev, Ino     uint64
	Size         int64
	Mode         uint32
	Mtime, Ctime int64 // ns since 1970
}

// stampOf looks at the file that name leads to. What can't be looked at counts
// as absent: it can't be read or run either.
func stampOf(r *rootfs.Root, name string) stamp {
	st, err := r.Stat(name)
	if err != nil {
		return stamp{}
	}
	return stampOfStat(&st)
}

func stampOfStat(st *unix.Stat_t) stamp {
	return stamp{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, Mode: st.Mode, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano()}
}

// digests remembers the digests of files by their stamps: one clang is probed
// for many targets, and its libraries have 160 MB. The zero value is empty.
type digests struct {
	mu   sync.Mutex
	byID map[stamp]string
}

// maxDigests is when the memory starts anew; a machine has some dozens.
const maxDigests = 4096

// file gives the hex SHA-256 of a regular file.
func (d *digests) file(ctx context.Context, r *rootfs.Root, name string) (string, error) {
	f, err := r.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	s := stampOfStat(&st)
	d.mu.Lock()
	sum := d.byID[s]
	d.mu.Unlock()
	if sum != "" {
		return sum, nil
	}
	if sum, err = digest(ctx, f, s.Size); err != nil {
		return "", fmt.Errorf("digest %s: %w", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID == nil || len(d.byID) >= maxDigests {
		d.byID = map[stamp]string{}
	}
	d.byID[s] = sum
	return sum, nil
}

// digest reads size bytes, and an error when there are more or fewer.
func digest(ctx context.Context, r io.Reader, size int64) (string, error) {
	if size > maxProgram {
		return "", fmt.Errorf("%d bytes are more than %d", size, int64(maxProgram))
	}
	h := sha256.New()
	for left := size; left > 0; {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		n, err := io.CopyN(h, r, min(left, 16<<20))
		if left -= n; err != nil {
			return "", err
		}
	}
	if n, _ := io.CopyN(io.Discard, r, 1); n > 0 {
		return "", errors.New("grew while it was read")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
