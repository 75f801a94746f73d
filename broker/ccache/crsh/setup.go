package crsh

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/local"
)

// A setup is what ccache tells the program that it starts.
type setup struct {
	endpoint         string        // the socket to listen at
	network, address string        // where the helper's http door is
	idle             time.Duration // how long to stay without a ccache; 0 is for ever
	notes            []string      // for ccache's log
}

func parseSetup(environ []string) (setup, error) {
	get := func(name string) string { return local.Getenv(environ, "CRSH_"+name) }
	s := setup{endpoint: get("IPC_ENDPOINT")}
	if s.endpoint == "" || get("URL") == "" {
		return setup{}, fmt.Errorf("CRSH_IPC_ENDPOINT and CRSH_URL are not set: ccache starts this program, see --help")
	}
	var err error
	if s.network, s.address, err = parseURL(get("URL")); err != nil {
		return setup{}, fmt.Errorf("remote storage %q: %w", get("URL"), err)
	}
	seconds, err := number(get("IDLE_TIMEOUT"), math.MaxInt64/int64(time.Second))
	if err != nil {
		return setup{}, fmt.Errorf("CRSH_IDLE_TIMEOUT: %w", err)
	}
	s.idle = time.Duration(seconds) * time.Second
	attributes, err := number(get("NUM_ATTR"), 100)
	if err != nil {
		return setup{}, fmt.Errorf("CRSH_NUM_ATTR: %w", err)
	}
	for i := range attributes {
		s.notes = append(s.notes, "the attribute @"+get(fmt.Sprintf("ATTR_KEY_%d", i))+" is not known and has no effect")
	}
	return s, nil
}

// number reads a whole number; an empty one is 0.
func number(s string, most int64) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", s, most)
	}
	return n, nil
}

// parseURL reads crosscc://HOST[:PORT] or crosscc:///PATH of a socket.
func parseURL(s string) (network, address string, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", "", err
	}
	switch {
	case u.Scheme != "crosscc" || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
	case u.Host == "" && u.Path != "/" && path.IsAbs(u.Path):
		return "unix", u.Path, nil
	case u.Hostname() != "" && (u.Path == "" || u.Path == "/"):
		port := u.Port()
		if port == "" {
			port = strconv.Itoa(config.PortHTTP)
		}
		return "tcp", net.JoinHostPort(u.Hostname(), port), nil
	}
	return "", "", fmt.Errorf("expected crosscc://HOST, crosscc://HOST:PORT or crosscc:///PATH")
}
