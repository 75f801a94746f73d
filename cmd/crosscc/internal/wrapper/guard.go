package wrapper

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A guard ends the wrapper on a signal where there is something to clean: the
// agent's program is killed, the connection closes (so the agent stops the job),
// temporary files go, and the process dies of that very signal, as make expects
// of a compiler.
//
// Where there is nothing to clean it is not on watch, for it costs three threads.
// A signal then simply ends the process, and with it the connection.
type guard struct {
	signals chan os.Signal // nil before watch
	retire  chan struct{}  // closed by rest
	retired chan struct{}  // closed when no signal is and will be served
	ended   chan int       // gets the status to exit with where a signal does not end us

	mu    sync.Mutex // guards temps and stop, and keeps death and renaming apart
	temps []string
	stop  func() // ends the conversation; nil before it
}

// watch begins, for as long as this process is the wrapper. Signals that the
// parent ignores (nohup) stay ignored.
func (g *guard) watch() {
	if g.signals != nil {
		return
	}
	g.signals, g.retire, g.retired = make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(g.signals, sig)
		}
	}
	go g.serve()
}

func (g *guard) serve() {
	select {
	case sig := <-g.signals:
		g.end(sig.(syscall.Signal))
		return
	case <-g.retire:
	}
	select { // one that came before signal.Stop
	case sig := <-g.signals:
		g.end(sig.(syscall.Signal))
	default:
		close(g.retired)
	}
}

func (g *guard) onSignal(stop func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop = stop
}

// end never gives the lock back: nothing more is written.
func (g *guard) end(sig syscall.Signal) {
	g.mu.Lock()
	if g.stop != nil {
		g.stop()
	}
	g.removeTemps()
	g.ended <- die(sig)
}

// pass doesn't return when a signal is being served: what went wrong since is
// its doing, and no news.
func (g *guard) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
}

// rest gives the signals back before an exec: from here on they end this
// process by themselves, so none is lost on the way into the compiler. It
// doesn't return when one is being served.
func (g *guard) rest() {
	if g.signals == nil {
		return
	}
	signal.Stop(g.signals)
	close(g.retire)
	<-g.retired
}

// removeTemps is called with the lock held.
func (g *guard) removeTemps() {
	for _, name := range g.temps {
		_ = syscall.Unlink(name) // one that is gone was renamed
	}
	g.temps = nil
}

// die ends this process by a signal, with no core file of ours and nothing of
// the Go runtime's in between. It returns the status to exit with where that
// can't be (process 1 of a container is spared its signals).
func die(sig syscall.Signal) int {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	// The kernel's struct sigaction, all zero: SIG_DFL, no flags, no mask.
	var action [16]uint64
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, sigsetSize, 0, 0)
	_ = syscall.Kill(os.Getpid(), sig)
	time.Sleep(dieWait)
	return 128 + int(sig)
}

// dieWait is for a signal that another thread takes; it never lasts that long.
const dieWait = time.Second

// sigsetSize is the kernel's sizeof(sigset_t).
const sigsetSize = 8
