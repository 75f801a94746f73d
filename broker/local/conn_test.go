package local

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair is both ends of a connection.
func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	fds := socketpair(t)
	return newConn(t, fds[0]), newConn(t, fds[1])
}

func socketpair(t *testing.T) [2]int {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

func newConn(t *testing.T, fd int) *Conn {
	t.Helper()
	c, err := NewConn(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConnCarriesMessagesAndFiles(t *testing.T) {
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	big := Answer{Data: make([]byte, 5<<20)}
	go func() {
		for _, m := range everyMessage() {
			_ = a.Send(m)
		}
		_ = a.Send(big, w, w)
		w.Close()
		_ = a.Send(Note{Text: "last"})
		a.Close()
	}()
	for _, want := range append(everyMessage(), big) {
		m, files, err := b.Receive()
		if err != nil || !reflect.DeepEqual(m, want) {
			t.Fatalf("got %T %v, want %T", m, err, want)
		}
		for _, f := range files {
			_, _ = f.WriteString("x")
			f.Close()
		}
	}
	if m, files, err := b.Receive(); err != nil || len(files) != 0 || m != (Note{Text: "last"}) {
		t.Errorf("after the files: %v %v %v", m, files, err)
	}
	if got, err := io.ReadAll(r); string(got) != "xx" {
		t.Errorf("through the pipe came %q, %v", got, err)
	}
	if _, _, err := b.Receive(); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

func TestConnReadsByteByByte(t *testing.T) {
	fds := socketpair(t)
	c := newConn(t, fds[0])
	frame := append([]byte{0, 0, 0, 2, byte(kindNote)}, 1, 'x')
	go func() {
		for _, b := range frame {
			_, _ = syscall.Write(fds[1], []byte{b})
			time.Sleep(time.Millisecond)
		}
		syscall.Close(fds[1])
	}()
	if m, _, err := c.Receive(); err != nil || m != (Note{Text: "x"}) {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestConnRefuses(t *testing.T) {
	head := func(size uint32, k kind) string {
		return string(append(binary.BigEndian.AppendUint32(nil, size), byte(k)))
	}
	tests := []struct{ name, bytes, want string }{
		{"frame of 4 GiB", head(1<<32-1, kindAnswer), "frame of 4294967295 bytes, at most 67108864"},
		{"end within the head", "\x00\x00", "unexpected EOF"},
		{"end within the body", head(1<<20, kindAnswer) + "x", "unexpected EOF"},
		{"end before the body", head(64<<20, kindAnswer), "unexpected EOF"},
		{"unknown kind", head(0, 200), "unknown message 200"},
	}
	for _, tc := range tests {
		fds := socketpair(t)
		c := newConn(t, fds[0])
		_, _ = syscall.Write(fds[1], []byte(tc.bytes))
		syscall.Close(fds[1])
		if _, _, err := c.Receive(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestSendRefuses(t *testing.T) {
	a, _ := pair(t)
	if err := a.Send(Answer{Data: make([]byte, MaxFrame)}); err == nil || !strings.Contains(err.Error(), "at most 67108864") {
		t.Errorf("a frame too long: %v", err)
	}
	if err := a.Send(Alive{}, make([]*os.File, MaxFiles+1)...); err == nil || !strings.Contains(err.Error(), "254 descriptors") {
		t.Errorf("too many descriptors: %v", err)
	}
}

func TestConnDeadlines(t *testing.T) {
	a, _ := pair(t)
	_ = a.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, _, err := a.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("receive from a silent peer: %v", err)
	}
	if err := a.sendFiles(10*time.Millisecond, Answer{Data: make([]byte, 8<<20)}, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("send to a peer that doesn't read: %v", err)
	}
	_ = a.SetReadDeadline(time.Time{})
	go a.Close()
	if _, _, err := a.Receive(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("receive on a closed connection: %v", err)
	}
}

// Behind half a frame nothing is sent: the peer would take it for the frame's rest.
func TestNothingBehindHalfAFrame(t *testing.T) {
	fds := socketpair(t)
	a := newConn(t, fds[0])
	defer syscall.Close(fds[1])
	drain := func() (sum int) {
		for buf := make([]byte, 1<<20); ; {
			n, _, err := syscall.Recvfrom(fds[1], buf, syscall.MSG_DONTWAIT)
			if err != nil || n == 0 {
				return sum
			}
			sum += n
		}
	}
	if err := a.sendFiles(10*time.Millisecond, Answer{Data: make([]byte, 8<<20)}, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if n := drain(); n == 0 {
		t.Fatal("nothing was sent")
	}
	a.alive()
	if err := a.Send(Note{Text: "more"}); err == nil {
		t.Error("a frame was sent behind half a one")
	}
	if n := drain(); n != 0 {
		t.Errorf("%d bytes came behind half a frame", n)
	}
}

// The clock of a process that was stopped has run ahead of what was sent to it.
func TestConnGrace(t *testing.T) {
	a, b := pair(t)
	b.silence = time.Nanosecond
	if err := a.Send(Note{Text: "while you were away"}); err != nil {
		t.Fatal(err)
	}
	if m, _, err := b.Receive(); err != nil || m != (Note{Text: "while you were away"}) {
		t.Errorf("got %v, %v", m, err)
	}
	if _, _, err := b.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("from a silent peer: %v", err)
	}
}

func TestAliveNeverWaits(t *testing.T) {
	a, _ := pair(t)
	done := make(chan struct{})
	go func() {
		for range 5000 { // far beyond what the buffer of a stopped peer holds
			a.alive()
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("alive waits for a peer that doesn't read")
	}
}

func TestKeep(t *testing.T) {
	a, _ := pair(t)
	before := len(inherited())
	if err := a.Keep(); err != nil {
		t.Fatal(err)
	}
	list := inherited()
	if len(list) != before+1 || list[len(list)-1] < slotFloor {
		t.Fatalf("kept descriptors %v, had %d before", list, before)
	}
	syscall.Close(list[len(list)-1])
}

func TestHideInherited(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	_, _ = fcntl(int(r.Fd()), syscall.F_SETFD, 0)
	before := inherited()
	restore := HideInherited()
	if list := inherited(); len(list) != 0 {
		t.Errorf("still inherited: %v", list)
	}
	restore()
	if after := inherited(); !reflect.DeepEqual(after, before) || len(after) == 0 {
		t.Errorf("inherited %v, before %v", after, before)
	}
}
