// Package wrapper is the program crosscc: it finds the compiler that the build
// means, asks the agent, and then becomes the compiler or writes what the agent
// brought. Where no agent can be had it becomes the compiler at once.
//
// It starts once for each compile of a build, so it links the standard library
// and broker/local only, and of the library no net.
//
// A newcomer starts with Main, then (*wrapper).ask.
package wrapper

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/lookup"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
)

// Exit statuses of our own are distcc's.
const (
	exitUsage      = 101 // bad arguments
	exitNoAgent    = 103 // no agent, and CROSSCC_FALLBACK=0
	exitNoCompiler = 110 // the compiler is not there or can't be started
	exitLoop       = 111 // wrappers call each other
)

// maxLevel is how many wrappers may be below one another. A compiler that is a
// script calling crosscc is level 2; a loop is soon beyond it.
const maxLevel = 10

// maxReplaced bounds how often one wrapper meets an agent of another build.
const maxReplaced = 3

// Env is what the program has of the world, beside its directory and umask.
type Env struct {
	Environ        []string
	Stdout, Stderr *os.File
}

// wrapper is one run of the program.
type wrapper struct {
	Env
	call  call
	level int // wrappers above this one
	guard *guard
}

// A call is the command that the build gave.
type call struct {
	name    string   // the compiler as called
	program string   // its path, "" when there is none
	args    []string // words for it, argv[0] included
}

// Main runs the wrapper and returns its exit status. It mostly doesn't return:
// it becomes the compiler, or dies of the signal that the compiler died of.
func Main(env Env, args []string) int {
	words, text := command(args)
	if words == nil {
		return printUsage(env, args, text)
	}
	name := words[0]
	w := &wrapper{Env: env, guard: &guard{ended: make(chan int, 1)}}
	w.level, _ = strconv.Atoi(w.getenv(local.LevelVariable)) // not a number: not ours
	if w.level >= maxLevel {
		return w.fail(exitLoop, words[0]+": crosscc calls itself through this compiler",
			"let the script that stands in for the compiler name the real one by its path")
	}
	program, words := lookup.Self(w.Environ, args[0]).Call(words)
	w.call = call{name: name, program: program, args: words}
	if w.getenv("CROSSCC_DISABLE") == "1" {
		return w.become(w.call.program, w.call.args)
	}
	if os.Getpid() == 1 {
		return w.first()
	}
	return w.ask()
}

// first is ask in the first process of a container, which no signal ends unless
// it does so itself.
func (w *wrapper) first() int {
	w.guard.watch()
	done := make(chan int, 1)
	go func() { done <- w.ask() }()
	select {
	case status := <-done:
		return status
	case status := <-w.guard.ended:
		return status
	}
}

// command takes the compiler and its words from our own: all of them when we
// were called by a compiler's name, else those after crosscc. Without a
// compiler it returns the text to print.
func command(args []string) (words []string, text string) {
	if len(args) == 0 {
		return nil, usage
	}
	if !strings.HasPrefix(filepath.Base(args[0]), "crosscc") {
		return args, ""
	}
	if len(args) == 1 {
		return nil, usage
	}
	switch args[1] {
	case "--help", "-h":
		return nil, usage
	case "--version", "-V":
		return nil, "crosscc " + local.BuildID() + "\n"
	}
	if strings.HasPrefix(args[1], "-") || args[1] == "" {
		return nil, ""
	}
	return args[1:], ""
}

// ask has the agent decide, and does what it says.
func (w *wrapper) ask() int {
	for range maxReplaced {
		status, replaced, err := w.attempt()
		if err != nil {
			return w.alone(err)
		}
		if !replaced {
			return status
		}
	}
	return w.alone(errors.New("agents of other builds keep answering"))
}

// attempt is one conversation with one agent.
func (w *wrapper) attempt() (status int, replaced bool, err error) {
	dirs, err := rendezvous.DirsOf(w.Environ)
	if err != nil {
		return 0, false, err
	}
	conn, err := rendezvous.Connect(dirs, w.Environ, "")
	if err != nil {
		return 0, false, err
	}
	s := local.NewSession(conn, local.Host{Environ: local.Setenv(w.Environ, w.nextLevel()), Note: w.note, Running: w.guard.watch})
	w.guard.onSignal(s.Close)
	m, files, err := w.request(s)
	if err == nil {
		_, replaced = m.(local.Replace)
	}
	if err == nil && !replaced {
		status, err = w.finish(s, m, files)
	}
	if err == nil && !replaced {
		return status, false, nil // this process ends, and the session with it
	}
	s.Close()
	if errors.Is(err, local.ErrSilent) {
		dirs.MarkFailed(err)
	}
	return 0, replaced, err
}

func (w *wrapper) request(s *local.Session) (local.Message, []*os.File, error) {
	r := local.NewRequest(local.VerbCompile, w.Environ)
	r.Program, r.Args, r.Nested = w.call.program, w.call.args, w.level > 0
	if err := s.Ask(r); err != nil {
		return nil, nil, err
	}
	return w.wait(s)
}

// wait waits for the agent's final message. When that fails because a signal
// has closed the session, it doesn't return.
func (w *wrapper) wait(s *local.Session) (local.Message, []*os.File, error) {
	m, files, err := s.Wait()
	w.guard.pass()
	return m, files, err
}

// finish does what a final message says. An error means that it could not be
// done and nothing was printed.
func (w *wrapper) finish(s *local.Session, m local.Message, files []*os.File) (int, error) {
	if f, ok := m.(local.Finish); ok {
		err := w.guard.write(f, files)
		closeAll(files)
		if err == nil {
			_ = s.Send(local.Wrote{}) // for its counts; if it is gone, no matter
			return w.say(f), nil
		}
		if err := s.Send(local.Wrote{Err: err.Error()}); err != nil {
			return 0, err
		}
		if m, files, err = w.wait(s); err != nil {
			return 0, err
		}
	}
	closeAll(files)
	switch m := m.(type) {
	case local.Exec:
		return w.exec(s, m), nil
	case local.Fail:
		return w.fail(m.Status, m.Message, m.Hint), nil
	}
	return 0, errors.New("the agent gave an answer that is none")
}

// say prints what the compiler said and ends as it ended.
func (w *wrapper) say(f local.Finish) int {
	// A closed pipe ends us by SIGPIPE, as it would the compiler.
	if len(f.Stdout) > 0 {
		_, _ = w.Stdout.Write(f.Stdout)
	}
	if len(f.Stderr) > 0 {
		_, _ = w.Stderr.Write(f.Stderr)
	}
	status := syscall.WaitStatus(f.Status)
	if status.Signaled() {
		return die(status.Signal())
	}
	return status.ExitStatus()
}

func (w *wrapper) exec(s *local.Session, e local.Exec) int {
	program, args := e.Path, e.Args
	if program == "" {
		program = w.call.program
	}
	if args == nil {
		args = w.call.args
	}
	if e.Reason != "" && w.getenv("CROSSCC_LOG_LEVEL") == "debug" {
		w.note(w.call.name + ": local: " + e.Reason)
	}
	if e.Slot {
		if err := s.Keep(); err != nil {
			w.note("slot lost: " + err.Error())
		}
	}
	return w.become(program, args)
}

// alone goes on without an agent.
func (w *wrapper) alone(reason error) int {
	w.guard.pass()
	if by := w.mayBePinned(); by != "" {
		return w.fail(exitNoAgent, "no agent: "+reason.Error()+", and "+by+" may pin the toolchain, which the local compiler is not",
			"start it by hand to see what it says: crossccd agent; CROSSCC_DISABLE=1 runs the local compiler")
	}
	if w.getenv("CROSSCC_FALLBACK") == "0" {
		return w.fail(exitNoAgent, "no agent: "+reason.Error(),
			"start it by hand to see what it says: crossccd agent; or unset CROSSCC_FALLBACK")
	}
	if w.call.program != "" {
		w.note("no agent: " + reason.Error() + "; compiling here")
	}
	return w.become(w.call.program, w.call.args)
}

// become replaces this process by a program; it returns only when it can't.
func (w *wrapper) become(program string, args []string) int {
	if program == "" {
		return w.fail(exitNoCompiler, w.notFound(), "")
	}
	w.guard.rest()
	environ := local.Setenv(w.Environ, w.nextLevel())
	err := syscall.Exec(program, args, environ)
	if err == syscall.ENOEXEC { // a script without its first line: as execvp does
		err = syscall.Exec("/bin/sh", append([]string{"sh", program}, args[1:]...), environ)
	}
	return w.fail(exitNoCompiler, program+": "+err.Error(), "")
}

func (w *wrapper) notFound() string {
	if strings.Contains(w.call.name, "/") {
		return w.call.name + ": no such program"
	}
	return w.call.name + ": not found on PATH"
}

func (w *wrapper) nextLevel() string {
	return local.LevelVariable + "=" + strconv.Itoa(w.level+1)
}

func (w *wrapper) getenv(name string) string { return local.Getenv(w.Environ, name) }

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
