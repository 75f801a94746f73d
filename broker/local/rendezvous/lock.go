package rendezvous

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lock opens name and tries once to lock it; ok is false while another process
// holds it. Closing the file unlocks.
func lock(name string) (f *os.File, ok bool, err error) {
	f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, true, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}
	return nil, false, &os.PathError{Op: "flock", Path: name, Err: err}
}

// pause sleeps a little longer each time: 1 ms at first, 50 ms at most. A warm
// agent is up within a few of the first steps.
type pause struct{ next time.Duration }

func (p *pause) sleep() {
	p.next = min(max(p.next*3/2, time.Millisecond), 50*time.Millisecond)
	time.Sleep(p.next)
}
