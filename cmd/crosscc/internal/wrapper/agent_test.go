package wrapper

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
)

// fakeAgent is what this binary does when it is called crossccd: it notes its
// start and lets every wrapper compile for itself, until it is killed.
func fakeAgent() int {
	name := filepath.Join(os.Getenv("CROSSCC_DIR"), "starts")
	log, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	defer log.Close()
	_, _ = log.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	l, err := rendezvous.Listen(os.Args[3])
	if err != nil {
		return 2
	}
	accept(l, func(c *local.Client) {
		_ = c.Exec(local.Exec{Slot: true})
		<-c.Context().Done()
	})
	return 0
}

// withAgent puts a crossccd beside crosscc, killed at the end.
func withAgent(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	self, err := os.Executable()
	b.must(err)
	b.must(os.Symlink(self, b.path("bin/crossccd")))
	t.Cleanup(func() {
		for _, pid := range b.starts() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return b
}

// starts are the process ids of the agents started so far.
func (b *bed) starts() []int {
	text, err := os.ReadFile(filepath.Join(b.dirs.State, "starts"))
	if err != nil {
		return nil
	}
	var list []int
	for field := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

func TestFiftyColdStarts(t *testing.T) {
	b := withAgent(t)
	want := "real " + b.path("usr/gcc") + " -c level=1\n"
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { b.want(b.run(nil, "gcc", "-c"), 9, want, "") })
	}
	all.Wait()
	if list := b.starts(); len(list) != 1 {
		t.Errorf("%d agents started", len(list))
	}
	if pgid, err := syscall.Getpgid(b.starts()[0]); err != nil || pgid != b.starts()[0] {
		t.Errorf("the agent is in process group %d, %v", pgid, err)
	}
}

func TestReplaced(t *testing.T) {
	b := withAgent(t)
	var l *rendezvous.Listener
	ready := make(chan struct{})
	l = b.serve(func(c *local.Client) {
		<-ready
		l.Close()
		_ = c.Replace()
	})
	close(ready)
	b.want(b.run(nil, "gcc", "-c"), 9, "real "+b.path("usr/gcc")+" -c level=1\n", "")
	if list := b.starts(); len(list) != 1 {
		t.Errorf("%d agents started", len(list))
	}
}

func TestReplacedForEver(t *testing.T) {
	b := newBed(t)
	b.serve(func(c *local.Client) { _ = c.Replace() })
	b.want(b.run(nil, "gcc", "-c"), 9, "real "+b.path("usr/gcc")+" -c level=1\n",
		"crosscc: no agent: agents of other builds keep answering; compiling here\n")
}

// An agent that dies at any point costs no compile.
func TestAgentDies(t *testing.T) {
	b := newBed(t)
	b.serve(func(c *local.Client) { c.Close() })
	b.want(b.run(nil, "gcc", "-c"), 9, "real "+b.path("usr/gcc")+" -c level=1\n",
		"crosscc: no agent: the agent closed the connection; compiling here\n")
}
