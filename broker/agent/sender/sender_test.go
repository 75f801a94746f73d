package sender

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/monitor"
)

// One pack at a time; what was tried is not tried again at once, and what went well
// a little later.
func TestSender(t *testing.T) {
	var s Sender
	if !s.begin("a") || s.begin("a") || s.begin("b") {
		t.Error("two at a time")
	}
	s.end("a", false)
	if s.begin("a") || !s.begin("b") {
		t.Error("one that failed again, or not another")
	}
	s.end("b", true)
	for key, at := range map[string]time.Duration{"a": packRest, "b": packAgain} {
		s.done[key] = time.Now().Add(-at + time.Minute/2)
		if s.begin(key) {
			t.Errorf("%s again after less than %s", key, at)
		}
		s.done[key] = time.Now().Add(-at)
		if !s.begin(key) {
			t.Errorf("%s never again", key)
		}
		s.end(key, true)
	}
	for i := range 2 * maxSent {
		s.begin(fmt.Sprint(i))
		s.end(fmt.Sprint(i), true)
	}
	if len(s.done) > maxSent || len(s.good) > maxSent {
		t.Errorf("%d are remembered", len(s.done))
	}
	s.say("h:1", "half")
	if got := s.Fill([]monitor.HelperStatus{{Address: "h:1"}, {Address: "h:2"}}); got[0].Pack != "half" || got[1].Pack != "" {
		t.Errorf("got %+v", got)
	}
}

func TestBlobOf(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	full := errors.New("disk full")
	if _, err := blobOf(f, func(io.Writer) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	b, err := blobOf(f, func(w io.Writer) error { _, err := io.WriteString(w, "some text"); return err })
	if err != nil {
		t.Fatal(err)
	}
	if data, err := b.Bytes(100); err != nil || string(data) != "some text" {
		t.Errorf("%q, %v", data, err)
	}
}
