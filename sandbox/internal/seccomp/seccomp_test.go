package seccomp

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// decide runs a filter as the kernel does, on one call.
func decide(t *testing.T, p []unix.SockFilter, data map[uint32]uint32) uint32 {
	t.Helper()
	var a uint32
	for i := 0; i < len(p); i++ {
		f := p[i]
		taken := false
		switch f.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = data[f.K]
			continue
		case unix.BPF_RET | unix.BPF_K:
			return f.K
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JEQ:
			taken = a == f.K
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JGE:
			taken = a >= f.K
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JSET:
			taken = a&f.K != 0
		default:
			t.Fatalf("instruction %d: code %#x", i, f.Code)
		}
		if taken {
			i += int(f.Jt)
		} else {
			i += int(f.Jf)
		}
	}
	t.Fatal("the filter ends without a verdict")
	return 0
}

func TestFilter(t *testing.T) {
	b, err := Filter()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]unix.SockFilter, len(b)/8)
	if _, err := binary.Decode(b, binary.NativeEndian, p); err != nil {
		t.Fatal(err)
	}
	const allowed, eperm = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	for _, tc := range []struct {
		name    string
		nr, arg uint32
		want    uint32
	}{
		{"read", unix.SYS_READ, 0, allowed},
		{"execve", unix.SYS_EXECVE, 0, allowed},
		{"fork", unix.SYS_CLONE, uint32(unix.SIGCHLD), allowed},
		{"thread", unix.SYS_CLONE, unix.CLONE_VM | unix.CLONE_THREAD, allowed},
		{"user namespace", unix.SYS_CLONE, unix.CLONE_NEWUSER | uint32(unix.SIGCHLD), eperm},
		{"network namespace", unix.SYS_CLONE, unix.CLONE_NEWNET, eperm},
		{"clone3", unix.SYS_CLONE3, 0, unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{"unix socket", unix.SYS_SOCKET, unix.AF_UNIX, allowed},
		{"internet socket", unix.SYS_SOCKET, unix.AF_INET, unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)},
		{"mount", unix.SYS_MOUNT, 0, eperm},
		{"message queue", unix.SYS_MQ_OPEN, 0, eperm},
	} {
		arch := load(offArch).K
		native, _ := auditArch(runtime.GOARCH)
		data := map[uint32]uint32{offNr: tc.nr, arch: native, argument(0): tc.arg, argument(cloneFlags()): tc.arg}
		if got := decide(t, p, data); got != tc.want {
			t.Errorf("%s: %#x, want %#x", tc.name, got, tc.want)
		}
		data[arch] ^= 1
		if got := decide(t, p, data); got != unix.SECCOMP_RET_KILL_PROCESS {
			t.Errorf("%s by another architecture's number: %#x", tc.name, got)
		}
	}
}

// TestRefusals: the calls that must never succeed in a job, written down apart from the
// filter's own list.
func TestRefusals(t *testing.T) {
	p, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	native, _ := auditArch(runtime.GOARCH)
	for name, nr := range map[string]uint32{
		"mount": unix.SYS_MOUNT, "umount2": unix.SYS_UMOUNT2, "pivot_root": unix.SYS_PIVOT_ROOT, "chroot": unix.SYS_CHROOT, "move_mount": unix.SYS_MOVE_MOUNT,
		"open_tree": unix.SYS_OPEN_TREE, "fsopen": unix.SYS_FSOPEN, "fsconfig": unix.SYS_FSCONFIG, "fsmount": unix.SYS_FSMOUNT, "mount_setattr": unix.SYS_MOUNT_SETATTR,
		"unshare": unix.SYS_UNSHARE, "setns": unix.SYS_SETNS, "ptrace": unix.SYS_PTRACE, "process_vm_readv": unix.SYS_PROCESS_VM_READV,
		"process_vm_writev": unix.SYS_PROCESS_VM_WRITEV, "pidfd_getfd": unix.SYS_PIDFD_GETFD, "kcmp": unix.SYS_KCMP, "bpf": unix.SYS_BPF,
		"perf_event_open": unix.SYS_PERF_EVENT_OPEN, "userfaultfd": unix.SYS_USERFAULTFD, "io_uring_setup": unix.SYS_IO_URING_SETUP,
		"io_uring_enter": unix.SYS_IO_URING_ENTER, "io_uring_register": unix.SYS_IO_URING_REGISTER, "init_module": unix.SYS_INIT_MODULE,
		"finit_module": unix.SYS_FINIT_MODULE, "delete_module": unix.SYS_DELETE_MODULE, "kexec_load": unix.SYS_KEXEC_LOAD, "add_key": unix.SYS_ADD_KEY,
		"request_key": unix.SYS_REQUEST_KEY, "keyctl": unix.SYS_KEYCTL, "name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT,
		"open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT, "mq_open": unix.SYS_MQ_OPEN, "reboot": unix.SYS_REBOOT, "swapon": unix.SYS_SWAPON,
		"acct": unix.SYS_ACCT, "syslog": unix.SYS_SYSLOG, "settimeofday": unix.SYS_SETTIMEOFDAY, "clock_settime": unix.SYS_CLOCK_SETTIME,
		"sethostname": unix.SYS_SETHOSTNAME,
	} {
		if got := decide(t, p, map[uint32]uint32{offNr: nr, offArch: native}); got != unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM) {
			t.Errorf("%s: %#x", name, got)
		}
	}
	for _, family := range []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_PACKET, unix.AF_VSOCK, unix.AF_ALG, unix.AF_BLUETOOTH} {
		if got := decide(t, p, map[uint32]uint32{offNr: unix.SYS_SOCKET, offArch: native, argument(0): family}); got == unix.SECCOMP_RET_ALLOW {
			t.Errorf("sockets of family %d are allowed", family)
		}
	}
	if runtime.GOARCH == "amd64" {
		if got := decide(t, p, map[uint32]uint32{offNr: unix.SYS_READ | x32Bit, offArch: native}); got != unix.SECCOMP_RET_KILL_PROCESS {
			t.Errorf("a call of x32's: %#x", got)
		}
	}
}

func TestRefusedOnce(t *testing.T) {
	all := slices.Sorted(slices.Values(refused()))
	if once := slices.Compact(slices.Clone(all)); len(once) != len(all) {
		t.Errorf("a call is listed twice")
	}
}
