// Package hostlist reads host lists, as distcc writes them and as crosscc does: where
// jobs may be sent. Start with Parse; distcc.go has the entries that are distcc's own.
package hostlist

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/toolchains"
)

// Bounds of a host list. They are far over what anybody needs: the list may come
// from a file of a project that somebody else wrote.
const (
	maxHostList = 64 << 10 // bytes
	maxHosts    = 1000
	// MaxSlots bounds how many jobs may run at once, anywhere.
	MaxSlots = 10000
)

// PortGRPC is the port of a helper that names none; portDistcc is distcc's.
const (
	PortGRPC   = 3634
	portDistcc = 3632
)

// A List is a host list, in its own order.
type List struct {
	Entries []Host
	// Randomize asks for another order in each client (distcc's --randomize).
	Randomize bool
	// LocalSlots and LocalSlotsCPP are distcc's limits for local jobs and for
	// local preprocessing; 0 when not said.
	LocalSlots, LocalSlotsCPP int
	// MDNS asks for the helpers that the network announces (+mdns), Zeroconf
	// for the distccd hosts (+zeroconf).
	MDNS, Zeroconf bool
}

// A Kind says what answers at a host.
type Kind string

// The kinds of host.
const (
	GRPC   Kind = "grpc"      // a helper of ours
	REAPI  Kind = "reapi"     // a remote-execution engine
	Distcc Kind = "distcc"    // a distccd
	Local  Kind = "localhost" // this machine, without a daemon
	// InProcess is the helper inside an agent. It stands in no list.
	InProcess Kind = "embedded"
)

// A Network says how a host is reached.
type Network string

// The networks.
const (
	TCP  Network = "tcp"
	Unix Network = "unix"
	SSH  Network = "ssh" // the user's own ssh program
)

// A Host is one entry of a host list. Hosts are comparable.
type Host struct {
	Kind    Kind
	Network Network
	// TLS says that the connection is encrypted and both ends prove who they
	// are (grpcs, reapis).
	TLS bool
	// Slots is how many jobs to send there at once; 0 is what the helper says.
	Slots int
	// Match is the least match that a toolchain there must have;
	// toolchains.None means that the entry does not say (config.LoadClient fills it in).
	Match toolchains.Match
	// Lines says that jobs with debug info may go there preprocessed, though
	// their line tables will differ (debug=lines; distcc entries do by default).
	Lines bool
	// Distcc holds what only distcc's own entries have.
	Distcc DistccOptions
	// Word is the entry as written.
	Word string

	address string
}

// Address is what is dialled and shown: host:port, unix:/path, or what ssh is
// given ([user@]host, with a port when an ssh:// entry has one).
func (h Host) Address() string { return h.address }

// Embedded is the host that stands for the helper inside the agent, for builds
// that name no other.
func Embedded(match toolchains.Match) Host {
	return Host{Kind: InProcess, Match: match, Word: "embedded", address: "embedded"}
}

// Parse reads a host list: entries apart by white space, # begins a comment.
//
//	grpc[s]://HOST[:3634][/SLOTS][,OPTION…]    a helper; grpcs with TLS
//	grpc+unix:///PATH[,OPTION…] or unix:/PATH  a helper on this machine
//	reapi[s]://HOST:PORT[/SLOTS][,OPTION…]     a remote-execution engine
//	ssh://[USER@]HOST[:PORT][/SLOTS][,OPTION…] a helper, through ssh
//	+mdns                                      helpers that announce themselves
//
// OPTION is debug=lines, debug=none, match=identical or match=calibrated. All
// else is distcc's (see distcc.go). One entry that cannot be read makes the list
// an error that names it.
func Parse(s string) (List, error) {
	if len(s) > maxHostList {
		return List{}, fmt.Errorf("host list: %d bytes are over the limit of %d", len(s), maxHostList)
	}
	var words []string
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		words = append(words, strings.Fields(line)...)
	}
	if len(words) > maxHosts {
		return List{}, fmt.Errorf("host list: %d entries are over the limit of %d", len(words), maxHosts)
	}
	var l List
	for _, w := range words {
		if err := l.add(w); err != nil {
			return List{}, fmt.Errorf("host list: %q: %w", w, err)
		}
	}
	return l, nil
}

func (l *List) add(word string) error {
	if word[0] == '+' || strings.HasPrefix(word, "--") {
		return l.addOption(word)
	}
	host, err := parseHost(word)
	if err != nil {
		return err
	}
	host.Word = word
	l.Entries = append(l.Entries, host)
	return nil
}

func (l *List) addOption(word string) (err error) {
	name, value := word, ""
	if i := strings.IndexAny(word, "=/"); i >= 0 {
		name, value = word[:i], word[i+1:]
	}
	switch {
	case word == "--randomize":
		l.Randomize = true
	case word == "+mdns":
		l.MDNS = true
	case word == "+zeroconf":
		l.Zeroconf = true
	case name == "--localslots":
		l.LocalSlots, err = slots(value)
	case name == "--localslots_cpp":
		l.LocalSlotsCPP, err = slots(value)
	default:
		err = fmt.Errorf("expected --randomize, --localslots=N, --localslots_cpp=N, +mdns or +zeroconf")
	}
	return err
}

// A scheme is a row of the table of entries with ://.
type scheme struct {
	name    string
	kind    Kind
	network Network
	tls     bool
	port    string // when the entry has none; "" when it must have one
	form    string // for errors
}

// sshPort stands for the port that ssh takes from its own configuration.
const sshPort = "ssh's"

func schemes() []scheme {
	return []scheme{
		{"grpc", GRPC, TCP, false, strconv.Itoa(PortGRPC), "grpc://HOST[:PORT][/SLOTS][,OPTION…]"},
		{"grpcs", GRPC, TCP, true, strconv.Itoa(PortGRPC), "grpcs://HOST[:PORT][/SLOTS][,OPTION…]"},
		{"grpc+unix", GRPC, Unix, false, "", "grpc+unix:///PATH[,OPTION…]"},
		// Engines have no port in common.
		{"reapi", REAPI, TCP, false, "", "reapi://HOST:PORT[/SLOTS][,OPTION…]"},
		{"reapis", REAPI, TCP, true, "", "reapis://HOST:PORT[/SLOTS][,OPTION…]"},
		{"ssh", GRPC, SSH, false, sshPort, "ssh://[USER@]HOST[:PORT][/SLOTS][,OPTION…]"},
	}
}

func parseHost(word string) (Host, error) {
	if p, ok := strings.CutPrefix(word, "unix:"); ok && !strings.HasPrefix(p, "//") {
		return parseScheme(schemes()[2], p)
	}
	name, rest, ok := strings.Cut(word, "://")
	if !ok {
		return parseDistcc(word)
	}
	var known []string
	for _, s := range schemes() {
		if s.name == name {
			return parseScheme(s, rest)
		}
		known = append(known, s.name)
	}
	return Host{}, fmt.Errorf("unknown scheme %q; known are %s", name, strings.Join(known, ", "))
}

func parseScheme(s scheme, rest string) (Host, error) {
	h := Host{Kind: s.kind, Network: s.network, TLS: s.tls}
	where, options, more := strings.Cut(rest, ",")
	var err error
	if s.network == Unix {
		h.address, err = unixAddress(where)
	} else {
		h.address, h.Slots, err = s.hostAndSlots(where)
	}
	if err != nil {
		return Host{}, fmt.Errorf("%w; expected %s", err, s.form)
	}
	if more {
		err = h.setOptions(options)
	}
	return h, err
}

func unixAddress(p string) (string, error) {
	if !path.IsAbs(p) || strings.ContainsRune(p, 0) {
		return "", fmt.Errorf("the path is not absolute")
	}
	return "unix:" + p, nil
}

// hostAndSlots reads [USER@]HOST[:PORT][/SLOTS].
func (s scheme) hostAndSlots(where string) (address string, n int, err error) {
	where, count, counted := strings.Cut(where, "/")
	if counted {
		if n, err = slots(count); err != nil {
			return "", 0, err
		}
	}
	user, host, named := strings.Cut(where, "@")
	if !named {
		host = where
	} else if s.network != SSH || !IsHost(user) {
		return "", 0, fmt.Errorf("the user cannot be read")
	}
	host, port, err := splitHost(host)
	if err != nil {
		return "", 0, err
	}
	if port == "" {
		port = s.port
	}
	switch port {
	case "":
		return "", 0, fmt.Errorf("the port is missing")
	case sshPort:
		address = host
	default:
		address = net.JoinHostPort(host, port)
	}
	if named {
		address = user + "@" + address
	}
	return address, n, nil
}

// setOptions reads the options of all entries, and distcc's own on its own.
func (h *Host) setOptions(options string) error {
	for o := range strings.SplitSeq(options, ",") {
		switch o {
		case "debug=lines":
			h.Lines = true
		case "debug=none":
			h.Lines = false
		case "match=identical":
			h.Match = toolchains.Identical
		case "match=calibrated":
			h.Match = toolchains.Calibrated
		default:
			if h.Kind == Distcc && h.Distcc.set(o) {
				continue
			}
			return fmt.Errorf("unknown option %q; known are %s", o, h.knownOptions())
		}
	}
	return nil
}

func (h *Host) knownOptions() string {
	ours := "debug=lines, debug=none, match=identical, match=calibrated"
	if h.Kind == Distcc {
		return "lzo, cpp, auth, auth=NAME, down, " + ours
	}
	return ours
}

// splitHost reads HOST[:PORT] with an IPv6 address in brackets.
func splitHost(s string) (host, port string, err error) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
		}
		port = strconv.FormatUint(n, 10)
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "", "", fmt.Errorf("an IPv6 address goes in brackets: [::1]")
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(host); !ok || err != nil || !a.Is6() {
			return "", "", fmt.Errorf("[%s is not an IPv6 address in brackets", inner)
		}
	}
	if host == "" {
		return "", "", fmt.Errorf("the host's name is missing")
	}
	if !IsHost(host) {
		return "", "", fmt.Errorf("%q is not a host's name", host)
	}
	return host, port, nil
}

// IsHost reports whether s could be a host's name or address: nothing in it may
// mean something to ssh, a resolver or a log.
func IsHost(s string) bool {
	if s == "" || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("._-:%", c) < 0 {
			return false
		}
	}
	return true
}

func slots(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxSlots {
		return 0, fmt.Errorf("slots %q is not a number from 1 to %d", s, MaxSlots)
	}
	return n, nil
}
