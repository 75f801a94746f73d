// Package sessiontest is a wrapper within the test's own process, for tests of what an
// agent has a wrapper do.
package sessiontest

import (
	"os"
	"syscall"
	"testing"

	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
)

// New is a session of a wrapper that was called with a command, in the working directory
// of the test and with more in its environment. The first word is the compiler's path.
func New(t *testing.T, command []string, env ...string) *session.Session {
	t.Helper()
	return NewOf(t, os.Getpid(), command, env...)
}

// NewOf is New with another process as the wrapper's.
func NewOf(t *testing.T, pid int, command []string, env ...string) *session.Session {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	environ := local.Setenv(os.Environ(), append([]string{"LC_ALL=C", "LANGUAGE="}, env...)...)
	wrapper := local.NewSession(conn(t, fds[1]), local.Host{Environ: environ})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r := local.NewRequest(local.VerbCompile, environ)
		r.Program, r.Args, r.Terminal = command[0], command, false
		_, _, _ = wrapper.Do(r) // ends with the agent's side
	}()
	c, err := local.NewClient(t.Context(), conn(t, fds[0]))
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(c, pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.End(); wrapper.Close(); <-ended })
	return s
}

func conn(t *testing.T, fd int) *local.Conn {
	t.Helper()
	c, err := local.NewConn(fd)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
