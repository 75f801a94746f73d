package proof

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/calibrate"
)

// A job whose local compile comes to no end is no finding and no proof: it is counted as
// neither, holds no place, and is the local compiler's.
func TestUnfinished(t *testing.T) {
	var places slots.Slots
	places.Resize(1)
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	for name, tt := range map[string]struct {
		script string
		bound  time.Duration
		want   string
	}{
		"too slow": {"exec sleep 60", 10 * time.Millisecond, "not done after 10ms"},
		"killed":   {"kill -9 $$", 0, "killed"},
	} {
		pr := New(Options{Book: calibrate.OpenBook(t.TempDir()), Slots: &places, Log: quiet, VerifyTime: tt.bound})
		pr.sample.ask(3)
		c := &compile.Compile{Session: sessiontest.New(t, []string{"/bin/sh", "-c", tt.script}), Program: "/bin/sh", Argv0: "sh"}
		c.Cmd = argv.Parse([]string{"-c", "a.c"}, argv.Env{})
		err := pr.Verify(c, compile.Answer{})
		l, ok := errors.AsType[*reason.Local](err)
		if !ok || l.Reason != reason.Unverified || !l.Slot || l.Helpers || !strings.Contains(l.Text, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if v, _ := pr.Verification(nil); v.Unfinished != 1 || v.Same != 0 || v.Differed != 0 {
			t.Errorf("%s: %+v", name, v)
		}
		if _, held := places.Figures(); held != 0 {
			t.Errorf("%s: %d places are held", name, held)
		}
	}
}
