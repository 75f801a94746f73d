package session

import (
	"context"
	"errors"
	"testing"

	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/local"
)

// A wrapper below one that holds the last place goes on without any; another waits.
func TestPlace(t *testing.T) {
	var places slots.Slots
	places.Resize(1)
	at := func(nested bool) *Session {
		return &Session{Client: &local.Client{Request: local.Request{Nested: nested}}}
	}
	above, err := at(false).Place(t.Context(), &places)
	if err != nil {
		t.Fatal(err)
	}
	none, stop := context.WithCancel(t.Context())
	stop()
	below, err := at(true).Place(none, &places)
	if err != nil {
		t.Fatalf("below one that holds the last place: %v", err)
	}
	if _, err := at(false).Place(none, &places); !errors.Is(err, context.Canceled) {
		t.Errorf("a second one beside it: %v", err)
	}
	below()
	if _, held := places.Figures(); held != 1 {
		t.Errorf("%d places are held, want 1", held)
	}
	above()
}
