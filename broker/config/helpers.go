package config

import (
	"strings"

	"github.com/crosscc/crosscc/broker/config/hostlist"
)

// Helpers are the hosts that jobs go to: those of the list, or the helper
// inside the agent when crosscc was given none. A list of distcc's that was
// only found lying about, and names nothing that crosscc can use yet, is none.
func (c Client) Helpers() []hostlist.Host {
	if c.HostsFrom == "" || c.fromDistcc() && !hasHelper(c.Hosts.Entries) {
		return []hostlist.Host{hostlist.Embedded(c.Match)}
	}
	return c.Hosts.Entries
}

func (c Client) fromDistcc() bool {
	return c.HostsFrom == "DISTCC_HOSTS" || strings.HasSuffix(c.HostsFrom, "distcc/hosts")
}

func hasHelper(list []hostlist.Host) bool {
	for _, h := range list {
		if h.Kind == hostlist.GRPC && h.Network != hostlist.SSH && !h.TLS {
			return true
		}
	}
	return false
}
