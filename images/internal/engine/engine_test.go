package engine

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
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
)

const pinned = "registry.example/tools@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// impatient is an Engine that waits for nobody.
func impatient(t *testing.T, host string) *Engine {
	t.Helper()
	e, err := Open(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	const soon = 50 * time.Millisecond
	e.waits = waits{answer: soon, save: soon, pull: soon, more: soon}
	return e
}

// hung is the address of an Engine that takes connections and says nothing.
func hung(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return "tcp://" + l.Addr().String()
}

// serve is an Engine that does what handle does when it is asked for what.
func serve(t *testing.T, what string, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, what) {
			handle(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// endless says text and then nothing.
func endless(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// An Engine that hangs is one that cannot be asked: nobody waits for it for ever,
// whatever it was asked, and the error says what to do.
func TestHung(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	saves := serve(t, "/images/get", endless("half an archive"))
	pulls := serve(t, "/images/create", endless(`{"status": "Pulling"}`))
	saves.Start()
	pulls.Start()
	silent := hung(t)
	find := func(e *Engine) error { _, err := e.Find(t.Context(), pinned); return err }
	pull := func(e *Engine) error { return e.Pull(t.Context(), pinned) }
	save := func(e *Engine) error {
		r, err := e.Save(t.Context(), "sha256:0")
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		text, err := io.ReadAll(r)
		if string(text) != "half an archive" {
			t.Errorf("it has said %q", text)
		}
		return err
	}
	for name, tt := range map[string]struct {
		host string
		ask  func(*Engine) error
	}{
		"find": {silent, find}, "save": {silent, save}, "pull": {silent, pull},
		"a save that stops": {"tcp://" + saves.Listener.Addr().String(), save},
		"a pull that stops": {"tcp://" + pulls.Listener.Addr().String(), pull},
	} {
		err := tt.ask(impatient(t, tt.host))
		if !errors.Is(err, ErrAway) || !strings.Contains(err.Error(), "nothing came from "+tt.host+" for 50ms; `docker version` tells") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Credentials go to an Engine that nobody else can listen to: one on this machine, or one
// that is spoken to by TLS and has to prove who it is. To others they don't, and that is
// said.
func TestCredentialsInTheClear(t *testing.T) {
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	text := `{"auths": {"registry.example": {"auth": "bWU6c2VjcmV0"}}}`
	if err := os.WriteFile(filepath.Join(config, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said := ""
	pulls := func(w http.ResponseWriter, r *http.Request) { said = r.Header.Get("X-Registry-Auth") }
	plain, secret := serve(t, "/images/create", pulls), serve(t, "/images/create", pulls)
	plain.Start()
	secret.StartTLS()
	certs := certsOf(t, secret)
	ended, end := context.WithCancel(t.Context())
	end() // those that would be asked are elsewhere
	const clear = "in the clear; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
	for name, tt := range map[string]struct {
		host, env     string // by option, or by DOCKER_HOST
		certs, verify string
		reference     string
		want          string // of the error
	}{
		"plain, elsewhere":           {host: "tcp://192.0.2.1:2375", reference: pinned, want: clear},
		"plain, by the environment":  {env: "tcp://192.0.2.1:2375", reference: pinned, want: clear},
		"by a name":                  {host: "tcp://localhost.example:2375", reference: pinned, want: clear},
		"certificates for another":   {host: "tcp://192.0.2.1:2375", certs: certs, verify: "1", reference: pinned, want: clear},
		"TLS with whoever it is":     {env: "tcp://192.0.2.1:2375", certs: certs, reference: pinned, want: clear},
		"no credentials":             {host: "tcp://192.0.2.1:2375", reference: "other." + pinned, want: "canceled"},
		"TLS":                        {env: "tcp://192.0.2.1:2375", certs: certs, verify: "1", reference: pinned, want: "canceled"},
		"this machine":               {host: "tcp://127.0.0.1:2375", reference: pinned, want: "canceled"},
		"this machine by name":       {host: "tcp://localhost:2375", reference: pinned, want: "canceled"},
		"this machine by IPv6":       {host: "tcp://[::1]:2375", reference: pinned, want: "canceled"},
		"this machine's own socket":  {host: "unix:///nowhere/docker.sock", reference: pinned, want: "canceled"},
		"what a proxy might be like": {host: "http://192.0.2.1:2375", reference: pinned, want: clear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", tt.env)
			t.Setenv("DOCKER_CERT_PATH", tt.certs)
			t.Setenv("DOCKER_TLS_VERIFY", tt.verify)
			if err := impatient(t, tt.host).Pull(ended, tt.reference); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	for name, host := range map[string]string{"plain": plain.Listener.Addr().String(), "TLS": secret.Listener.Addr().String()} {
		said = ""
		t.Setenv("DOCKER_HOST", "tcp://"+host)
		t.Setenv("DOCKER_CERT_PATH", map[string]string{"TLS": certs}[name])
		t.Setenv("DOCKER_TLS_VERIFY", "1")
		e := impatient(t, "")
		e.waits.pull = time.Minute
		if err := e.Pull(t.Context(), pinned); err != nil || said == "" {
			t.Errorf("%s: the Engine got %q, %v", name, said, err)
		}
	}
}

func TestOpen(t *testing.T) {
	for host, want := range map[string]string{"frob": "unable to parse docker host", "ssh://somewhere": "ssh://somewhere is not spoken to by ssh here; `docker save NAME -o FILE`"} {
		if _, err := Open(host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", host, err)
		}
		t.Setenv("DOCKER_HOST", host)
		if _, err := Open(""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// certsOf are a client's files for a server.
func certsOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, data := range map[string][]byte{"ca.pem": cert, "cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", name, err))
		}
	}
	return dir
}
