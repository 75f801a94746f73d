package rendezvous

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/crosscc/crosscc/broker/local"
)

// ErrServed says that another agent serves the socket.
var ErrServed = errors.New("another agent serves this socket")

// backlog is how many wrappers may wait for Accept; make -j is far below it.
const backlog = 1024

// A Listener is the agent's end of the socket.
type Listener struct {
	path string
	file *os.File // the listening socket
	raw  syscall.RawConn
	held *os.File    // the agents' lock
	shut atomic.Bool // by Close
	once sync.Once
	err  error // of the first Close
}

// Listen makes the socket at path (Dirs.Socket) with mode 0600 in a directory
// of this user's alone. One agent at a time can: ErrServed for the next. The
// socket appears under its name only when it takes connections.
func Listen(path string) (*Listener, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	held, ok, err := lock(path + ".lock")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, ErrServed)
	}
	l := &Listener{path: path, held: held}
	if err := l.open(); err != nil {
		held.Close()
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	_ = os.Remove(markOf(path))
	return l, nil
}

func (l *Listener) open() error {
	fd, err := socket()
	if err != nil {
		return err
	}
	l.file = os.NewFile(uintptr(fd), l.path)
	if l.raw, err = l.file.SyscallConn(); err == nil {
		err = l.bind(fd)
	}
	if err != nil {
		l.file.Close()
	}
	return err
}

func (l *Listener) bind(fd int) error {
	temp := l.path + ".new" // ours alone: the lock is held
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	addr, release, err := address(temp)
	if err != nil {
		return err
	}
	defer release()
	if err := syscall.Bind(fd, addr); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := os.Chmod(temp, 0o600); err != nil {
		return err
	}
	if err := syscall.Listen(fd, backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	return os.Rename(temp, l.path)
}

// Close takes the socket away and lets the next agent have it; connections
// stay. An agent that drains closes its listener before it answers Replace.
func (l *Listener) Close() error {
	l.shut.Store(true)
	l.once.Do(func() {
		// The name goes before the lock: after it, it may be another agent's.
		l.err = errors.Join(os.Remove(l.path), l.file.Close(), l.held.Close())
	})
	return l.err
}

// Accept waits for the next wrapper. Peers other than this user and root are
// turned away unseen. It returns os.ErrClosed after Close.
func (l *Listener) Accept() (*local.Conn, Peer, error) {
	for {
		fd, err := l.accept()
		if err != nil {
			return nil, Peer{}, err
		}
		peer, err := peerOf(fd)
		if err != nil || !mayAsk(peer, os.Geteuid()) {
			syscall.Close(fd)
			continue
		}
		conn, err := local.NewConn(fd)
		if err != nil {
			continue
		}
		return conn, peer, nil
	}
}

// acceptPause lets connections end when the process has no descriptor left.
const acceptPause = 50 * time.Millisecond

func (l *Listener) accept() (int, error) {
	for {
		fd, failed := -1, error(nil)
		err := l.raw.Read(func(s uintptr) bool {
			fd, _, failed = syscall.Accept4(int(s), syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
			return failed != syscall.EAGAIN
		})
		switch {
		case err != nil && l.shut.Load():
			return -1, os.ErrClosed
		case err != nil:
			return -1, err
		case failed == nil:
			return fd, nil
		case failed == syscall.EMFILE || failed == syscall.ENFILE || failed == syscall.ENOMEM || failed == syscall.ENOBUFS:
			time.Sleep(acceptPause)
		case failed != syscall.EINTR && failed != syscall.ECONNABORTED:
			return -1, os.NewSyscallError("accept", failed)
		}
	}
}
