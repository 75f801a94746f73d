package trust

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAllows(t *testing.T) {
	tests := []struct {
		allow    string
		yes, no  string
		becauses string
	}{
		{"", "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1", "10.0.0.1 ::2 0.0.0.0 ::", "loopback alone"},
		{"192.168.1.0/24", "192.168.1.0 192.168.1.255 ::ffff:192.168.1.7 127.0.0.1", "192.168.2.1 ::ffff:192.168.2.1 ::192.168.1.7", "mapped peers are IPv4"},
		{"::ffff:10.0.0.0/104", "10.1.2.3 ::ffff:10.255.0.1", "11.0.0.1 ::1.2.3.4", "mapped ranges are IPv4"},
		{"::ffff:10.0.0.9", "10.0.0.9", "10.0.0.8", "mapped addresses are IPv4"},
		{"::ffff:0.0.0.0/96", "8.8.8.8", "2001:db8::1", "all of IPv4, mapped"},
		{"10.0.0.7", "10.0.0.7", "10.0.0.6 10.0.0.8", "one address"},
		{"fd00::/8 10.0.0.0/8", "fd12::1 10.0.0.1", "fe80::1 11.0.0.1", "two ranges"},
		{"fe80::/10", "fe80::1%eth0 fe80::2", "fec0::1", "zones are of no account"},
		{"::/0", "2001:db8::1", "8.8.8.8 ::ffff:8.8.8.8", "IPv6 alone"},
		{"0.0.0.0/0", "8.8.8.8 ::ffff:8.8.8.8", "2001:db8::1", "IPv4 alone"},
	}
	for _, tt := range tests {
		l, err := ParseAllow(strings.Fields(tt.allow))
		if err != nil {
			t.Errorf("ParseAllow(%q): %v", tt.allow, err)
			continue
		}
		for _, a := range strings.Fields(tt.yes) {
			if !l.Allows(netip.MustParseAddr(a)) {
				t.Errorf("allow %q does not allow %s (%s)", tt.allow, a, tt.becauses)
			}
		}
		for _, a := range strings.Fields(tt.no) {
			if l.Allows(netip.MustParseAddr(a)) {
				t.Errorf("allow %q allows %s (%s)", tt.allow, a, tt.becauses)
			}
		}
		if l.Allows(netip.Addr{}) {
			t.Errorf("allow %q allows no address at all", tt.allow)
		}
		again, err := ParseAllow(strings.Fields(l.String()))
		if err != nil || again.String() != l.String() {
			t.Errorf("allow %q is %q, which reads as %q, %v", tt.allow, l, again, err)
		}
	}
}

func TestParseAllowRefuses(t *testing.T) {
	tests := []struct{ word, says string }{
		{"", "expected an address"},
		{"*", "expected an address"},
		{"any", "expected an address"},
		{"build.example.org", "expected an address"},
		{"10.0.0", "expected an address"},
		{"10.0.0.256", "expected an address"},
		{"010.0.0.1", "expected an address"},
		{"10.0.0.1:80", "expected an address"},
		{"fe80::1%eth0", "expected an address"},
		{"10.0.0.0/33", "expected a range"},
		{"10.0.0.0/-1", "expected a range"},
		{"10.0.0.0/255.0.0.0", "expected a range"},
		{"10.0.0.0/", "expected a range"},
		{"/8", "expected a range"},
		{"192.168.1.7/24", "write 192.168.1.0/24 for the range or 192.168.1.7 for the one address"},
		{"::ffff:10.0.0.1/104", "write 10.0.0.0/8"},
		{"::ffff:0.0.0.0/90", "at least /96"},
	}
	for _, tt := range tests {
		l, err := ParseAllow([]string{"10.0.0.0/8", tt.word})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("ParseAllow(%q): %v, want %q", tt.word, err, tt.says)
		}
		if !l.Empty() || l.Allows(netip.MustParseAddr("10.0.0.1")) {
			t.Errorf("ParseAllow(%q) failed and allows %q", tt.word, l)
		}
	}
}

func FuzzParseAllow(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::ffff:10.0.0.0/104", "fe80::1%x", "::/0", "1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseAllow([]string{s})
		if err != nil {
			if !l.Empty() {
				t.Fatalf("%q is an error and allows %q", s, l)
			}
			return
		}
		again, err := ParseAllow(strings.Fields(l.String()))
		if err != nil || again.String() != l.String() {
			t.Fatalf("%q is %q, which reads as %q, %v", s, l, again, err)
		}
	})
}
