// Package seccomp writes the system call filter that programs in a sandbox run
// under. Start with [Filter].
package seccomp

import (
	"encoding/binary"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// The filter is a second wall behind the namespaces. It kills a process that
// calls by another architecture's numbers (32-bit and x32 entry points have
// been the soft spot of many filters), and refuses calls that no compiler makes
// and that kernels have had holes behind: new namespaces, mounts, tracing,
// loading programs into the kernel, io_uring. Sockets but AF_UNIX are refused
// because not all families know network namespaces (AF_VSOCK reaches the host
// of a virtual machine).

// auditArch names this machine to the kernel's filter.
func auditArch(goarch string) (uint32, bool) {
	arch, ok := map[string]uint32{
		"386":     unix.AUDIT_ARCH_I386,
		"amd64":   unix.AUDIT_ARCH_X86_64,
		"arm":     unix.AUDIT_ARCH_ARM,
		"arm64":   unix.AUDIT_ARCH_AARCH64,
		"ppc64le": unix.AUDIT_ARCH_PPC64LE,
		"riscv64": unix.AUDIT_ARCH_RISCV64,
		"s390x":   unix.AUDIT_ARCH_S390X,
		"loong64": unix.AUDIT_ARCH_LOONGARCH64,
	}[goarch]
	return arch, ok
}

// refused are the calls that fail with EPERM, each group with its reason.
func refused() []uint32 {
	return []uint32{
		// a new root, new mounts, other namespaces
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT,
		unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
		unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
		// other processes' memory and descriptors
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD,
		unix.SYS_KCMP, unix.SYS_PROCESS_MADVISE,
		// code and objects inside the kernel
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP,
		unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE,
		unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD,
		// keys belong to the user, not to a namespace
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		// files by handle, past every path
		unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT,
		// queues of messages stay when a process ends, and a container of the Docker
		// runner sees the next job; /proc does not list them
		unix.SYS_MQ_OPEN,
		// the machine itself
		unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_SYSLOG, unix.SYS_QUOTACTL,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		unix.SYS_VHANGUP,
	}
}

// Offsets in struct seccomp_data (linux/seccomp.h): nr, arch, instruction
// pointer, six 64-bit arguments.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// namespaceFlags are the bits of clone(2) that make a new namespace.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// x32 calls have x86_64's architecture and this bit in their number.
const x32Bit = 0x40000000

// Filter is the filter for this machine as bubblewrap reads it: struct sock_filter, one
// after another.
func Filter() ([]byte, error) {
	p, err := Program()
	if err != nil {
		return nil, err
	}
	return binary.Append(nil, binary.NativeEndian, p)
}

// Program is the filter as prctl(2) takes it, of a process that puts it on itself.
func Program() ([]unix.SockFilter, error) {
	arch, ok := auditArch(runtime.GOARCH)
	if !ok {
		return nil, fmt.Errorf("no seccomp filter for %s", runtime.GOARCH)
	}
	kill := ret(unix.SECCOMP_RET_KILL_PROCESS)
	p := []unix.SockFilter{load(offArch), jump(unix.BPF_JEQ, arch, 1, 0), kill, load(offNr)}
	if runtime.GOARCH == "amd64" {
		p = append(p, jump(unix.BPF_JGE, x32Bit, 0, 1), kill)
	}
	for _, nr := range refused() {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 1), refuse(unix.EPERM))
	}
	// glibc goes back to clone(2), whose flags a filter can read.
	p = append(p, jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), refuse(unix.ENOSYS))
	p = append(p,
		jump(unix.BPF_JEQ, unix.SYS_CLONE, 0, 4),
		load(argument(cloneFlags())), jump(unix.BPF_JSET, namespaceFlags, 0, 1), refuse(unix.EPERM), allow(),
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 0, 4),
		load(argument(0)), jump(unix.BPF_JEQ, unix.AF_UNIX, 1, 0), refuse(unix.EAFNOSUPPORT), allow(),
		allow())
	return p, nil
}

// cloneFlags is the place of clone's flags among its arguments.
func cloneFlags() uint32 {
	if runtime.GOARCH == "s390x" {
		return 1
	}
	return 0
}

// argument is the offset of the low half of argument i.
func argument(i uint32) uint32 {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 { // big-endian
		return offArgs + 8*i + 4
	}
	return offArgs + 8*i
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | op, Jt: yes, Jf: no, K: k}
}

func ret(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }

func refuse(e unix.Errno) unix.SockFilter { return ret(unix.SECCOMP_RET_ERRNO | uint32(e)) }

func allow() unix.SockFilter { return ret(unix.SECCOMP_RET_ALLOW) }
