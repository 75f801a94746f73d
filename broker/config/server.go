package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/crosscc/crosscc/broker/config/hostlist"
)

// serverFile is where a helper's configuration is unless --config says.
const serverFile = "/etc/crosscc/crossccd.toml"

// PortHTTP is the port of ccache's storage where an address says none. Those of jobs
// are in package hostlist; 3633 is distccd's statistics.
const PortHTTP = 3635

// minCache is the least cache_size, in bytes: a quarter of it must hold an
// ordinary object file.
const minCache = 1 << 20

// A Server is the configuration of crossccd serve.
type Server struct {
	// The doors. By default GRPC is open on loopback and the others are off.
	GRPC, Distcc, HTTP, Stats Address
	// Allow are the addresses that may connect from other machines, for
	// trust.ParseAllow.
	Allow []string
	// State is the absolute directory of the helper's files; "" is the
	// daemon's own choice.
	State string
	// Jobs is how many jobs run at once; 0 means as many as processors.
	Jobs int
	// Sandbox is bwrap, docker or none.
	Sandbox string
	// CacheSize bounds the store, in bytes.
	CacheSize int64
	// Images are the container images whose compilers are offered as well.
	Images []Image
	// ImagesSize bounds the store of images, in bytes.
	ImagesSize int64
	// Packs says that clients may send their own compilers.
	Packs bool
	// Search are the absolute prefixes where toolchains are looked for; nil
	// means $PATH and the known places.
	Search []string
}

// serverSettings are the keys of crossccd.toml, as they set s.
func serverSettings(s *Server) []setting {
	return []setting{
		{"grpc", "", `Where the REAPI door listens: "HOST:PORT" (port 0 picks one), "unix:/PATH" or "off". Default "127.0.0.1:3634".`,
			func(v any) error { return set(&s.GRPC, v, addressOf) }},
		{"distcc", "", `Where the distcc door listens. Default "off"; its port is 3632.`,
			func(v any) error { return set(&s.Distcc, v, addressOf) }},
		{"http", "", `Where ccache's storage is, at /ccache/. Default "off"; its port is 3635.`,
			func(v any) error { return set(&s.HTTP, v, addressOf) }},
		{"stats", "", `Where distccd's statistics are. Default "off"; the port is 3633.`,
			func(v any) error { return set(&s.Stats, v, addressOf) }},
		{"allow", "", `A list of addresses and ranges ("192.168.1.0/24") that may connect. Default: this machine alone.`,
			func(v any) error { return set(&s.Allow, v, list) }},
		{"state", "", "The directory of the helper's files, an absolute path.",
			func(v any) error { return set(&s.State, v, absolute) }},
		{"jobs", "", "How many jobs run at once. Default 0: as many as processors.",
			func(v any) error { return set(&s.Jobs, v, slotsOf) }},
		{"sandbox", "", `"bwrap" (default), "docker", or "none", which gives each client this user's rights.`,
			func(v any) error { return set(&s.Sandbox, v, sandboxOf) }},
		{"cache_size", "", `How much the store may hold: "512M", "10G" (default).`,
			func(v any) error { return set(&s.CacheSize, v, cacheSizeOf) }},
		{"images_size", "", `How much the store of container images may hold, unpacked ones and all: "512M", "40G" (default).`,
			func(v any) error { return set(&s.ImagesSize, v, cacheSizeOf) }},
		{"image", "", "Container images whose compilers are offered too, one table [[image]] each; its keys are below.",
			func(v any) error {
				return setRows("image", v, func() ([]setting, func() error) { return imageRow(&s.Images) })
			}},
		{"packs", "", "Whether a client may send its own compilers where the helper has none like them (`crossctl pack` makes the same). They run in the sandbox, serve only the agent that sent them, whatever others come from its address (docs/security.md), and are gone when the helper stops or has done nothing for that agent for hours. Default false.",
			func(v any) error { return set(&s.Packs, v, truth) }},
		{"toolchains.search", "", "Where toolchains are looked for, instead of $PATH and the known places: a list of directories, prefixes with a bin below, or compilers; * stands for any part of a name.",
			func(v any) error { return set(&s.Search, v, prefixesOf) }},
	}
}

// LoadServer loads the configuration at path. With no path it is serverFile, which
// need not be there; a file that was asked for must be.
func LoadServer(path string) (Server, error) {
	s := Server{
		GRPC:      Address{fmt.Sprintf("127.0.0.1:%d", hostlist.PortGRPC)},
		Sandbox:   "bwrap",
		CacheSize: 10 << 30, ImagesSize: 40 << 30,
	}
	doc, err := readFile(path)
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return Server{}, fmt.Errorf("configuration: %w", err)
	}
	if path == "" {
		path = serverFile
	}
	if err := applyFile(path, doc, serverSettings(&s)); err != nil {
		return Server{}, err
	}
	return s, nil
}

// DefaultState is where the files are of a helper whose configuration says nothing.
func DefaultState(getenv func(string) string) (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/crosscc", nil
	}
	dir := getenv("XDG_STATE_HOME")
	if dir == "" {
		home := getenv("HOME")
		if home == "" {
			return "", errors.New("no place for the helper's state: give --state, or set HOME")
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "crosscc", "helper"), nil
}

func readFile(path string) ([]byte, error) {
	if path == "" {
		path = serverFile
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

func addressOf(value any) (Address, error) {
	s, err := text(value)
	if err != nil {
		return Address{}, err
	}
	return parseAddress(s)
}

func sandboxOf(value any) (string, error) { return oneOf(value, "bwrap", "docker", "none") }

func cacheSizeOf(value any) (int64, error) {
	s, err := text(value)
	if err != nil {
		return 0, fmt.Errorf(`%w; write the unit too: "10G"`, err)
	}
	n, err := parseSize(s)
	if err == nil && n < minCache {
		err = fmt.Errorf("%q is less than 1M", s)
	}
	return n, err
}

func prefixesOf(value any) ([]string, error) {
	words, err := list(value)
	if err != nil {
		return nil, err
	}
	for i, w := range words {
		if words[i], err = absolute(w); err != nil {
			return nil, err
		}
		// A PATH is made of these.
		if strings.Contains(w, ":") {
			return nil, fmt.Errorf("%q has a colon; write one prefix an item", w)
		}
	}
	return words, nil
}
