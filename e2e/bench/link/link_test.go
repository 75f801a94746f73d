package link

import "testing"

func TestParseDev(t *testing.T) {
	const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 4711      12    0    0    0     0          0         0     4711      12    0    0    0     0       0          0
  wire:99 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0
`
	for _, c := range []struct {
		name string
		want int64
		ok   bool
	}{{"lo", 4711, true}, {"wire", 99, true}, {"eth0", 0, false}} {
		got, err := parseDev(text, c.name)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: %d, %v", c.name, got, err)
		}
	}
	if _, err := parseDev("lo: 1 2 3\n", "lo"); err == nil {
		t.Error("a line that is cut off was read")
	}
}

func TestSpeaks(t *testing.T) {
	// An IPv4 header without options, then a TCP header without options.
	packet := func(protocol, flags byte, payload int) []byte {
		p := make([]byte, 40+payload)
		p[0], p[9] = 4<<4|5, protocol
		p[2], p[3] = byte(len(p)>>8), byte(len(p))
		p[20+12], p[20+13] = 5<<4, flags
		return p
	}
	const tcp, udp, ack, syn, fin = 6, 17, 16, 2, 1
	for _, c := range []struct {
		name string
		data []byte
		want bool
	}{
		{"data", packet(tcp, ack, 1), true},
		{"much data", packet(tcp, ack, 1400), true},
		{"acknowledgement", packet(tcp, ack, 0), false},
		{"opening", packet(tcp, syn, 0), true},
		{"its answer", packet(tcp, syn|ack, 0), true},
		{"end", packet(tcp, fin|ack, 0), false},
		{"datagram", packet(udp, 0, 1), true},
		{"cut off", packet(tcp, syn, 0)[:30], false},
		{"empty", nil, false},
		{"not IPv4", append([]byte{6 << 4}, packet(tcp, ack, 1)[1:]...), false},
	} {
		if got := speaks(c.data); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
