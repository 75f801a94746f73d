package crsh

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/crosscc/crosscc/broker/ccache"
)

const (
	// dialTime bounds a connection to the helper's machine, which is near.
	dialTime = time.Second
	// answerTime bounds the wait for an answer to a whole request. It is less
	// than the 10 s that ccache waits for a byte.
	answerTime = 8 * time.Second
	// wholeTime bounds a request with its answer; ccache waits a minute.
	wholeTime = 50 * time.Second
	// downTime is how long a helper that did not answer is not asked: a build
	// must not wait for it once a compile.
	downTime = 10 * time.Second
	// maxConns is how many connections to the helper there are at once.
	maxConns = 32
	// maxReason bounds what is read of the reason for an error.
	maxReason = 200
)

// A remote is a helper's http door.
type remote struct {
	address string
	client  *http.Client
	now     func() time.Time

	mu    sync.Mutex // guards the fields below
	down  error      // why it was not reached last, or nil
	until time.Time  // it is not asked before
}

func newRemote(network, address string) *remote {
	dialer := &net.Dialer{Timeout: dialTime}
	return &remote{address: address, now: time.Now, client: &http.Client{
		Timeout: wholeTime,
		Transport: &http.Transport{
			// No proxy: the address is the helper's.
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
			ResponseHeaderTimeout: answerTime,
			MaxConnsPerHost:       maxConns,
			MaxIdleConnsPerHost:   maxConns,
			IdleConnTimeout:       20 * time.Second, // the door's is longer
			DisableCompression:    true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ask sends one request. The answer's status is 200, 204 or 404; any other is an
// error. The caller closes its body.
func (r *remote) ask(ctx context.Context, method string, key, value []byte) (*http.Response, error) {
	if err := r.trouble(); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://helper"+ccache.Path+hex.EncodeToString(key), bytes.NewReader(value))
	if err != nil {
		return nil, err
	}
	// All four may be sent again, on a connection that the door did not close
	// just then; the header itself is not sent.
	req.Header["Idempotency-Key"] = nil
	res, err := r.client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without a URL that nobody typed
	}
	r.note(ctx, err)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.address, err)
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusNotFound:
		return res, nil
	}
	defer res.Body.Close()
	reason, _ := io.ReadAll(io.LimitReader(res.Body, maxReason))
	return nil, fmt.Errorf("%s: %s: %s", r.address, res.Status, strings.TrimSpace(string(reason)))
}

// trouble says why the helper is not asked just now.
func (r *remote) trouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down == nil || r.now().After(r.until) {
		return nil
	}
	return r.down
}

// note remembers a helper that did not answer, unless it was ctx that ended.
func (r *remote) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down, r.until = nil, r.now().Add(downTime)
	if err != nil {
		r.down = fmt.Errorf("%s did not answer and is left alone for %s: %w", r.address, downTime, err)
	}
}

// get returns the value of key, which the caller closes, and its size. It is nil
// when there is none.
func (r *remote) get(ctx context.Context, key []byte) (io.ReadCloser, int64, error) {
	res, err := r.ask(ctx, http.MethodGet, key, nil)
	switch {
	case err != nil:
		return nil, 0, err
	case res.StatusCode == http.StatusNotFound:
		res.Body.Close()
		return nil, 0, nil
	case res.ContentLength < 0 || res.ContentLength > ccache.MaxValue:
		res.Body.Close()
		return nil, 0, fmt.Errorf("%s: a value of %d bytes, of at most %d", r.address, res.ContentLength, ccache.MaxValue)
	}
	return res.Body, res.ContentLength, nil
}

// has reports whether there is a value of key.
func (r *remote) has(ctx context.Context, key []byte) (bool, error) {
	return r.tell(ctx, http.MethodHead, key, nil)
}

// put stores a value, in the place of another.
func (r *remote) put(ctx context.Context, key, value []byte) error {
	there, err := r.tell(ctx, http.MethodPut, key, value)
	if err == nil && !there {
		err = fmt.Errorf("%s has no storage for ccache", r.address)
	}
	return err
}

// remove takes a value away, if there is one.
func (r *remote) remove(ctx context.Context, key []byte) error {
	_, err := r.tell(ctx, http.MethodDelete, key, nil)
	return err
}

// tell asks where the status is the answer: false is 404.
func (r *remote) tell(ctx context.Context, method string, key, value []byte) (bool, error) {
	res, err := r.ask(ctx, method, key, value)
	if err != nil {
		return false, err
	}
	res.Body.Close()
	return res.StatusCode != http.StatusNotFound, nil
}
