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

// One pack at a time; what was tried is not tried again at once: what went well a little
// later, what failed much later, and what was lost with its helper soon, at first.
func TestSender(t *testing.T) {
	var s Sender
	if s.Busy() || !s.begin("a") || s.begin("a") || s.begin("b") || !s.Busy() {
		t.Error("two at a time")
	}
	lost := fmt.Errorf("send: %w", lostError{errors.New("connection reset")})
	s.end("a", errors.New("refused"))
	if s.begin("a") || !s.begin("b") {
		t.Error("one that failed again, or not another")
	}
	s.end("b", nil)
	for _, tt := range []struct {
		key  string
		rest time.Duration
		next error // how it ends then
	}{
		{"a", packRest, lost}, {"b", packAgain, lost}, {"a", lostRest, lost}, {"b", lostRest, nil}, {"a", 2 * lostRest, lost},
		{"a", 4 * lostRest, errors.New("refused")}, {"b", packAgain, lost}, {"a", packRest, lost}, {"a", lostRest, lost}, {"b", lostRest, nil},
	} {
		ended := func(ago time.Duration) {
			last := s.done[tt.key]
			last.ended = time.Now().Add(-ago)
			s.done[tt.key] = last
		}
		ended(tt.rest - 5*time.Second)
		if s.begin(tt.key) {
			t.Fatalf("%s again after less than %s", tt.key, tt.rest)
		}
		ended(tt.rest)
		if !s.begin(tt.key) {
			t.Fatalf("%s not again after %s", tt.key, tt.rest)
		}
		s.end(tt.key, tt.next)
	}
	for range 20 {
		s.end("a", lost)
	}
	if rest := s.done["a"].rest; rest != packRest {
		t.Errorf("lost again and again it rests for %s", rest)
	}
	for i := range 2 * maxSent {
		s.begin(fmt.Sprint(i))
		s.end(fmt.Sprint(i), nil)
	}
	if len(s.done) > maxSent {
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
