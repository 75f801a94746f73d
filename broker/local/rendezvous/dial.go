package rendezvous

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/broker/local"
)

// ErrNoAgent says that nobody listens at the socket.
var ErrNoAgent = errors.New("no agent answers")

const (
	// dialWait bounds the wait for a place in the agent's backlog.
	dialWait = 5 * time.Second
	// markLife is how long wrappers leave an agent alone that failed to start
	// or fell silent. Without it each of a build's thousand compiles would
	// wait out the same bound again.
	markLife = time.Minute
)

// Dial connects to the agent at the socket path, which must lie in a directory
// of this user's alone and be served by this very user: no byte is sent before
// that is known. An absent agent is ErrNoAgent.
func Dial(path string) (*local.Conn, error) {
	if err := checkPlace(path); err != nil {
		return nil, err
	}
	return dial(path)
}

// heed is Dial for those who leave an agent alone that has failed.
func (d Dirs) heed() (*local.Conn, error) {
	if err := checkPlace(d.Socket); err != nil {
		return nil, err
	}
	if err := d.markedFailed(); err != nil {
		return nil, err
	}
	return dial(d.Socket)
}

// checkPlace checks the directory of the socket at path.
func checkPlace(path string) error {
	err := checkDir(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return ErrNoAgent
	}
	return err
}

func dial(path string) (*local.Conn, error) {
	fd, err := connect(path)
	if err != nil {
		return nil, err
	}
	peer, err := peerOf(fd)
	if err == nil {
		err = checkAgent(peer, os.Geteuid())
	}
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return local.NewConn(fd)
}

func connect(path string) (int, error) {
	addr, release, err := address(path)
	if err != nil {
		return -1, err
	}
	defer release()
	fd, err := socket()
	if err != nil {
		return -1, err
	}
	wait, deadline := pause{}, time.Now().Add(dialWait)
	for {
		err = syscall.Connect(fd, addr)
		// A full backlog is EAGAIN on a socket that doesn't block.
		if err != syscall.EAGAIN && err != syscall.EINTR || time.Now().After(deadline) {
			break
		}
		wait.sleep()
	}
	if err == nil {
		return fd, nil
	}
	syscall.Close(fd)
	if err == syscall.ENOENT || err == syscall.ECONNREFUSED {
		return -1, ErrNoAgent
	}
	return -1, fmt.Errorf("connect to %s: %w", path, err)
}

func socket() (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	return fd, os.NewSyscallError("socket", err)
}

// maxSunPath is what sun_path holds, its closing zero left out.
const maxSunPath = 107

// address makes the socket address of path. One that is too long goes by way of
// a descriptor of its directory, which must stay open until release.
func address(path string) (addr syscall.Sockaddr, release func(), err error) {
	if len(path) <= maxSunPath {
		return &syscall.SockaddrUnix{Name: path}, func() {}, nil
	}
	dir, err := os.OpenFile(filepath.Dir(path), os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, nil, err
	}
	name := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path)
	return &syscall.SockaddrUnix{Name: name}, func() { dir.Close() }, nil
}

// A Peer is the process at the other end, as the kernel knows it.
type Peer struct{ UID, PID int }

func peerOf(fd int) (Peer, error) {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return Peer{}, os.NewSyscallError("getsockopt SO_PEERCRED", err)
	}
	return Peer{UID: int(cred.Uid), PID: int(cred.Pid)}, nil
}

// checkAgent refuses an agent of anyone else, root's included: a wrapper of this
// user's would hand it the build's files and run what it says.
func checkAgent(agent Peer, uid int) error {
	if agent.UID != uid {
		return fmt.Errorf("the agent (process %d) belongs to uid %d, not to uid %d", agent.PID, agent.UID, uid)
	}
	return nil
}

// mayAsk tells whether an agent of uid serves this wrapper.
func mayAsk(wrapper Peer, uid int) bool { return wrapper.UID == uid || wrapper.UID == 0 }

func markOf(socket string) string { return socket + ".failed" }

// MarkFailed lets the wrappers of the next minute do without the agent, for
// reason. Its own failure to write only costs them time.
func (d Dirs) MarkFailed(reason error) {
	f, err := os.OpenFile(markOf(d.Socket), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteString(reason.Error())
}

// maxMark bounds the text of a mark.
const maxMark = 4 << 10

// markedFailed returns the reason of a mark that is still young. It is called
// only for a directory that is ours, and counts only as a regular file: another
// user's FIFO would hold us, another's link have us print what it leads to.
func (d Dirs) markedFailed() error {
	f, err := os.OpenFile(markOf(d.Socket), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) > markLife {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxMark))
	if err != nil {
		return nil
	}
	return errors.New(strings.TrimSpace(string(text)) + " (tried less than a minute ago)")
}
