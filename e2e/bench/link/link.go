package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The addresses of a Link's two ends. Every Link has the same: its namespaces
// know no other.
const (
	ClientAddress = "10.77.0.1"
	HelperAddress = "10.77.0.2"
)

// mtu is Ethernet's.
const mtu = 1500

// queueLimit bounds how long a packet may wait for its turn before it is
// dropped, as in tc's tbf with latency 50ms.
const queueLimit = 50 * time.Millisecond

// A Shape is what a Link does to packets.
type Shape struct {
	Rate      int64         // bits a second in each direction; 0: no limit
	RoundTrip time.Duration // delay of both directions together, beside the queue's
}

// A Link joins two namespaces by a forwarder in this process: two TUN devices,
// and each packet is handed on when a wire of the Shape would have delivered it.
// So handshakes, acknowledgements and windows meet the delay as they do on a
// real wire, and every packet can be looked at. (This kernel may lack netem.)
type Link struct {
	Client, Helper *Space

	ends  [2]*os.File
	delay atomic.Int64 // of one direction, in nanoseconds
	rate  int64

	wait sync.WaitGroup
	mu   sync.Mutex // guards the fields below
	count
	last   direction
	record bool
	spoken []Turn
}

// A Turn is what one side said before the other spoke.
type Turn struct {
	At       time.Time // when its first packet was sent
	ToHelper bool
	Bytes    int64
}

// count is what a Link has seen.
type count struct {
	bytes [2]int64 // by direction
	turns int64
}

type direction int

const (
	toHelper direction = iota
	toClient
	nowhere
)

// New makes the two namespaces and joins them. It needs root and /dev/net/tun.
func New(shape Shape) (*Link, error) {
	l := &Link{rate: shape.Rate, last: nowhere}
	l.SetRoundTrip(shape.RoundTrip)
	var err error
	if l.Client, l.ends[0], err = newEnd(ClientAddress); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if l.Helper, l.ends[1], err = newEnd(HelperAddress); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	for _, d := range []direction{toHelper, toClient} {
		packets := make(chan packet, 1<<14)
		l.wait.Add(2)
		go l.receive(d, packets)
		go l.deliver(d, packets)
	}
	return l, nil
}

func newEnd(address string) (*Space, *os.File, error) {
	s, err := NewSpace()
	if err != nil {
		return nil, nil, err
	}
	var file *os.File
	err = s.Do(func() error {
		const name = "wire"
		var err error
		if file, err = openTUN(name); err != nil {
			return err
		}
		return up(name, address, 30)
	})
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, file, nil
}

// openTUN makes a TUN device in the thread's namespace; it ends with the file.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// SetRoundTrip changes the delay for packets to come.
func (l *Link) SetRoundTrip(d time.Duration) { l.delay.Store(int64(d / 2)) }

type packet struct {
	data []byte
	due  time.Time
}

// receive takes what the sender's kernel sends, and decides when it arrives.
func (l *Link) receive(d direction, packets chan<- packet) {
	defer l.wait.Done()
	defer close(packets)
	var free time.Time // when the wire has sent all before
	for {
		data := make([]byte, mtu)
		n, err := l.ends[d].Read(data)
		if err != nil {
			return // closed
		}
		data = data[:n]
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if free.Sub(now) > queueLimit {
			continue // the queue is full
		}
		if l.rate > 0 {
			free = free.Add(time.Duration(int64(n) * 8 * int64(time.Second) / l.rate))
		}
		l.observe(d, data)
		packets <- packet{data, free.Add(time.Duration(l.delay.Load()))}
	}
}

// deliver hands packets to the receiver's kernel in order, each when it is due.
func (l *Link) deliver(d direction, packets <-chan packet) {
	defer l.wait.Done()
	runtime.LockOSThread() // the grain is the thread's; it ends with the goroutine
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for p := range packets {
		sleepUntil(p.due)
		if _, err := l.ends[1-d].Write(p.data); err != nil && !errors.Is(err, unix.EIO) {
			for range packets {
				// The other end is closed; receive ends when ours is.
			}
			return
		}
	}
}

// sleepUntil is time.Sleep with the kernel's grain instead of the runtime's,
// which can be a millisecond off.
func sleepUntil(due time.Time) {
	left := time.Until(due)
	if left <= 0 {
		return
	}
	if left > 2*time.Millisecond {
		time.Sleep(left - 2*time.Millisecond)
		left = time.Until(due)
	}
	for left > 0 {
		ts := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&ts, nil)
		left = time.Until(due)
	}
}

// observe counts a packet.
func (l *Link) observe(d direction, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes[d] += int64(len(data))
	if !speaks(data) {
		return
	}
	if d != l.last {
		l.turns++
		l.last = d
		if l.record {
			l.spoken = append(l.spoken, Turn{At: time.Now(), ToHelper: d == toHelper})
		}
	}
	if n := len(l.spoken); l.record && n > 0 {
		l.spoken[n-1].Bytes += int64(len(data))
	}
}

// Record begins to keep the turns.
func (l *Link) Record() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record, l.spoken = true, nil
}

// Spoken ends what Record began.
func (l *Link) Spoken() []Turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record = false
	return l.spoken
}

// speaks reports whether an IPv4 packet carries something that its receiver may
// have been waiting for: data, or the opening of a TCP connection. A bare
// acknowledgement does not count.
func speaks(data []byte) bool {
	if len(data) < 20 || data[0]>>4 != 4 {
		return false
	}
	head, total := int(data[0]&15)*4, int(data[2])<<8|int(data[3])
	const tcp, syn = 6, 2
	if data[9] != tcp {
		return true
	}
	if len(data) < head+20 {
		return false
	}
	return data[head+13]&syn != 0 || total > head+int(data[head+12]>>4)*4
}

// Traffic is what has gone over the link so far, both directions together, IP
// headers included.
func (l *Link) Traffic() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes[toHelper] + l.bytes[toClient]
}

// Turns is how often the two sides have taken turns to speak. Two turns are a
// round trip, when nothing else speaks meanwhile.
func (l *Link) Turns() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turns
}

// Measure is the round trip that a program on the client sees, the median of n.
func (l *Link) Measure(ctx context.Context, n int) (trip time.Duration, err error) {
	var echo, conn *net.UDPConn
	err = l.Helper.Do(func() (err error) {
		echo, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(HelperAddress)})
		return err
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, echo.Close()) }()
	go func() {
		var b [8]byte
		for {
			n, from, err := echo.ReadFromUDP(b[:])
			if err != nil {
				return // closed
			}
			_, _ = echo.WriteToUDP(b[:n], from)
		}
	}()
	err = l.Client.Do(func() (err error) {
		conn, err = net.DialUDP("udp4", nil, echo.LocalAddr().(*net.UDPAddr))
		return err
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return ping(ctx, conn, n)
}

// Close ends the link and lets go of both namespaces.
func (l *Link) Close() error {
	var errs []error
	for _, f := range l.ends {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	l.wait.Wait()
	for _, s := range []*Space{l.Client, l.Helper} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
