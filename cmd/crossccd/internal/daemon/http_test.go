package daemon

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"

	"github.com/crosscc/crosscc/broker/ccache"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/broker/trust"
)

// TestHTTPDoor: ccache's storage is there and nothing else is, until the door is
// told to end.
func TestHTTPDoor(t *testing.T) {
	st, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	log, _ := test.NewNullLogger()
	d := httpDoor(config.Address{}, st, log)
	if !d.addr.Off() {
		t.Error("the door is open unasked")
	}
	for name, bound := range map[string]time.Duration{
		"headers": httpServer(nil, log).ReadHeaderTimeout, "request": httpServer(nil, log).ReadTimeout,
		"answer": httpServer(nil, log).WriteTimeout, "silence": httpServer(nil, log).IdleTimeout,
	} {
		if bound <= 0 || bound > 2*time.Minute {
			t.Errorf("a peer may take %v for its %s", bound, name)
		}
	}
	l, err := trust.Listen("127.0.0.1:0", trust.AllowList{}, d.limits)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- d.serve(l) }()
	url := "http://" + l.Addr().String()
	key := ccache.Path + strings.Repeat("0", 40)
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"PUT", key, 204}, {"GET", key, 200}, {"GET", "/", 404}, {"GET", "/debug/pprof/", 404}, {"GET", "/metrics/../ccache/" + key, 400},
	} {
		r, err := http.NewRequest(tc.method, url+tc.path, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != tc.status {
			t.Errorf("%s %s: %s, want %d", tc.method, tc.path, res.Status, tc.status)
		}
	}
	if err := d.drain(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("serve: %v", err)
	}
	if _, err := http.Get(url + key); err == nil {
		t.Error("the door is open after it was closed")
	}
}
