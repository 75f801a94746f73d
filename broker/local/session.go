package local

import (
	"errors"
	"fmt"
	"io"
	"os"
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

// A Session is the wrapper's side of one conversation: it sends the Request and
// serves the agent's Run messages until the final one comes. crossctl uses it
// in the same way.
type Session struct {
	environ  []string
	note     func(text string)
	silence  time.Duration
	conn     *Conn
	incoming chan received
	done     chan struct{} // closed by Close
	child    child
	ending   sync.Once
}

type received struct {
	message Message
	files   []*os.File
	err     error
}

// NewSession begins a conversation over conn and owns it from then on. environ
// is the whole environment, for the programs of Run; note gets the agent's log
// lines, nil drops them.
func NewSession(conn *Conn, environ []string, note func(string)) *Session {
	s := &Session{environ: environ, note: note, silence: silence, conn: conn,
		incoming: make(chan received), done: make(chan struct{})}
	go s.read()
	return s
}

// Close ends the conversation and kills the program that runs for the agent.
func (s *Session) Close() {
	s.ending.Do(func() {
		close(s.done)
		s.child.kill()
		_ = s.conn.Close()
	})
}

// Send sends m alone: a Request before Wait, or the Wrote that reports success
// and that no message answers.
func (s *Session) Send(m Message, files ...*os.File) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.silence))
	return s.conn.Send(m, files...)
}

// Keep leaves the connection open across exec (Conn.Keep).
func (s *Session) Keep() error { return s.conn.Keep() }

func (s *Session) read() {
	for {
		m, files, err := s.conn.Receive()
		if _, ok := m.(Alive); ok {
			closeFiles(files)
			files = nil
		}
		select {
		case s.incoming <- received{m, files, err}:
		case <-s.done:
			closeFiles(files)
			return
		}
		if err != nil {
			return
		}
	}
}

// Do sends m (a Request, or the Wrote that reports an error) and waits for what
// the agent says.
func (s *Session) Do(m Message, files ...*os.File) (Message, []*os.File, error) {
	if err := s.Send(m, files...); err != nil {
		return nil, nil, err
	}
	return s.Wait()
}

// Wait serves the agent until it sends a final message, whose files are the
// caller's. An error means that the agent is gone, wedged (ErrSilent) or mad;
// the wrapper then runs the compiler itself.
func (s *Session) Wait() (Message, []*os.File, error) {
	quiet := time.NewTimer(s.silence)
	defer quiet.Stop()
	for late := false; ; {
		select {
		case in := <-s.incoming:
			if final, err := s.serve(in); final || err != nil {
				return in.message, in.files, err
			}
			quiet.Reset(s.silence)
			late = false
		case ran := <-s.child.ended:
			if err := s.conn.Send(ran); err != nil {
				return nil, nil, err
			}
		case <-quiet.C:
			if late {
				return nil, nil, ErrSilent
			}
			late = true
			quiet.Reset(grace)
		}
	}
}

// serve handles one message; final tells that it is the caller's.
func (s *Session) serve(in received) (final bool, err error) {
	switch m := in.message.(type) {
	case Exec, Finish, Fail, Answer, Replace:
		return true, nil
	case Run:
		defer closeFiles(in.files)
		return false, s.child.start(m, in.files, s.environ)
	case Note:
		if s.note != nil {
			s.note(m.Text)
		}
	case Alive:
	default:
		if errors.Is(in.err, io.EOF) || errors.Is(in.err, syscall.ECONNRESET) {
			return false, errors.New("the agent closed the connection")
		}
		if in.err == nil {
			in.err = fmt.Errorf("protocol error: unexpected %T from the agent", m)
		}
		return false, in.err
	}
	closeFiles(in.files)
	return false, nil
}

// Here opens what goes with a Request: the root and the working directory of
// this process, wherever they are mounted.
func Here() (root, dir *os.File, err error) {
	root, err = os.OpenFile("/", oPath|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, nil, err
	}
	dir, err = os.OpenFile(".", oPath|syscall.O_DIRECTORY, 0)
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return root, dir, nil
}

// NewRequest fills in what this process is; the caller adds Program, Args and
// Nested. Terminal speaks of descriptor 2.
func NewRequest(verb string, environ []string) Request {
	dir, err := os.Getwd() // $PWD where that names it
	if err != nil {
		dir = "" // removed meanwhile: the agent leaves the job to the compiler
	}
	umask := syscall.Umask(0)
	syscall.Umask(umask)
	return Request{Build: BuildID(), Verb: verb, Env: Listed(environ), Dir: dir, Umask: umask, Terminal: isTerminal(2)}
}
