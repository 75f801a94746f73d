package helper

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/sandbox/groups"
	"github.com/crosscc/crosscc/sandbox/prove"
)

// asked holds what this machine's compilers said of themselves, by sandbox, so that
// not every helper here asks anew. TestMain sets it once.
var asked string

func TestMain(m *testing.M) {
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if asked, err = os.MkdirTemp("", "crosscc-asked-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(asked)
	return m.Run()
}

// recallProbes gives a helper that has not started the answers that others of this
// process got in the same sandbox.
func recallProbes(t testing.TB, o *Options) {
	t.Helper()
	dir := filepath.Join(asked, o.Sandbox)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(o.Dir, "probes")); err != nil {
		t.Fatal(err)
	}
}

// TestSandboxIsSaid: State and the log say what stands between a client and this
// machine, and what is missing.
func TestSandboxIsSaid(t *testing.T) {
	for name, says := range map[string]string{"bwrap": "", "none": "level=warning msg=\"--sandbox=none: what a client sends runs with this user's rights, without walls\""} {
		h, log := openHelper(t, name)
		s, _ := h.State()
		bounded := "each job is bounded as a whole: cgroup v"
		grouped := groups.Open()
		if grouped.Err() != nil {
			name += " without cgroups"
			bounded = "level=info msg=\"sandbox: the memory of each process of a job is bounded, not that of the job: no cgroup limits: "
		}
		if err := grouped.Close(); err != nil {
			t.Error(err)
		}
		if s.Sandbox != name || !strings.Contains(log.String(), says) || !strings.Contains(log.String(), bounded) {
			t.Errorf("%s: state says %q, log\n%s", name, s.Sandbox, log)
		}
	}
}

// A buffer is a log that is read while it is written.
type buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func openHelper(t *testing.T, kind string) (*Helper, *buffer) {
	t.Helper()
	var text buffer
	log := logrus.New()
	log.SetOutput(&text)
	log.SetLevel(logrus.DebugLevel)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := Open(ctx, Setup{Dir: filepath.Join(enterableDir(t), "state"), CacheSize: 1 << 30, Slots: 2, Sandbox: kind,
		Search: []string{"/usr/bin/gcc-12"}, Path: os.Getenv("PATH"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := h.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return h, &text
}
