package crsh

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/ccache"
)

// memory is a door without a network.
type memory map[string][]byte

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	key, ok := ccache.ParseKey(strings.TrimPrefix(r.URL.Path, ccache.Path))
	value, there := m[key]
	res := &http.Response{Status: "200 OK", StatusCode: 200, Body: io.NopCloser(bytes.NewReader(value)), ContentLength: int64(len(value))}
	switch {
	case !ok:
		res.Status, res.StatusCode = "400 Bad Request", 400
	case r.Method == http.MethodPut:
		m[key], _ = io.ReadAll(r.Body)
	case r.Method == http.MethodDelete:
		delete(m, key)
	case !there:
		res.Status, res.StatusCode = "404 Not Found", 404
	}
	return res, nil
}

// wire is a connection on which everything was said before.
type wire struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (w *wire) Read(b []byte) (int, error)       { return w.in.Read(b) }
func (w *wire) Write(b []byte) (int, error)      { return w.out.Write(b) }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// FuzzSession: whatever is said, the session ends with its input, and it never
// holds more than was said.
func FuzzSession(f *testing.F) {
	k := "\x14" + string(key)
	f.Add("\x00" + k + "\x05" + k + "\x02" + k + "\x04\x03")
	f.Add("\x01" + k + "\x01" + number64(5) + "value\x00" + k + "\x01" + k + "\x00" + number64(1) + "v")
	f.Add("\x01" + k + "\x01" + number64(1<<20) + "value")
	f.Add("\x00\x00\x00\x01a\x06")
	f.Fuzz(func(t *testing.T, said string) {
		m := make(memory)
		r := newRemote("tcp", "helper")
		r.client.Transport = m
		w := &wire{in: bytes.NewReader([]byte(said))}
		s := session{conn: w, in: bufio.NewReader(w), remote: r}
		stop := s.run(t.Context())
		if out := w.out.String(); !strings.HasPrefix(out, greeting) || stop && (!strings.HasSuffix(out, "\x00") || !strings.Contains(said, "\x03")) {
			t.Errorf("it says %q, stop %v", w.out.String(), stop)
		}
		for key, value := range m {
			if !strings.Contains(said, string(value)) {
				t.Errorf("%s is %q, which nobody said", key, value)
			}
		}
	})
}
