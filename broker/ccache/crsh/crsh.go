// Package crsh is the program behind cmd/ccache-storage-crosscc, a storage helper
// of ccache (4.13 and later): ccache starts it for the remote storage
// crosscc://HOST and speaks to it through a unix socket; it speaks to the http door
// of HOST's crossccd (broker/ccache), and keeps the connections for all ccaches of
// a user.
//
// What ccache says and how is its "remote storage helper specification" (doc/
// remote_storage_helper_spec.md of its sources, CRSH); the exists request, which
// 4.14 added, was seen on 4.14.2's wire. Start with Main, then session.run.
package crsh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/crosscc/crosscc/broker/trust"
)

const usage = `usage: ccache-storage-crosscc

ccache 4.13 and later start this program for a remote storage on a crosscc helper
(crossccd serve --http ADDR), when it is on PATH or beside ccache:

  remote_storage = crosscc://HELPER          port 3635
  remote_storage = crosscc://HELPER:PORT
  remote_storage = crosscc:///PATH           the helper's door is --http unix:/PATH

By hand, for a remote storage crsh:/SOCKET:

  CRSH_IPC_ENDPOINT=/SOCKET CRSH_URL=crosscc://HELPER ccache-storage-crosscc
`

// maxSessions bounds the ccaches that are served at once. Each has a goroutine, and
// a value in memory while it stores one; more wait.
const maxSessions = 512

// Env is what the program needs of its process.
type Env struct {
	Stdout, Stderr io.Writer
	Environ        []string
}

// Main serves ccaches until ctx ends, one of them says stop, or none came for the
// time that it was started with. It reports the exit status: 0, or 1 with the reason
// on stderr, and never calls os.Exit.
func Main(ctx context.Context, env Env, args []string) int {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		fmt.Fprint(env.Stdout, usage)
		return 0
	}
	if len(args) == 1 && args[0] == "--version" {
		fmt.Fprintln(env.Stdout, identity())
		return 0
	}
	err := fmt.Errorf("no word %q is known: see --help", args)
	if len(args) == 0 {
		err = run(ctx, env.Environ)
	}
	if err != nil {
		fmt.Fprintf(env.Stderr, "ccache-storage-crosscc: error: %v\n", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, environ []string) error {
	s, err := parseSetup(environ)
	if err != nil {
		return err
	}
	l, err := trust.Listen("unix:"+s.endpoint, trust.AllowList{}, trust.Limits{})
	if err != nil {
		return err
	}
	return serve(ctx, l, s)
}

// identity is what the program calls itself.
func identity() string {
	version := "(devel)"
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" {
		version = bi.Main.Version
	}
	return "ccache-storage-crosscc " + version
}

// Why the program ends.
var (
	errStop = errors.New("told to stop")
	errIdle = errors.New("no ccache came for long")
)

// serve takes connections of l, and closes it.
func serve(ctx context.Context, l net.Listener, o setup) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(errStop)
	remote := newRemote(o.network, o.address)
	places := make(chan struct{}, maxSessions)
	present := newPresence(o.idle, func() { stop(errIdle) })
	defer context.AfterFunc(ctx, func() { l.Close() })()
	defer l.Close()
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil // a ccache that came just now starts another helper
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		present.enter()
		go func() {
			defer func() { <-places; present.leave() }()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			defer conn.Close()
			s := session{conn: conn, in: bufio.NewReader(conn), remote: remote, notes: o.notes}
			if s.run(ctx) {
				stop(errStop)
			}
		}()
	}
}

// A presence calls gone when nobody was there for a time.
type presence struct {
	idle time.Duration

	mu    sync.Mutex // guards the fields below
	count int
	timer *time.Timer
}

// newPresence makes one where nobody is. An idle of 0 is for ever.
func newPresence(idle time.Duration, gone func()) *presence {
	if idle == 0 {
		idle = math.MaxInt64
	}
	return &presence{idle: idle, timer: time.AfterFunc(idle, gone)}
}

func (p *presence) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.timer.Stop()
}

func (p *presence) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count--; p.count == 0 {
		p.timer.Reset(p.idle)
	}
}
