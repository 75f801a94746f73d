package rendezvous

import (
	"runtime"
	"syscall"
	"time"
)

// timerSlack is how late the agent's timers may be. Go's runtime has a thread that
// looks after the others every 20 µs while one of them works; with the usual
// slack of 50 µs its waking is a tenth of the agent's processor time. Nothing
// that an agent waits for by the clock is nearer than a second.
const timerSlack = time.Millisecond

// prctl(2) options that package syscall lacks.
const (
	prSetTimerSlack = 29
	prGetTimerSlack = 30
)

// slackly calls f on a thread with the agent's timer slack, which what f starts
// inherits. Where the kernel has none, f runs all the same.
func slackly(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	if errno == 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, uintptr(timerSlack), 0)
		defer func() { _, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, own, 0) }()
	}
	f()
}
