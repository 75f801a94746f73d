// Package agent is the client's daemon: one for each user and machine. It
// answers wrappers over broker/local's socket, knows the client's compilers,
// holds the connections to the helpers and the slots for local jobs.
//
// Start with Agent.serve, which is one wrapper from request to end. A compile goes
// through these files, and through a folder for each thing that is passed on:
//
//	deliver.go        Agent.compile: a helper's, or the wrapper becomes the compiler
//	                  session/       the wrapper: its files, its programs, its settings
//	compile.go        Agent.prepare: what is it, and who could do it?
//	                  compile/       the command, its compiler, its outputs
//	                  proof/         toolchains that are alike are compared first
//	tree.go           Agent.asTree, or
//	preprocessed.go   Agent.asText: the job is made, done and believed
//	                  input/         the job: a tree, or text (preprocessed/)
//	                  diagnostics/   is what the compiler said what the local one says?
//	deliver.go        Agent.deliver: the wrapper writes the outputs
//	                  proof/         of some jobs: is it what the local compiler makes?
//	parts.go          the same for a command with several sources or a link (parts/)
//	pinned/           all of this for a command that an image defines
//
// reason/ is why a step may end it, slots/ the places for what runs here, and sender/
// brings the client's compiler to a helper that has none like it.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/input"
	"github.com/crosscc/crosscc/broker/agent/pinned"
	"github.com/crosscc/crosscc/broker/agent/proof"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/sender"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// memoryPerSlot is what one local compile is given: C++ with optimisation
// rarely takes more.
const memoryPerSlot = 512 << 20

// cppPerSlot is how many preprocessor runs there may be for each local slot:
// they are short, and half of their time is the disk's and the pipe's.
const cppPerSlot = 2

// restAfter is how long after the last session memory is given back to the
// system: not between two files of one build.
const restAfter = 5 * time.Second

// errLeft is the cause of what ends with the agent.
var errLeft = errors.New("the agent has left")

// Options are what an Agent is made of.
type Options struct {
	Dirs  rendezvous.Dirs
	Build string
	// Idle is how long the agent stays without any wrapper, until a job's
	// settings say otherwise. Zero means ten minutes.
	Idle time.Duration
	// Dial makes the link to a host, hostlist.Embedded among them.
	Dial func(hostlist.Host) (fleet.Link, error)
	// Log gets what the level of each job's settings asks for.
	Log *logrus.Logger
}

// An Agent answers wrappers until it is idle, replaced or told to stop.
type Agent struct {
	o         Options
	log       *logrus.Logger
	fleet     *fleet.Fleet
	compilers compile.Compilers
	input     input.Maker
	pins      pinned.Pins
	slots     slots.Slots // for local jobs
	cpps      slots.Slots // for local preprocessing
	counters  monitor.Counters
	book      *calibrate.Book
	sender    *sender.Sender // of packs
	prover    *proof.Prover
	began     time.Time

	ctx  context.Context // ended when running sessions must end at once
	stop context.CancelCauseFunc

	mu       sync.Mutex // guards the fields below
	sessions int
	leaving  bool
	patience time.Duration // how long without a session
	idle     *time.Timer
	rest     *time.Timer
	listener *rendezvous.Listener
	told     string         // what tellOnce said last
	work     sync.WaitGroup // sessions; Add only while mu is held and !leaving
}

// New makes an agent; Serve is its life.
func New(o Options) *Agent {
	if o.Idle == 0 {
		o.Idle = 10 * time.Minute
	}
	ctx, stop := context.WithCancelCause(context.Background())
	book := calibrate.OpenBook(filepath.Join(o.Dirs.State, "calibrations"))
	a := &Agent{
		o: o, log: o.Log, ctx: ctx, stop: stop, began: time.Now(), patience: o.Idle,
		book:  book,
		fleet: fleet.New(fleet.Options{Dial: o.Dial, Log: o.Log, Book: book}),
	}
	a.compilers = compile.Compilers{Probes: &drivers.Cache{Dir: filepath.Join(o.Dirs.State, "probes")}, Counters: &a.counters}
	a.input = input.Maker{Compilers: &a.compilers, Scanner: headers.New(nil), Cpps: &a.cpps}
	a.pins = pinned.Pins{Fleet: a.fleet, Scanner: a.input.Scanner, Counters: &a.counters, Log: a.log}
	a.prover = proof.New(proof.Options{Fleet: a.fleet, Book: book, Input: &a.input, Slots: &a.slots, Counters: &a.counters, Log: a.log})
	a.sender = sender.New(ctx, a.log)
	a.slots.Resize(localSlots())
	a.cpps.Resize(cppPerSlot * localSlots())
	return a
}

// adopt takes what a job's settings say of the agent itself: the last word
// counts.
func (a *Agent) adopt(c config.Client) {
	n := c.LocalSlots
	if n == 0 {
		n = localSlots()
	}
	a.slots.Resize(n)
	a.cpps.Resize(cppPerSlot * n)
	if level, err := logrus.ParseLevel(c.LogLevel); err == nil {
		a.log.SetLevel(level)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.patience = c.Idle
}

// settings are what the job brings along. What they say of the agent counts from now
// on, unless it is a question.
func (a *Agent) settings(s *session.Session) (session.Settings, error) {
	set, err := s.Settings()
	if set.Distrusted != "" {
		a.tellOnce(set.Distrusted)
	}
	if err == nil && s.Request.Verb == local.VerbCompile {
		a.adopt(set.Client)
	}
	return set, err
}

// pinOf finds the image that defines a command; false when the local compiler does.
func (a *Agent) pinOf(s *session.Session) (*pinned.Command, bool, error) {
	set, err := a.settings(s)
	return a.pins.Of(s, set, err)
}

// tellOnce warns in the log of something that each job of a build would say again.
func (a *Agent) tellOnce(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.told == text {
		return
	}
	a.told = text
	a.log.Warn(text)
}

// Serve answers wrappers on the listener until the agent is idle, replaced or
// told to stop, or ctx ends: that is no error. It closes the listener.
func (a *Agent) Serve(ctx context.Context, l *rendezvous.Listener) error {
	defer context.AfterFunc(ctx, func() { a.stop(context.Cause(ctx)); a.leave() })()
	a.mu.Lock()
	a.listener = l
	a.idle = time.AfterFunc(a.patience, a.leaveIdle)
	a.rest = time.AfterFunc(restAfter, debug.FreeOSMemory)
	a.mu.Unlock()
	err := a.accept(l)
	a.work.Wait()
	a.stop(errLeft)
	a.sender.Wait()
	return errors.Join(err, a.fleet.Close())
}

// accept begins a session with each wrapper, until the agent leaves.
func (a *Agent) accept(l *rendezvous.Listener) error {
	for {
		conn, peer, err := l.Accept()
		switch {
		case err != nil && a.isLeaving():
			return nil
		case err != nil:
			a.leave()
			return fmt.Errorf("wait for wrappers: %w", err)
		case a.begin():
			go a.handle(conn, peer.PID)
		default:
			_ = conn.Close() // the wrapper finds the next agent, or compiles
		}
	}
}

func (a *Agent) isLeaving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving
}

// begin counts a session in, unless the agent is leaving.
func (a *Agent) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving {
		return false
	}
	a.sessions++
	a.idle.Stop()
	a.rest.Stop()
	a.work.Add(1)
	return true
}

func (a *Agent) end() {
	a.mu.Lock()
	a.sessions--
	if a.sessions == 0 && !a.leaving {
		a.idle.Reset(a.patience)
		a.rest.Reset(restAfter)
	}
	a.mu.Unlock()
	a.work.Done()
}

// leaveIdle is leave for an agent that nobody has talked to for long. One that sends a
// compiler stays for that, which has a bound: the next would begin anew.
func (a *Agent) leaveIdle() {
	a.mu.Lock()
	busy := a.sessions > 0
	if !busy && a.sender.Busy() {
		a.idle.Reset(max(a.patience, restAfter))
		busy = true
	}
	a.mu.Unlock()
	if !busy {
		a.leave()
	}
}

// leave takes no new wrappers; those that are there are served to their end.
func (a *Agent) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving {
		return
	}
	a.leaving = true
	a.log.Info("agent leaves")
	if err := a.listener.Close(); err != nil {
		a.log.WithError(err).Warn("close the socket")
	}
}

// handle is one connection, of the process pid.
func (a *Agent) handle(conn *local.Conn, pid int) {
	defer a.end()
	c, err := local.NewClient(a.ctx, conn)
	if err != nil {
		a.log.WithError(err).Debug("connection without a request")
		return
	}
	s, err := session.Open(c, pid)
	if err != nil {
		c.Close()
		a.log.WithError(err).Warn("session")
		return
	}
	defer s.End()
	if err := a.serve(s); err != nil && s.Gone() == nil {
		a.log.WithError(err).Warn("session")
	}
}

// serve is one wrapper, from request to end.
func (a *Agent) serve(s *session.Session) error {
	switch {
	case s.Request.Build != a.o.Build:
		a.leave()
		return s.Replace()
	case s.Request.Verb == local.VerbCompile:
		return a.compile(s)
	}
	return a.control(s)
}

// control answers crossctl.
func (a *Agent) control(s *session.Session) error {
	answer, err := a.answer(s)
	if err != nil {
		return s.Fail(local.Fail{Message: err.Error(), Status: reason.ExitGeneral})
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("answer %s: %w", s.Request.Verb, err)
	}
	if err := s.Answer(data); err != nil {
		return err
	}
	if s.Request.Verb == "stop" {
		a.leave()
	}
	return nil
}

// localSlots is one for each processor, as far as memory goes.
func localSlots() int {
	n := runtime.NumCPU()
	if m := int(totalMemory() / memoryPerSlot); m > 0 {
		n = min(n, m)
	}
	return max(n, 1)
}
