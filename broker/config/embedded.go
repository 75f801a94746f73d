package config

import (
	"strings"

	"github.com/crosscc/crosscc/toolchains"
)

// InProcess is the kind of the helper inside an agent. It stands in no list.
const InProcess Kind = "embedded"

// Embedded is the host that stands for the helper inside the agent, for builds
// that name no other.
func Embedded(match toolchains.Match) Host {
	return Host{Kind: InProcess, Match: match, Word: "embedded", address: "embedded"}
}

// Helpers are the hosts that jobs go to: those of the list, or the helper
// inside the agent when crosscc was given none. A list of distcc's that was
// only found lying about, and names nothing that crosscc can use yet, is none.
func (c Client) Helpers() []Host {
	if c.HostsFrom == "" || c.fromDistcc() && !hasHelper(c.Hosts.List) {
		return []Host{Embedded(c.Match)}
	}
	return c.Hosts.List
}

func (c Client) fromDistcc() bool {
	return c.HostsFrom == "DISTCC_HOSTS" || strings.HasSuffix(c.HostsFrom, "distcc/hosts")
}

func hasHelper(list []Host) bool {
	for _, h := range list {
		if h.Kind == GRPC && h.Network != SSH && !h.TLS {
			return true
		}
	}
	return false
}
