// Package trust decides who may talk to a daemon of crosscc, before anything
// that they say is believed: allow lists of addresses, listeners that bound what
// strangers can hold open, and the uid behind a unix socket.
//
// A newcomer starts with Listen, which every door is opened with, then ParseAllow.
package trust

import (
	"fmt"
	"net/netip"
	"strings"
)

// An AllowList says which addresses may speak to a door in the clear. Loopback
// is always allowed; the zero AllowList allows nothing else. It never changes.
type AllowList struct {
	prefixes []netip.Prefix // masked; IPv4 ranges in IPv4 form
}

// ParseAllow reads addresses and CIDR ranges, as --allow and the configuration's
// allow give them. What cannot be read is an error and allows nobody: a list that
// is damaged must never mean that everybody is welcome. Names are not looked up,
// since what they mean is in the hands of whoever answers for the name.
func ParseAllow(words []string) (AllowList, error) {
	var l AllowList
	for _, w := range words {
		p, err := parsePrefix(w)
		if err != nil {
			return AllowList{}, fmt.Errorf("allow %q: %w", w, err)
		}
		l.prefixes = append(l.prefixes, p)
	}
	return l, nil
}

func parsePrefix(w string) (netip.Prefix, error) {
	if !strings.Contains(w, "/") {
		a, err := netip.ParseAddr(w)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("expected an address such as 192.168.1.7 or a range such as 192.168.1.0/24")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(w)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("expected a range such as 192.168.1.0/24 or fd00::/8")
	}
	if p, err = fold(p); err != nil {
		return netip.Prefix{}, err
	}
	// 192.168.1.7/24 is one machine to some and 256 to others; being wrong
	// about it opens a door.
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("bits are set behind /%d: write %s for the range or %s for the one address", p.Bits(), p.Masked(), p.Addr())
	}
	return p, nil
}

// fold turns a range of IPv4-mapped addresses (::ffff:10.0.0.0/104) into the IPv4
// range, because that is what a socket for both families shows peers as.
func fold(p netip.Prefix) (netip.Prefix, error) {
	if !p.Addr().Is4In6() {
		return p, nil
	}
	if p.Bits() < 96 {
		return netip.Prefix{}, fmt.Errorf("a range of IPv4-mapped addresses needs at least /96; write 0.0.0.0/0 for all of IPv4")
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96), nil
}

// Allows reports whether a may speak. IPv4-mapped addresses count as IPv4, and
// zones (fe80::1%eth0) are of no account. ::/0 is IPv6 alone.
func (l AllowList) Allows(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return true
	}
	for _, p := range l.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Empty reports whether nothing but loopback is allowed.
func (l AllowList) Empty() bool { return len(l.prefixes) == 0 }

// String is the list as ParseAllow reads it, separated by spaces.
func (l AllowList) String() string {
	words := make([]string, len(l.prefixes))
	for i, p := range l.prefixes {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}
