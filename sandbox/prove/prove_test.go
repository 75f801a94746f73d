package prove_test

import (
	"os"

	"github.com/crosscc/crosscc/sandbox/bubblewrap"
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox/direct"
	"github.com/crosscc/crosscc/sandbox/prove"
)

func TestMain(m *testing.M) {
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

func TestClosed(t *testing.T) {
	walled, err := bubblewrap.New(bubblewrap.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if err := prove.Closed(rig.Context(t), walled); err != nil {
		t.Error(err)
	}
	err = prove.Closed(rig.Context(t), direct.New(direct.Options{}))
	if err == nil || !strings.Contains(err.Error(), "read /etc/passwd") || !strings.Contains(err.Error(), "connect over TCP") {
		t.Errorf("the runner without walls was proven closed: %v", err)
	}
	t.Log(err)
}
