package prove

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/inner"
	"github.com/crosscc/crosscc/sandbox/internal/process"
)

const (
	// probeWord as the first argument makes a program the probe. It opens nothing
	// to anybody: the probe only says what its caller could do as well.
	probeWord = "sandbox-probe"
	// probeExit shows that the exit code comes through.
	probeExit = 7
)

// Main is the other end of [Closed], and of the Docker runner inside its
// containers: main calls it first, with os.Args[1:], and exits with exit when
// handled is true.
func Main(args []string) (handled bool, exit int) {
	if handled, exit := inner.Main(args); handled {
		return true, exit
	}
	if len(args) == 0 || args[0] != probeWord {
		return false, 0
	}
	switch {
	case len(args) == 2 && args[1] == "sleep":
		time.Sleep(time.Hour)
	case len(args) == 6:
		t := target{args[1], args[2], args[3], args[4], args[5]}
		for _, a := range attempts() {
			if a.possible(t) {
				fmt.Fprintln(os.Stdout, a.what)
			}
		}
		fmt.Fprintf(os.Stdout, "tried %d\n", len(attempts()))
		return true, probeExit
	}
	return true, 2
}

// A target is what the probe is told about the host.
type target struct{ program, dir, tcp, hostname, pid string }

// An attempt is something that must not work inside.
type attempt struct {
	what     string // completes "the probe could …"
	possible func(target) bool
}

func attempts() []attempt {
	return slices.Concat(fileAttempts(), reachAttempts(), rightAttempts())
}

func fileAttempts() []attempt {
	return []attempt{
		{"read /etc/passwd", func(target) bool { return reads("/etc/passwd") }},
		{"read a file of the host's", func(t target) bool { return reads(filepath.Join(t.dir, "secret")) }},
		{"see /proc", func(target) bool { return exists("/proc/self/stat") || exists("/proc/version") }},
		{"see /home, /root, /run, /var, /sys or /etc", func(target) bool {
			return slices.ContainsFunc([]string{"/home", "/root", "/run", "/var", "/sys", "/etc"}, exists)
		}},
		{"see devices", func(target) bool {
			return slices.ContainsFunc([]string{"/dev/tty", "/dev/shm", "/dev/pts", "/dev/mem"}, exists)
		}},
		{"write to a directory of the host's", func(t target) bool { return writes(filepath.Join(t.dir, "written")) }},
		{"write to /", func(target) bool { return writes("/written") }},
		{"write to /dev", func(target) bool { return writes("/dev/written") }},
		{"write beside the program", func(t target) bool {
			// Below /tmp that is the sandbox's own scratch, gone with it.
			return !strings.HasPrefix(t.program, "/tmp/") && writes(t.program+".written")
		}},
		{"change the program", func(t target) bool {
			f, err := os.OpenFile(t.program, os.O_WRONLY, 0)
			_ = f.Close() // nil is fine
			return err == nil || os.Chmod(t.program, 0o777) == nil
		}},
		{"write more to /tmp than allowed", func(target) bool { return fills("/tmp/fill") }},
	}
}

func reachAttempts() []attempt {
	return []attempt{
		{"connect over TCP", func(t target) bool { return dials("tcp", t.tcp) }},
		{"connect to a unix socket", func(t target) bool { return dials("unix", filepath.Join(t.dir, "socket")) }},
		{"connect to an abstract unix socket", func(t target) bool { return dials("unix", "@"+t.dir) }},
		{"make a network socket", func(target) bool {
			return sockets(unix.AF_INET) || sockets(unix.AF_INET6) || sockets(unix.AF_NETLINK) || sockets(unix.AF_VSOCK) || sockets(unix.AF_PACKET)
		}},
		{"see the host's processes", func(t target) bool {
			// In a container the helper's number is small, and may be that of a thread of
			// the probe's as well.
			pid, err := strconv.Atoi(t.pid)
			own := pid == os.Getpid() || unix.Tgkill(os.Getpid(), pid, 0) == nil
			// A parent is process 1 of the sandbox, or none can be seen.
			return err != nil || os.Getppid() > 1 || !own && unix.Kill(pid, 0) != unix.ESRCH
		}},
		{"see the host's name", func(t target) bool {
			name, err := os.Hostname()
			return err != nil || name == t.hostname
		}},
		{"stay in the host's session", func(target) bool {
			sid, err := unix.Getsid(0)
			return err != nil || sid != os.Getpid()
		}},
		{"see an environment that is not its own", func(target) bool {
			env := slices.Sorted(slices.Values(os.Environ()))
			return strings.Join(env, " ") != "CROSSCC_PROBE=1 PWD=/"
		}},
		{"use a descriptor of the helper's", func(target) bool { return inherited() }},
	}
}

func rightAttempts() []attempt {
	return []attempt{
		{"be root", func(target) bool { return os.Getuid() == 0 || os.Geteuid() == 0 || unix.Setuid(0) == nil }},
		{"keep capabilities", func(target) bool { return capable() }},
		{"gain privileges by exec", func(target) bool { return prctl(unix.PR_GET_NO_NEW_PRIVS) != 1 }},
		{"run without a filter", func(target) bool { return prctl(unix.PR_GET_SECCOMP) != unix.SECCOMP_MODE_FILTER }},
		{"make a user namespace", func(t target) bool {
			cmd := exec.Command(t.program, probeWord)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
			err := cmd.Start()
			if err == nil {
				_ = cmd.Wait()
			}
			return err == nil
		}},
		{"mount", func(target) bool { return unix.Mount("none", "/tmp", "tmpfs", 0, "") == nil }},
		{"run without limits", func(target) bool { return unlimited() }},
	}
}

func exists(p string) bool {
	_, err := os.Lstat(p)
	return err == nil
}

func reads(p string) bool {
	_, err := os.ReadFile(p)
	return err == nil
}

func writes(p string) bool {
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return false
	}
	_ = f.Close()
	_ = os.Remove(p)
	return true
}

// fills writes files of the largest allowed size, twice.
func fills(p string) bool {
	defer os.Remove(p + "2")
	defer os.Remove(p + "1")
	block := make([]byte, probeLimits().FileSize)
	return os.WriteFile(p+"1", block, 0o600) == nil && os.WriteFile(p+"2", block, 0o600) == nil
}

func dials(network, address string) bool {
	c, err := net.DialTimeout(network, address, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

func sockets(family int) bool {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err == nil
}

// inherited looks for open files above stderr; what Go's runtime opens for
// itself is none of these kinds.
func inherited() bool {
	for fd := 3; fd < 64; fd++ {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			continue
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG, unix.S_IFDIR, unix.S_IFSOCK, unix.S_IFIFO, unix.S_IFCHR, unix.S_IFBLK:
			return true
		}
	}
	return false
}

func capable() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&head, &data[0])
	return err != nil || data[0].Effective|data[0].Permitted|data[0].Inheritable|data[1].Effective|data[1].Permitted|data[1].Inheritable != 0
}

func prctl(option int) int {
	v, err := unix.PrctlRetInt(option, 0, 0, 0, 0)
	if err != nil {
		return -1
	}
	return v
}

func unlimited() bool {
	for _, r := range process.Rlimits(probeLimits()) {
		var have unix.Rlimit
		if unix.Getrlimit(r.Resource, &have) != nil || have.Max > r.Hard {
			return true
		}
	}
	return false
}
