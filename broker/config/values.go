package config

import (
	"fmt"
	"math"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/broker/config/hostlist"
)

// text takes a string.
func text(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case envText:
		return string(v), nil
	}
	return "", fmt.Errorf("expected a text in quotes, not %s", kindOf(value))
}

// whole takes an integer between lo and hi.
func whole(value any, lo, hi int) (int, error) {
	n, ok := value.(int64)
	if e, fromEnv := value.(envText); fromEnv {
		var err error
		n, err = strconv.ParseInt(string(e), 10, 64)
		ok = err == nil
	}
	if !ok {
		return 0, fmt.Errorf("expected a whole number, not %s", kindOf(value))
	}
	if n < int64(lo) || n > int64(hi) {
		return 0, fmt.Errorf("%d is not between %d and %d", n, lo, hi)
	}
	return int(n), nil
}

// list takes a list of strings.
func list(value any) ([]string, error) {
	all, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("expected a list of texts, not %s", kindOf(value))
	}
	words := make([]string, len(all))
	for i, v := range all {
		s, err := text(v)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
		words[i] = s
	}
	return words, nil
}

// oneOf takes one of a few words.
func oneOf(value any, allowed ...string) (string, error) {
	s, err := text(value)
	if err != nil {
		return "", err
	}
	for _, a := range allowed {
		if s == a {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is none of %s", s, strings.Join(allowed, ", "))
}

// absolute takes a path from the root.
func absolute(value any) (string, error) {
	s, err := text(value)
	if err != nil {
		return "", err
	}
	if !path.IsAbs(s) {
		return "", fmt.Errorf("%q is not an absolute path", s)
	}
	return path.Clean(s), nil
}

func kindOf(value any) string {
	switch v := value.(type) {
	case string, envText:
		return fmt.Sprintf("%q", v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// parseDuration reads a time with its unit, at least a second: 90s, 10m, 1h30m. A
// bare number is an error, since it means something else to everybody.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%q is not a time of at least a second, such as 90s, 10m or 1h30m", s)
	}
	return d, nil
}

// parseSize reads a number of bytes with its unit: 512M, 10G, 1.5T. The units are
// powers of 1024; KiB, MiB, GiB and TiB mean the same. KB and its like, which are
// 1000 to some and 1024 to others, are errors, and so is a bare number.
func parseSize(s string) (int64, error) {
	bad := fmt.Errorf("%q is not a size such as 512M, 10G or 1.5T", s)
	i := strings.LastIndexAny(s, "0123456789.") + 1
	shift := map[string]int{"K": 10, "M": 20, "G": 30, "T": 40}[strings.TrimSuffix(s[i:], "iB")]
	if shift == 0 || strings.Trim(s[:i], "0123456789.") != "" {
		return 0, bad
	}
	f, err := strconv.ParseFloat(s[:i], 64)
	if err != nil {
		return 0, bad
	}
	f = math.Ldexp(f, shift)
	if f < 1 || f >= math.MaxInt64 {
		return 0, bad
	}
	return int64(f), nil
}

// An Address is where a door of a daemon listens: HOST:PORT (port 0 picks one, no
// host is every address), unix:/PATH, or off. The zero Address is off.
// *Address is a flag.Value, and a pflag.Value.
type Address struct{ text string }

// parseAddress reads an address. That the host is there and may be listened at is
// seen by trust.Listen.
func parseAddress(s string) (Address, error) {
	if s == "off" {
		return Address{}, nil
	}
	if p, ok := strings.CutPrefix(s, "unix:"); ok {
		if !path.IsAbs(p) || strings.ContainsRune(p, 0) {
			return Address{}, fmt.Errorf("address %q: expected unix:/PATH with an absolute path", s)
		}
		return Address{s}, nil
	}
	host, port, err := net.SplitHostPort(s)
	n, convErr := strconv.ParseUint(port, 10, 16)
	if err != nil || convErr != nil || host != "" && !hostlist.IsHost(host) {
		return Address{}, fmt.Errorf("address %q: expected HOST:PORT (port 0 picks one), unix:/PATH or off", s)
	}
	return Address{net.JoinHostPort(host, strconv.FormatUint(n, 10))}, nil
}

// Off reports whether the door stays shut.
func (a Address) Off() bool { return a.text == "" }

// String is the address as parseAddress and trust.Listen read it, or off.
func (a Address) String() string {
	if a.Off() {
		return "off"
	}
	return a.text
}

// Set parses s into a.
func (a *Address) Set(s string) (err error) {
	*a, err = parseAddress(s)
	return err
}

// Type is the placeholder in a command's help.
func (a *Address) Type() string { return "ADDR" }
