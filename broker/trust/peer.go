package trust

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// PeerUID returns the uid and pid of the process at the other end of c, as they
// were when it connected (SO_PEERCRED) and as this process's user and pid
// namespaces show them: a uid without a mapping here is the overflow uid 65534, a
// pid that cannot be seen from here is 0.
func PeerUID(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, 0, fmt.Errorf("peer of unix socket: %w", err)
	}
	var cred *unix.Ucred
	var optErr error
	err = raw.Control(func(fd uintptr) {
		cred, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = optErr
	}
	if err != nil {
		return -1, 0, fmt.Errorf("peer of unix socket: %w", err)
	}
	return int(cred.Uid), int(cred.Pid), nil
}
