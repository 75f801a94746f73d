package process

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// KeepDescriptors keeps what our own parent left open from reaching programs.
// What Go opens is close-on-exec already.
func KeepDescriptors() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("sandbox: keep inherited descriptors from programs (Linux 5.11): %w", err)
	}
	return nil
}

// nobody is the uid and gid that belong to no user.
const nobody = 65534

// Nobody is whom a program runs as when we are root: uid and gid, where 0 means
// nobody (65534). It is nil, to stay who we are, otherwise. A root of a user namespace
// that has not these ids (a container of an ordinary user's) is that user, and stays
// so.
func Nobody(uid, gid int) *syscall.Credential {
	uid, gid = cmp.Or(max(uid, 0), nobody), cmp.Or(max(gid, 0), nobody)
	if os.Geteuid() != 0 || !mapped("/proc/self/uid_map", uid) || !mapped("/proc/self/gid_map", gid) {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// mapped reports whether an id is one in our user namespace: lines FIRST ABOVE
// COUNT (user_namespaces(7)). What can't be read has them all.
func mapped(file string, id int) bool {
	b, err := os.ReadFile(file)
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(b)) {
		var first, above, count int
		if n, _ := fmt.Sscan(line, &first, &above, &count); n == 3 && id >= first && id-first < count {
			return true
		}
	}
	return false
}
