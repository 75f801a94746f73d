package session_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
)

// A slot is held by what holds the connection, but not for good by what a compiler has
// left behind.
func TestHold(t *testing.T) {
	compiler := exec.Command("/bin/sleep", "600")
	if err := compiler.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = compiler.Wait() }()
	defer func() { _ = compiler.Process.Kill() }()
	waits := func(s *session.Session) (h *session.Hold, over chan struct{}) {
		h, over = s.Hold(), make(chan struct{})
		t.Cleanup(h.Close)
		go func() { defer close(over); h.Wait() }()
		return h, over
	}
	left := sessiontest.NewOf(t, compiler.Process.Pid, []string{"/bin/sh"}) // whose connection somebody has
	all := sessiontest.NewOf(t, compiler.Process.Pid, []string{"/bin/sh"})
	unseen := sessiontest.NewOf(t, 0, []string{"/bin/sh"})
	_, overLeft := waits(left)
	_, overAll := waits(all)
	_, overUnseen := waits(unseen)
	all.End()
	<-overAll
	select {
	case <-overLeft:
		t.Fatal("the compiler runs, and holds its slot no more")
	case <-time.After(time.Second):
	}
	if err := compiler.Process.Kill(); err != nil { // it is not waited for
		t.Fatal(err)
	}
	<-overLeft
	select {
	case <-overUnseen:
		t.Error("nothing is known of a process, and it holds its slot no more")
	default:
	}
	unseen.End()
	<-overUnseen
}
