package control

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/lookup"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// reach says what to do where no agent runs.
type reach int

const (
	running reach = iota // nothing: errNoAgent
	started              // start one, as a build does
)

// answerWait bounds one question. The slowest is explain with a compiler that
// was never probed before: some ten programs, a second each when emulated, and
// 5 s for helpers that are still connecting.
const answerWait = 2 * time.Minute

// maxReplaced bounds how often agents of another build are sent away.
const maxReplaced = 3

var (
	errNoAgent  = rendezvous.ErrNoAgent
	errReplaced = errors.New("an agent of another build ran; it finishes its jobs and goes")
	errLate     = errors.New("the agent did not answer within " + answerWait.String())
)

// ask puts one question to the agent, in crossctl's own directory and
// environment, and returns the data of its answer. Where it is another build's,
// which goes then, the question goes to the next agent, or is errReplaced.
func (c *control) ask(ctx context.Context, verb string, args []string, how reach) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWait, errLate)
	defer cancel()
	for range maxReplaced {
		conn, err := c.connect(how)
		if errors.Is(err, errNoAgent) {
			return nil, err
		}
		if err != nil {
			return nil, unreachable(err)
		}
		m, err := c.converse(ctx, conn, verb, args)
		if err != nil {
			return nil, unreachable(fmt.Errorf("ask for %s: %w", verb, err))
		}
		switch m := m.(type) {
		case local.Answer:
			return m.Data, nil
		case local.Fail:
			return nil, refused(m)
		case local.Replace:
			if how == running {
				return nil, errReplaced
			}
		default:
			return nil, unreachable(fmt.Errorf("protocol error: %T in answer to %s", m, verb))
		}
	}
	return nil, unreachable(errors.New("each one that starts is of another build than crossctl"))
}

// connect finds the agent where a build of this environment would.
func (c *control) connect(how reach) (*local.Conn, error) {
	dirs, err := rendezvous.DirsOf(c.env.Environ)
	if err != nil {
		return nil, err
	}
	if how == running {
		return rendezvous.Dial(dirs.Socket)
	}
	return rendezvous.Connect(dirs, c.env.Environ, c.executable())
}

// executable is the path of crossctl's program, its links resolved.
func (c *control) executable() string {
	if path, err := filepath.EvalSymlinks(c.env.Executable); err == nil {
		return path
	}
	return c.env.Executable
}

// converse is one conversation: it serves the programs that the agent wants
// run, and ends early with ctx.
func (c *control) converse(ctx context.Context, conn *local.Conn, verb string, args []string) (local.Message, error) {
	// A compiler that is a script of crosscc's takes no slot below us.
	s := local.NewSession(conn, local.Host{Environ: local.Setenv(c.env.Environ, local.LevelVariable+"=1")})
	defer s.Close()
	req := local.NewRequest(verb, c.env.Environ)
	switch {
	case verb == "verify":
		req.Args = args
	case len(args) > 0: // a command of a build
		exe := filepath.Join(filepath.Dir(c.env.Executable), "crosscc")
		req.Program, req.Args = lookup.Beside(c.env.Environ, exe).Call(args)
	}
	type end struct {
		message local.Message
		err     error
	}
	ended := make(chan end, 1)
	go func() {
		m, files, err := s.Do(req)
		for _, f := range files {
			f.Close()
		}
		ended <- end{m, err}
	}()
	select {
	case e := <-ended:
		return e.message, e.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// unreachable is the error of an agent that gives no answer.
func unreachable(err error) error {
	return &words.Fault{
		Text:  "no answer from the agent: " + err.Error(),
		Hints: []string{"`crossctl doctor` looks for what is wrong"},
		Err:   err,
	}
}

// refused is what the agent said no with.
func refused(m local.Fail) error {
	f := &words.Fault{Text: m.Message}
	if m.Hint != "" {
		f.Hints = []string{m.Hint}
	}
	return f
}
