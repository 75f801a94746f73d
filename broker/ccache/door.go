// Package ccache lets builds that use ccache keep its results in a helper's store:
// it answers ccache's HTTP storage (ccache 4.4 and later) at /ccache/ of the
// helper's http door. The other way in, ccache's storage helper program, is
// broker/ccache/crsh, which speaks to this door.
//
// What ccache stores is a client's claim: nobody has seen that the compile gave
// that. So everybody who may write here is trusted by all who read from here, the
// entries lie apart (store.Claim), and crosscc's own compiles never read them.
//
// A newcomer starts with Handler, then ParseKey.
package ccache

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker/store"
)

// Path is where the storage is; what follows names an entry (ParseKey).
const Path = "/ccache/"

// MaxValue bounds a value, in bytes. ccache compresses; the largest objects with
// debug info are some tens of MiB then.
const MaxValue = 256 << 20

// Handler serves the storage from s. GET and HEAD of what is not there, damaged
// entries included, are 404 with the reason; PUT stores under a key, in the place
// of an earlier value; DELETE of what is not there is well. logf is told of this
// machine's trouble.
//
// Who may come, and how long they may take, is for the server around it.
func Handler(s *store.Store, logf func(format string, args ...any)) http.Handler {
	return &door{s, logf}
}

type door struct {
	store *store.Store
	logf  func(format string, args ...any)
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Browsers send it with each PUT, also where a page's name was made to mean
	// this machine. ccache has no origin.
	if r.Header.Get("Origin") != "" {
		http.Error(w, "this is for ccache, not for browsers", http.StatusForbidden)
		return
	}
	rest, _ := strings.CutPrefix(r.URL.Path, Path)
	key, ok := ParseKey(rest)
	if !ok {
		http.Error(w, "expected "+Path+"KEY, with a key as ccache writes it", http.StatusBadRequest)
		return
	}
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		err = d.get(w, r, key)
	case http.MethodPut:
		err = d.put(r, key)
	case http.MethodDelete:
		err = d.store.RemoveClaim(key)
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, DELETE")
		http.Error(w, "ccache's storage knows GET, HEAD, PUT and DELETE", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case err != nil:
		d.fail(w, r, err)
	case r.Method == http.MethodPut, r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (d *door) get(w http.ResponseWriter, r *http.Request, key string) error {
	c, err := d.store.Claim(key)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(c.Size(), 10))
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(w, c); err != nil {
		// The status is sent: the client sees a body that is too short.
		d.logf("ccache: send %s to %s: %v", key, r.RemoteAddr, err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// A statusError is a client's mistake.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func (d *door) put(r *http.Request, key string) error {
	switch {
	case r.ContentLength < 0:
		return &statusError{http.StatusLengthRequired, "a value needs a Content-Length"}
	case r.ContentLength > MaxValue:
		return &statusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("a value of %d bytes is over the limit of %d", r.ContentLength, MaxValue)}
	}
	return d.store.PutClaim(clientOf(r.RemoteAddr), key, r.ContentLength, r.Body)
}

// clientOf names who uploads, for the share of the store that one may hold; it is
// what the grpc door calls the same machine.
func clientOf(addr string) string {
	if a, err := netip.ParseAddrPort(addr); err == nil {
		return a.Addr().Unmap().String()
	}
	return "unix"
}

// fail answers with what went wrong. Reads and writes that fail are no more than a
// miss to ccache.
func (d *door) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	var client *statusError
	var miss *store.Miss
	switch {
	case errors.As(err, &client):
		status = client.status
	case errors.As(err, &miss):
		status = http.StatusNotFound
	case errors.Is(err, store.ErrMismatch), errors.Is(err, io.ErrUnexpectedEOF):
		status = http.StatusBadRequest
	case errors.Is(err, os.ErrDeadlineExceeded):
		status = http.StatusRequestTimeout
	case errors.Is(err, store.ErrTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrClosed):
		status = http.StatusServiceUnavailable
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		status = http.StatusInsufficientStorage
	}
	if status >= http.StatusInternalServerError {
		d.logf("ccache: %s from %s: %v", r.Method, r.RemoteAddr, err)
	}
	http.Error(w, err.Error(), status)
}
