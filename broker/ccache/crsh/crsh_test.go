package crsh

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/ccache"
	"github.com/crosscc/crosscc/broker/store"
)

// The key of the tests: 20 bytes, as ccache's are.
var key = []byte("\xbe\xf2\x70\x73\xb2\xa2\xe3\xdc\x60\xfe\x4f\xd1\x2b\x2f\x6b\xf9\xbd\x02\xfe\xdf")

// greeting: version 1, then three capabilities: 0, 1 and 2.
const greeting = "\x01\x03\x00\x01\x02"

// door is a helper's, with a store of its own.
func door(t *testing.T) (*httptest.Server, *store.Store) {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(ccache.Handler(s, t.Logf))
	t.Cleanup(func() { srv.Close(); s.Close() })
	return srv, s
}

// A program is one that runs.
type program struct {
	socket string
	ended  chan string // its exit status, and what it said on stderr
	stop   context.CancelFunc
}

// start runs the program as ccache does, and waits until it can be spoken to.
func start(t *testing.T, url string, more ...string) *program {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "crsh-") // a socket's name has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, stop := context.WithCancel(context.Background())
	p := &program{socket: filepath.Join(dir, "s"), ended: make(chan string, 1), stop: stop}
	var stderr bytes.Buffer
	env := Env{Stdout: io.Discard, Stderr: &stderr, Environ: append([]string{"CRSH_IPC_ENDPOINT=" + p.socket, "CRSH_URL=" + url}, more...)}
	go func() {
		exit := Main(ctx, env, nil)
		p.ended <- fmt.Sprintf("%d %s", exit, stderr.String())
	}()
	t.Cleanup(func() {
		stop()
		<-p.ended
	})
	for range 1000 {
		if c, err := net.Dial("unix", p.socket); err == nil {
			c.Close()
			return p
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the program does not listen")
	return nil
}

// ends waits for the end of the program.
func (p *program) ends(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-p.ended:
		if got != want {
			t.Errorf("it ended with %q, want %q", got, want)
		}
		p.ended <- got
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if _, err := os.Lstat(p.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its socket stays: %v", err)
	}
}

// A client is a ccache.
type client struct {
	t *testing.T
	net.Conn
}

func (p *program) dial(t *testing.T) client {
	t.Helper()
	c, err := net.Dial("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return client{t, c}
}

// says fails unless the program says just these bytes next.
func (c client) says(what, want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		c.t.Fatalf("%s: it says %.100q, %v; want %.100q", what, got[:n], err, want)
	}
}

// asks sends a request and fails unless the answer is just these bytes.
func (c client) asks(what, request, want string) {
	c.t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	c.says(what, want)
}

// hangsUp fails unless the connection ends with nothing more said.
func (c client) hangsUp(what string) {
	c.t.Helper()
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		c.t.Fatalf("%s: it says %q, %v; want an end", what, b, err)
	}
}

func number64(n int) string {
	return string(binary.NativeEndian.AppendUint64(nil, uint64(n)))
}

func at(srv *httptest.Server) string { return "crosscc://" + strings.TrimPrefix(srv.URL, "http://") }

// TestProtocol says each request, byte by byte, and what is said to it.
func TestProtocol(t *testing.T) {
	srv, st := door(t)
	p := start(t, at(srv))
	c := p.dial(t)
	c.says("greeting", greeting)
	k := "\x14" + string(key)
	value := strings.Repeat("value\x00\x03", 50_000)
	put := func(flags byte, value string) string {
		return "\x01" + k + string([]byte{flags}) + number64(len(value)) + value
	}
	ok := func(value string) string { return "\x00" + number64(len(value)) + value }
	for _, step := range []struct{ what, request, answer string }{
		{"get of nothing", "\x00" + k, "\x01"},
		{"exists of nothing", "\x05" + k, "\x00\x00"},
		{"remove of nothing", "\x02" + k, "\x00"},
		{"put", put(1, value), "\x00"},
		{"get", "\x00" + k, ok(value)},
		{"exists", "\x05" + k, "\x00\x01"},
		{"put that must not overwrite", put(0, "other"), "\x01"},
		{"put with an unknown flag", put(0xfe, "other"), "\x01"},
		{"get of the first", "\x00" + k, ok(value)},
		{"put that overwrites", put(0xff, "other"), "\x00"},
		{"get of the second", "\x00" + k, ok("other")},
		{"remove", "\x02" + k, "\x00"},
		{"get of what was removed", "\x00" + k, "\x01"},
		{"put of nothing", put(0, ""), "\x00"},
		{"get of an empty value", "\x00" + k, ok("")},
	} {
		c.asks(step.what, step.request, step.answer)
	}
	c.asks("info", "\x04", string(message(identity()))+"\x00")
	// Two requests at once: answers in their order.
	c.asks("two", "\x05"+k+"\x02"+k, "\x00\x01\x00")
	if s := st.Stats(); s.Claims != 0 || s.Blobs+s.Actions != 0 {
		t.Errorf("the store has %+v", s)
	}
	// Others are served meanwhile, until one says stop.
	other := p.dial(t)
	other.says("greeting", greeting)
	other.asks("get", "\x00"+k, "\x01")
	other.asks("stop", "\x03", "\x00")
	other.hangsUp("after stop")
	c.hangsUp("after the other's stop")
	p.ends(t, "0 ")
}

// TestBroken: who breaks the protocol is hung up on, and others are not.
func TestBroken(t *testing.T) {
	srv, st := door(t)
	p := start(t, at(srv))
	for name, request := range map[string]string{
		"no request":          "\x06",
		"another":             "\xff",
		"a value over all":    "\x01\x14" + string(key) + "\x01" + number64(-1),
		"a value too large":   "\x01\x14" + string(key) + "\x01" + number64(ccache.MaxValue+1),
		"an HTTP request":     "GET / HTTP/1.1\r\n\r\n",
		"nothing but a start": "",
	} {
		c := p.dial(t)
		c.says("greeting", greeting)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		if name == "nothing but a start" {
			c.Conn.(*net.UnixConn).CloseWrite()
		}
		c.hangsUp(name)
	}
	cut := p.dial(t)
	cut.says("greeting", greeting)
	if _, err := io.WriteString(cut, "\x01\x14"+string(key)+"\x01"+number64(100)+"x"); err != nil {
		t.Fatal(err)
	}
	cut.Close()
	c := p.dial(t)
	c.says("greeting", greeting)
	c.asks("get", "\x00\x14"+string(key), "\x01")
	if s := st.Stats(); s.Claims != 0 {
		t.Errorf("the store has %+v", s)
	}
}

// failure reads an error and returns its words.
func (c client) failure(what, request string) string {
	c.t.Helper()
	c.asks(what, request, "\x02")
	var n [1]byte
	if _, err := io.ReadFull(c, n[:]); err != nil {
		c.t.Fatal(err)
	}
	text := make([]byte, n[0])
	if _, err := io.ReadFull(c, text); err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// TestHelperSaysNo: what the door refuses is an error in its words, and the session
// goes on.
func TestHelperSaysNo(t *testing.T) {
	srv, _ := door(t)
	c := start(t, at(srv)).dial(t)
	c.says("greeting", greeting)
	for _, request := range []string{"\x00\x00", "\x00\x01k", "\x05\xff" + strings.Repeat("k", 255), "\x01\x01k\x01" + number64(1) + "v", "\x02\x01k"} {
		text := c.failure("a strange key", request)
		if request[0] != 5 && !strings.Contains(text, "400 Bad Request: expected /ccache/KEY") || strings.Contains(text, "\n") {
			t.Errorf("%.10q: %q", request, text)
		}
	}
	c.asks("get", "\x00\x14"+string(key), "\x01")
}

// TestHelperAway: a helper that is away costs one wait, and then none for a time.
func TestHelperAway(t *testing.T) {
	srv, _ := door(t)
	var tries atomic.Int32
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		tries.Add(1)
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}))
	defer away.Close()
	r := newRemote("tcp", strings.TrimPrefix(away.URL, "http://"))
	now := time.Now()
	r.now = func() time.Time { return now }
	for range 3 {
		if _, err := r.has(t.Context(), key); err == nil || !strings.Contains(err.Error(), "EOF") {
			t.Errorf("a helper that says nothing: %v", err)
		}
	}
	if n := tries.Load(); n < 1 || n > 2 { // net/http may try a second time
		t.Errorf("it was asked %d times", n)
	}
	if text := string((&session{remote: r}).info().head); !strings.Contains(text, "did not answer and is left alone for 10s") {
		t.Errorf("info says %q", text)
	}
	r.address, r.client = "", newRemote("tcp", strings.TrimPrefix(srv.URL, "http://")).client
	now = now.Add(downTime + 1)
	if there, err := r.has(t.Context(), key); there || err != nil {
		t.Errorf("a helper that is back: %v, %v", there, err)
	}
	// A ccache that goes away is no fault of the helper's.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.has(ctx, key); err == nil || r.trouble() != nil {
		t.Errorf("cancelled: %v, trouble %v", err, r.trouble())
	}
}

// TestStrangeDoors: what is no door of ours stores nothing and gives nothing.
func TestStrangeDoors(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no storage": http.NotFound,
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Error("a redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"no length": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusInternalServerError)
			}
			_ = http.NewResponseController(w).Flush()
		},
		"too large": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusInsufficientStorage)
			}
			w.Header().Set("Content-Length", fmt.Sprint(ccache.MaxValue+1))
		},
	} {
		srv := httptest.NewServer(h)
		r := newRemote("tcp", strings.TrimPrefix(srv.URL, "http://"))
		if value, _, err := r.get(t.Context(), key); value != nil || err == nil && name != "no storage" {
			t.Errorf("%s: get gives %v, %v", name, value, err)
		}
		if err := r.put(t.Context(), key, []byte("value")); err == nil {
			t.Errorf("%s: put is well", name)
		}
		srv.Close()
	}
}

// TestShortValue: a value that breaks off ends the session, so that ccache does not
// take the rest for more.
func TestShortValue(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "value")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	c := start(t, at(srv)).dial(t)
	c.says("greeting", greeting)
	c.asks("get", "\x00\x14"+string(key), "\x00"+number64(100))
	if b, err := io.ReadAll(c); err != nil || len(b) >= 100 || !strings.HasPrefix("value", string(b)) {
		t.Errorf("it says %q, %v", b, err)
	}
}

func TestIdle(t *testing.T) {
	srv, _ := door(t)
	p := start(t, at(srv), "CRSH_IDLE_TIMEOUT=1")
	c := p.dial(t)
	c.says("greeting", greeting)
	time.Sleep(1500 * time.Millisecond) // it must outlast a ccache that compiles
	c.asks("get", "\x00\x14"+string(key), "\x01")
	c.Close()
	p.ends(t, "0 ")

	// Until told to: that is what 0 and no word mean, and SIGTERM tells it.
	p = start(t, at(srv), "CRSH_IDLE_TIMEOUT=0")
	p.stop()
	p.ends(t, "0 ")
}

// TestStarts: a socket whose program was killed is no obstacle, one that serves is.
func TestStarts(t *testing.T) {
	srv, _ := door(t)
	p := start(t, at(srv))
	for name, tc := range map[string]struct {
		environ []string
		says    string
	}{
		"nothing said":    {nil, "CRSH_IPC_ENDPOINT and CRSH_URL are not set"},
		"another's":       {[]string{"CRSH_IPC_ENDPOINT=" + p.socket, "CRSH_URL=" + at(srv)}, "another process listens there"},
		"no directory":    {[]string{"CRSH_IPC_ENDPOINT=/nowhere/s", "CRSH_URL=" + at(srv)}, "no such file"},
		"relative":        {[]string{"CRSH_IPC_ENDPOINT=s", "CRSH_URL=" + at(srv)}, "must be absolute"},
		"another's URL":   {[]string{"CRSH_IPC_ENDPOINT=/s", "CRSH_URL=http://helper"}, "expected crosscc://HOST"},
		"a strange time":  {[]string{"CRSH_IPC_ENDPOINT=/s", "CRSH_URL=crosscc://h", "CRSH_IDLE_TIMEOUT=10m"}, `"10m" is not a number`},
		"too many of all": {[]string{"CRSH_IPC_ENDPOINT=/s", "CRSH_URL=crosscc://h", "CRSH_NUM_ATTR=1000000000"}, "from 0 to 100"},
	} {
		var stderr bytes.Buffer
		if exit := Main(t.Context(), Env{Stderr: &stderr, Environ: tc.environ}, nil); exit != 1 || !strings.Contains(stderr.String(), tc.says) {
			t.Errorf("%s: %d, %s", name, exit, stderr.String())
		}
	}
	st, err := os.Stat(p.socket)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", st.Mode(), err)
	}
	c := p.dial(t)
	c.says("greeting", greeting)
	var stdout, stderr bytes.Buffer
	for args, want := range map[string]int{"--help": 0, "-h": 0, "--version": 0, "get": 1} {
		if exit := Main(t.Context(), Env{Stdout: &stdout, Stderr: &stderr}, []string{args}); exit != want {
			t.Errorf("%s: exit %d", args, exit)
		}
	}
	if !strings.Contains(stdout.String(), "usage: ") || !strings.Contains(stderr.String(), "see --help") {
		t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
	}
}

func TestParseSetup(t *testing.T) {
	for url, want := range map[string]string{
		"crosscc://helper":            "tcp helper:3635",
		"crosscc://helper/":           "tcp helper:3635",
		"crosscc://10.0.0.1:80":       "tcp 10.0.0.1:80",
		"crosscc://[fd00::1]":         "tcp [fd00::1]:3635",
		"crosscc:///run/crosscc.http": "unix /run/crosscc.http",
		"crosscc://helper/ccache":     "",
		"crosscc://me:secret@helper":  "",
		"crosscc://helper?x=1":        "",
		"crosscc://helper#x":          "",
		"crosscc://:80":               "",
		"crosscc://":                  "",
		"crosscc:///":                 "",
		"crosscc:helper":              "",
		"http://helper":               "",
		"crosscc://he lper":           "",
		"\x00":                        "",
	} {
		network, address, err := parseURL(url)
		if got := strings.TrimSpace(network + " " + address); got != want || (err == nil) != (want != "") {
			t.Errorf("%s is %q, %v; want %q", url, got, err, want)
		}
	}
	s, err := parseSetup([]string{"CRSH_IPC_ENDPOINT=/s", "CRSH_URL=crosscc://h", "CRSH_IDLE_TIMEOUT=600", "CRSH_NUM_ATTR=1", "CRSH_ATTR_KEY_0=layout", "CRSH_ATTR_VALUE_0=flat"})
	if err != nil || s.endpoint != "/s" || s.idle != 10*time.Minute || len(s.notes) != 1 || !strings.Contains(s.notes[0], "@layout is not known") {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestMessage(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "\x00",
		"two\nlines \t here\x00":        "\x0ftwo lines here\x00",
		"\xff":                          "\x01?",
		strings.Repeat("x", 300):        "\xff" + strings.Repeat("x", 255),
		strings.Repeat("x", 254) + "éé": "\xfe" + strings.Repeat("x", 254),
	} {
		if got := string(message(text)); got != want {
			t.Errorf("%.20q is said as %q, want %q", text, got, want)
		}
	}
}
