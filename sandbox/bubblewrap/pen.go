package bubblewrap

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// A pen is the process id namespace that bubblewrap itself is started in, apart
// from the one that it makes for the program. bubblewrap is the pen's process 1,
// and the kernel ends with it all that it has started, at whatever moment.
//
// Without a pen one moment is open: between its clone and its word to the
// child, bubblewrap may die with us (parent-death signal), and the child then
// waits for that word for ever. Its own parent-death signal comes only later.
// Before bubblewrap has a parent-death signal at all, our end is the end of the
// gate: the child gets no filter, and so does not become the program.
type pen string

const (
	penOfRoot pen = "pid namespace"          // wants CAP_SYS_ADMIN
	penOfUser pen = "user and pid namespace" // the fork copies this process's page tables
	noPen     pen = "none"
)

// pens are those worth trying, the best first.
func pens() []pen {
	if os.Geteuid() == 0 {
		return []pen{penOfRoot, penOfUser, noPen}
	}
	return []pen{penOfUser, noPen}
}

// attributes are those of bubblewrap's process; who is nil to stay who we are.
func (p pen) attributes(who *syscall.Credential) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: who}
	switch p {
	case penOfRoot:
		a.Cloneflags = syscall.CLONE_NEWPID
	case penOfUser:
		uid, gid := os.Geteuid(), os.Getegid()
		if who != nil {
			uid, gid = int(who.Uid), int(who.Gid)
			a.GidMappingsEnableSetgroups = true // it gives up our groups
		}
		a.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	case noPen:
	}
	return a
}

// handler is whom to be to set limits on what is inside and to look into it: the
// owner of the outermost user namespace.
func (p pen) handler(who *syscall.Credential) *syscall.Credential {
	if p == penOfUser {
		return nil // it was made by us
	}
	return who
}

// child is the number that the only child of bubblewrap has among our
// processes; reported is the one it has in the pen.
func (p pen) child(bubblewrap, reported int) (int, error) {
	if p == noPen {
		return reported, nil
	}
	name := fmt.Sprintf("/proc/%d/task/%d/children", bubblewrap, bubblewrap)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return 0, fmt.Errorf("%s is %q: %w", name, b, err)
	}
	return n, nil
}
