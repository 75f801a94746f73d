package hostlist

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// What distcc takes when an entry names no slots (its doc/host-list).
const (
	distccSlots = 4
	localSlots  = 2
)

// DistccOptions are what only distcc's own entries have.
type DistccOptions struct {
	// Command is the program that ssh starts there (HOST:COMMAND); "" is distccd.
	Command string
	// LZO asks for compression, CPP for pump mode.
	LZO, CPP bool
	// Auth asks for GSS authentication, as Principal when that is not "".
	Auth      bool
	Principal string
	// Down marks the host as not to be used now.
	Down bool
}

// set reads one option, and reports whether it is one of distcc's.
func (d *DistccOptions) set(option string) bool {
	name, value, valued := strings.Cut(option, "=")
	switch {
	case option == "lzo":
		d.LZO = true
	case option == "cpp":
		d.CPP = true
	case option == "down":
		d.Down = true
	case option == "auth", name == "auth" && valued && value != "":
		d.Auth, d.Principal = true, value
	default:
		return false
	}
	return true
}

// parseDistcc reads distcc's entries:
//
//	localhost[/N]                                  this machine, no daemon
//	HOST[:PORT][/N][,OPTION…] or HOST[/N][:PORT]…  a distccd
//	[USER]@HOST[/N][:COMMAND][,OPTION…]            a distccd that ssh starts
//
// =N is /N; localhost with a port or an option is a distccd.
func parseDistcc(word string) (Host, error) {
	where, options, more := strings.Cut(word, ",")
	h := Host{Kind: Distcc, Network: TCP, Slots: distccSlots, Lines: true}
	var err error
	switch {
	case !more && (where == "localhost" || strings.HasPrefix(where, "localhost/")):
		return parseLocal(where)
	case strings.Contains(where, "@"):
		err = h.setSSH(where)
	default:
		err = h.setTCP(where)
	}
	if err == nil && more {
		err = h.setOptions(options)
	}
	if err != nil {
		return Host{}, err
	}
	return h, nil
}

func parseLocal(where string) (h Host, err error) {
	h = Host{Kind: Local, Network: TCP, Slots: localSlots, address: "localhost"}
	if n, counted := strings.CutPrefix(where, "localhost/"); counted {
		h.Slots, err = slots(n)
	}
	return h, err
}

// setTCP reads HOST, HOST:PORT, HOST/N, HOST:PORT/N and HOST/N:PORT.
func (h *Host) setTCP(where string) (err error) {
	host, count, port := cutSlots(where)
	if count != "" {
		if h.Slots, err = slots(count[1:]); err != nil {
			return err
		}
	}
	name, p, err := splitHost(host + port)
	if err != nil {
		return fmt.Errorf("%w; expected HOST[:PORT][/SLOTS][,OPTION…], or grpc://HOST for a helper of crosscc", err)
	}
	if p == "" {
		p = strconv.Itoa(portDistcc)
	}
	h.address = net.JoinHostPort(name, p)
	return nil
}

// setSSH reads [USER]@HOST[/N][:COMMAND].
func (h *Host) setSSH(where string) (err error) {
	h.Network = SSH
	user, rest, _ := strings.Cut(where, "@")
	if strings.HasPrefix(rest, "[") { // an address in brackets has colons
		return fmt.Errorf("ssh hosts are names; put an IPv6 address in ssh's configuration")
	}
	rest, h.Distcc.Command, _ = strings.Cut(rest, ":")
	host, count, _ := cutSlots(rest)
	if count != "" {
		if h.Slots, err = slots(count[1:]); err != nil {
			return err
		}
	}
	if !IsHost(host) || user != "" && !IsHost(user) {
		return fmt.Errorf("expected [USER]@HOST[/SLOTS][:COMMAND][,OPTION…]")
	}
	if h.address = host; user != "" {
		h.address = user + "@" + host
	}
	return nil
}

// cutSlots cuts /N or =N out of s: what is before, the cut with its sign, and the
// :PORT behind it.
func cutSlots(s string) (before, count, after string) {
	i := strings.IndexAny(s, "/=")
	if i < 0 {
		return s, "", ""
	}
	count = s[i:]
	if j := strings.IndexByte(count, ':'); j >= 0 {
		count, after = count[:j], count[j:]
	}
	return s[:i], count, after
}
