package rendezvous

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// An agent's timers have a slack of a millisecond, those of who starts it stay
// as they are.
func TestTimerSlack(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	own := fmt.Sprintf("/proc/%d/timerslack_ns", syscall.Gettid())
	before := read(own)
	d, environ, executable := bed(t)
	conn, err := Connect(d, environ, executable)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := read(filepath.Join(d.State, "slack")); got != "1000000" {
		t.Errorf("the agent's is %q ns", got)
	}
	if after := read(own); after != before || before == "1000000" {
		t.Errorf("ours was %q and is %q", before, after)
	}
}
