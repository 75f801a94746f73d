package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// silence is how long an agent may say nothing before a wrapper goes on without
// it. A job may take an hour, but an agent that works sends an Alive every few
// seconds; one that is stopped or wedged must not stop the build (nocc under
// ninja, icecream #501).
const silence = 20 * time.Second

// grace is granted after silence: when the wrapper itself was stopped and goes
// on, its clock has run ahead of the frames that wait to be read.
const grace = time.Second

// ErrSilent ends a Session whose agent has said nothing for 20 s.
var ErrSilent = errors.New("the agent has been silent for " + silence.String())

// LevelVariable counts the wrappers above a process. It is in the environment
// of every program that a wrapper runs or becomes.
const LevelVariable = "_CROSSCC_LEVEL"

// A Host is the process that a Session runs in.
type Host struct {
	// Environ is the whole environment, for the programs of Run.
	Environ []string
	// Note gets the agent's log lines; nil drops them.
	Note func(text string)
	// Running is called before a program is started: from then on there is
	// something that only Close ends. It may be nil.
	Running func()
}

// A Session is the wrapper's side of one conversation: it sends the Request and
// serves the agent's Run messages until the final one comes. crossctl uses it
// in the same way. Its methods are for one goroutine, but for Close.
//
// All of it happens in the caller's goroutine, for each other one may cost the
// process a thread; only a program that runs for the agent has its own.
type Session struct {
	host   Host
	conn   *Conn
	child  child
	ending sync.Once
}

// NewSession begins a conversation over conn and owns it from then on.
func NewSession(conn *Conn, host Host) *Session {
	conn.silence = silence
	return &Session{host: host, conn: conn}
}

// Close ends the conversation and kills the program that runs for the agent.
func (s *Session) Close() {
	s.ending.Do(func() {
		s.child.kill()
		_ = s.conn.Close()
	})
}

// Ask sends a Request, with this process's root and working directory, wherever
// they are mounted, and its standard input where the command names that.
func (s *Session) Ask(r Request) error {
	const flags = oPath | syscall.O_DIRECTORY | syscall.O_CLOEXEC
	root, err := syscall.Open("/", flags, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/", Err: err}
	}
	defer syscall.Close(root)
	dir, err := syscall.Open(".", flags, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: ".", Err: err}
	}
	defer syscall.Close(dir)
	if len(r.Args) > 1 && slices.Contains(r.Args[1:], "-") && isOpen(0) {
		return s.send(r, root, dir, 0)
	}
	return s.send(r, root, dir)
}

func isOpen(fd int) bool {
	var st syscall.Stat_t
	return syscall.Fstat(fd, &st) == nil
}

// Send sends the Wrote that a Finish asks for.
func (s *Session) Send(m Wrote) error { return s.send(m) }

func (s *Session) send(m Message, fds ...int) error {
	return s.conn.send(s.conn.silence, m, fds...)
}

// Keep leaves the connection open across exec (Conn.Keep).
func (s *Session) Keep() error { return s.conn.Keep() }

// Do asks and waits for what the agent says.
func (s *Session) Do(r Request) (Message, []*os.File, error) {
	if err := s.Ask(r); err != nil {
		return nil, nil, err
	}
	return s.Wait()
}

// Wait serves the agent until it sends a final message, whose files are the
// caller's. An error means that the agent is gone, wedged (ErrSilent) or mad;
// the wrapper then runs the compiler itself.
func (s *Session) Wait() (Message, []*os.File, error) {
	for {
		m, files, err := s.conn.Receive()
		switch {
		case err == io.EOF || errors.Is(err, syscall.ECONNRESET):
			return nil, nil, errors.New("the agent closed the connection")
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, nil, ErrSilent
		case err != nil:
			return nil, nil, err
		}
		switch m := m.(type) {
		case Exec, Finish, Fail, Answer, Replace:
			// One that took too long may still run, and write what now others write.
			s.child.kill()
			return m, files, nil
		case Run:
			err = s.run(m, files)
		case Note:
			if s.host.Note != nil {
				s.host.Note(m.Text)
			}
		case Alive:
		default:
			err = fmt.Errorf("protocol error: unexpected %T from the agent", m)
		}
		closeFiles(files)
		if err != nil {
			return nil, nil, err
		}
	}
}

// run starts a program; its end is reported whenever it comes.
func (s *Session) run(r Run, files []*os.File) error {
	if s.host.Running != nil {
		s.host.Running()
	}
	return s.child.start(r, files, s.host.Environ, func(ran Ran) {
		_ = s.send(ran) // if the agent is gone, Wait meets the end too
	})
}

// NewRequest fills in what this process is; the caller adds Program, Args and
// Nested. Terminal speaks of descriptor 2.
func NewRequest(verb string, environ []string) Request {
	umask := syscall.Umask(0)
	syscall.Umask(umask)
	dir := workingDir(Getenv(environ, "PWD"))
	r := Request{Build: BuildID(), Verb: verb, Env: Listed(environ), Dir: dir, Umask: umask, Terminal: isTerminal(2)}
	if r.Terminal {
		r.Columns = columns(0) // where gcc looks
	}
	return r
}

// workingDir is pwd where that names it, else its real path, "" where it has
// none any more (removed meanwhile): the agent leaves that job to the compiler.
// It is os.Getwd with a smaller frame: each time that a goroutine's stack grows
// costs a process that does so little 30 µs.
func workingDir(pwd string) string {
	var here, there syscall.Stat_t
	if strings.HasPrefix(pwd, "/") && syscall.Stat(".", &here) == nil && syscall.Stat(pwd, &there) == nil &&
		here.Dev == there.Dev && here.Ino == there.Ino {
		return pwd
	}
	for size := 128; size <= syscall.PathMax; size *= 2 {
		buf := make([]byte, size)
		n, err := syscall.Getcwd(buf)
		if err == syscall.ERANGE {
			continue
		}
		if err != nil || n < 1 || buf[0] != '/' { // "(unreachable)…": of another root
			return ""
		}
		return string(buf[:n-1]) // without the closing zero
	}
	return ""
}
