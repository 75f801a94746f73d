package ccache

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/store"
)

const (
	key     = "bef27073b2a2e3dc60fe4fd12b2f6bf9bd02fedf"
	flat    = "bef2e1pr58n3rhgfsjuh5cnmnudt0bvdu" // as ccache 4.7 writes it
	subdirs = "be/f2e1pr58n3rhgfsjuh5cnmnudt0bvdu"
	bazel   = "ac/bef27073b2a2e3dc60fe4fd12b2f6bf9bd02fedfbef27073b2a2e3dc60fe4fd1"
)

// serve opens a door to a store of its own.
func serve(t *testing.T, o store.Options) (*store.Store, string, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := store.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(Handler(s, t.Logf))
	t.Cleanup(func() { srv.Close(); s.Close() })
	return s, dir, srv.URL
}

func ask(t *testing.T, method, url, body string, head ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodHead && res.StatusCode == http.StatusOK {
		return res.StatusCode, fmt.Sprint(res.ContentLength)
	}
	return res.StatusCode, string(b)
}

// wants fails unless the answer is this status, with a body that begins so; a body
// of a 200 is compared whole.
func wants(t *testing.T, url, method, path, body string, status int, says string) {
	t.Helper()
	got, text := ask(t, method, url+path, body)
	if got != status || !strings.HasPrefix(text, says) || status == 200 && text != says {
		t.Errorf("%s %s: %d %.80q; want %d %.80q", method, path, got, text, status, says)
	}
}

func TestStorage(t *testing.T) {
	s, _, url := serve(t, store.Options{})
	wants(t, url, "GET", Path+subdirs, "", 404, "claim ")
	wants(t, url, "HEAD", Path+subdirs, "", 404, "")
	wants(t, url, "DELETE", Path+subdirs, "", 204, "")
	for i, put := range []string{subdirs, flat, bazel, key, "be/" + key[2:]} {
		value := strings.Repeat("value", 10_000*i) // the first is empty
		wants(t, url, "PUT", Path+put, value, 204, "")
		for _, get := range []string{subdirs, flat, bazel, key, "be/" + key[2:]} {
			wants(t, url, "GET", Path+get, "", 200, value)
			wants(t, url, "HEAD", Path+get, "", 200, fmt.Sprint(len(value)))
		}
	}
	if st := s.Stats(); st.Claims != 1 || st.Blobs != 0 || st.Actions != 0 {
		t.Errorf("one key, and the store has %+v", st)
	}
	wants(t, url, "DELETE", Path+flat, "", 204, "")
	wants(t, url, "GET", Path+subdirs, "", 404, "claim ")
	if st := s.Stats(); st.Claims != 0 {
		t.Errorf("deleted, and the store has %+v", st)
	}
}

func TestRefused(t *testing.T) {
	s, _, url := serve(t, store.Options{MaxBytes: 1 << 20})
	wants(t, url, "PUT", Path+key, "value", 204, "")
	for _, tc := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", Path + key, "x", 405, "ccache's storage knows GET"},
		{"OPTIONS", Path + key, "", 405, "ccache's storage knows GET"},
		{"GET", Path, "", 400, "expected /ccache/KEY"},
		{"GET", Path + "../ccache/" + key, "", 400, "expected"},
		{"GET", Path + "%2e%2e/" + key, "", 400, "expected"},
		{"GET", Path + "be//" + key[2:], "", 400, "expected"},
		{"GET", Path + key + "/", "", 400, "expected"},
		{"GET", Path + "./" + key, "", 400, "expected"},
		{"GET", Path + strings.ToUpper(key), "", 400, "expected"},
		{"GET", Path + key[:31], "", 400, "expected"},
		{"PUT", Path + "../../etc/passwd", "x", 400, "expected"},
		{"PUT", Path + "..%2f..%2fetc%2fpasswd", "x", 400, "expected"},
		{"PUT", Path + "claims/be/" + key, "x", 400, "expected"},
		{"PUT", Path + key, strings.Repeat("x", 1<<18), 413, "store claim"}, // with its first line over a quarter
	} {
		wants(t, url, tc.method, tc.path, tc.body, tc.status, tc.says)
	}
	// A page in a browser, whose name was made to lead here.
	if got, text := ask(t, "PUT", url+Path+key, "evil", "Origin", url); got != 403 {
		t.Errorf("PUT from a page: %d %s", got, text)
	}
	wants(t, url, "GET", Path+key, "", 200, "value")
	if st := s.Stats(); st.Claims != 1 || st.Reserved != 0 {
		t.Errorf("%+v", st)
	}
}

// talk sends raw bytes and returns the status line of the answer.
func talk(t *testing.T, url, text string, end bool) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if end {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return strings.TrimSpace(line)
}

func TestBodies(t *testing.T) {
	s, _, url := serve(t, store.Options{})
	put := "PUT " + Path + key + " HTTP/1.1\r\nHost: x\r\n"
	for _, tc := range []struct{ name, text, status string }{
		{"no length", put + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "411"},
		{"over the limit", put + fmt.Sprintf("Content-Length: %d\r\n\r\n", MaxValue+1), "413"},
		{"a length of nonsense", put + "Content-Length: -1\r\n\r\n", "400"},
		{"two lengths", put + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
		{"cut off", put + "Content-Length: 10\r\n\r\nxxx", "400"},
	} {
		if line := talk(t, url, tc.text, true); !strings.HasPrefix(line, "HTTP/1.1 "+tc.status) {
			t.Errorf("%s: %s, want %s", tc.name, line, tc.status)
		}
	}
	if st := s.Stats(); st.Claims != 0 || st.Reserved != 0 {
		t.Errorf("%+v", st)
	}
}

// TestQuarter: one machine's uploads, through whichever door, hold a quarter of the
// store at most; then it is asked to come later.
func TestQuarter(t *testing.T) {
	s, _, url := serve(t, store.Options{MaxBytes: 1 << 20})
	pr, pw := io.Pipe()
	done := make(chan error)
	go func() { done <- s.PutClaim("127.0.0.1", "held", 200<<10, pr) }()
	if _, err := pw.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	wants(t, url, "PUT", Path+key, strings.Repeat("x", 100<<10), 503, "store claim")
	pw.Close()
	<-done
	wants(t, url, "PUT", Path+key, strings.Repeat("x", 100<<10), 204, "")
}

func TestDamaged(t *testing.T) {
	s, dir, url := serve(t, store.Options{})
	wants(t, url, "PUT", Path+key, "value", 204, "")
	files, err := filepath.Glob(filepath.Join(dir, "claims", "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if want := broker.DigestOf([]byte(key)).Hash; filepath.Base(files[0]) != want {
		t.Errorf("the claim of %s lies at %s, not at the hash of its name %s", key, files[0], want)
	}
	if err := os.Chmod(files[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[0], 140); err != nil {
		t.Fatal(err)
	}
	wants(t, url, "HEAD", Path+key, "", 404, "")
	wants(t, url, "GET", Path+key, "", 404, "claim ")
	wants(t, url, "PUT", Path+key, "again", 204, "")
	wants(t, url, "GET", Path+key, "", 200, "again")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wants(t, url, "GET", Path+key, "", 404, "")
	wants(t, url, "PUT", Path+key, "x", 503, "")
	wants(t, url, "DELETE", Path+key, "", 503, "")
}

func TestParseKey(t *testing.T) {
	for _, name := range []string{key, flat, subdirs, bazel, "be/" + key[2:]} {
		if got, ok := ParseKey(name); got != key || !ok {
			t.Errorf("%s is %s, %v", name, got, ok)
		}
	}
	acKey := "ac" + key[2:]
	if got, ok := ParseKey("ac/" + key[2:]); got != acKey || !ok {
		t.Errorf("a key that begins with ac is %s, %v", got, ok)
	}
	long := strings.Repeat(key, 2)[:64] + "00"
	for _, name := range []string{long, long[:2] + "/" + long[2:], strings.Repeat("0", 32), strings.Repeat("0", 128), "ac/" + long[2:]} {
		if _, ok := ParseKey(name); !ok {
			t.Errorf("%s is no key", name)
		}
	}
	for _, name := range []string{
		"", "/", "..", key[:39], key[:30], strings.Repeat("0", 130), "b/" + key[1:], key + "\x00\x00", "bef\x2f" + key[3:],
		flat[:32] + "v", // its last digit has a bit that is not in the key
		flat[:32] + "w", "BEF2" + flat[4:], flat[:4] + "E" + flat[5:], strings.Replace(flat, "e1", "\n1", 1),
		"ac/" + strings.Repeat("g", 64), "ac/" + key[:24] + strings.Repeat("\n", 40),
	} {
		if got, ok := ParseKey(name); ok {
			t.Errorf("%q is the key %s", name, got)
		}
	}
}

// FuzzParseKey: a key is hex, and its own name.
func FuzzParseKey(f *testing.F) {
	for _, name := range []string{key, flat, subdirs, bazel, "ac/../..", "../../../../../../../../../../etc"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, ok := ParseKey(name)
		if !ok {
			return
		}
		if again, ok := ParseKey(key); again != key || !ok || !isHex(key) || len(key) < 2*minKey || len(key) > 2*maxKey {
			t.Errorf("%q is the key %q, which is %q, %v", name, key, again, ok)
		}
	})
}
