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

func TestRefusedOnce(t *testing.T) {
	all := slices.Sorted(slices.Values(refused()))
	if once := slices.Compact(slices.Clone(all)); len(once) != len(all) {
		t.Errorf("a call is listed twice")
	}
}
