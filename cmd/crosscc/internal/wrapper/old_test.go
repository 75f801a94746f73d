package wrapper

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"
)

// oldSystem is the name by which this test binary runs a program where no file
// can be made without a name, as on NFS.
const oldSystem = "oldsystem"

// What package syscall lacks of <linux/seccomp.h> and <linux/prctl.h>.
const (
	prSetNoNewPrivs   = 38
	prSetSeccomp      = 22
	seccompModeFilter = 2
	seccompAllow      = 0x7fff0000
	seccompErrno      = 0x00050000
)

func runOnOldSystem() int {
	runtime.LockOSThread()  // the filter is the thread's
	const nr, flags = 0, 32 // of struct seccomp_data: the number, the low half of the third argument
	filter := []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: nr},
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syscall.SYS_OPENAT, Jf: 3},
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: flags},
		{Code: syscall.BPF_JMP | syscall.BPF_JSET | syscall.BPF_K, K: oTmpfile &^ syscall.O_DIRECTORY, Jf: 1},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: seccompErrno | uint32(syscall.EOPNOTSUPP)},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: seccompAllow},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0); errno != 0 {
		fmt.Fprintln(os.Stderr, "no_new_privs:", errno)
		return 1
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetSeccomp, seccompModeFilter, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		fmt.Fprintln(os.Stderr, "seccomp:", errno)
		return 1
	}
	fmt.Fprintln(os.Stderr, syscall.Exec(os.Args[1], os.Args[1:], os.Environ()))
	return 1
}

// bothSystems runs test where files without a name can be made, and where not.
func bothSystems(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Helper()
	t.Run("new", func(t *testing.T) { test(t, newBed(t)) })
	t.Run("old", func(t *testing.T) {
		b := newBed(t)
		self, err := os.Executable()
		b.must(err)
		b.under = b.path("bin/" + oldSystem)
		link(t, self, b.under)
		test(t, b)
	})
}
