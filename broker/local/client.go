package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

const (
	// requestWait bounds the wait for a wrapper's first frame.
	requestWait = 10 * time.Second
	// sendWait bounds each frame to a wrapper that doesn't read (a build
	// stopped with Ctrl-Z); when the build goes on, that wrapper finds the
	// connection closed and compiles for itself.
	sendWait = 5 * time.Minute
	// aliveEvery is a fifth of silence, so that a machine under heavy load
	// has to lose several before a wrapper gives up.
	aliveEvery = silence / 5
)

// errOwed refuses a second program.
var errOwed = errors.New("the wrapper may still run a program that took too long")

// errGone is the cause of a Client's context when the wrapper has closed.
var errGone = errors.New("the wrapper is gone")

// A Client is one wrapper as the agent sees it. Its methods are for one
// goroutine, but for Close and Note.
type Client struct {
	Request Request
	// Root and Dir are the wrapper's root and working directory, O_PATH.
	Root, Dir *os.File
	// Stdin is the wrapper's standard input where a word of the command is "-", else nil.
	// It is the very file that the wrapper has: what is read from it nobody else reads.
	Stdin *os.File

	conn    *Conn
	ctx     context.Context // ends with the connection
	stop    context.CancelCauseFunc
	replies chan Message // Ran and Wrote
	owed    bool         // a Ran that Run has not waited for may come yet
	quiet   context.CancelFunc
}

// NewClient reads the wrapper's Request, for at most 10 s, and owns conn from
// then on. Until the final message the Client tells the wrapper by itself that
// the agent is alive.
func NewClient(ctx context.Context, conn *Conn) (*Client, error) {
	_ = conn.SetReadDeadline(time.Now().Add(requestWait))
	m, files, err := conn.Receive()
	_ = conn.SetReadDeadline(time.Time{})
	request, ok := m.(Request)
	if err == nil && (!ok || len(files) != 2 && len(files) != 3) {
		err = fmt.Errorf("protocol error: %T with %d descriptors instead of a request with 2 or 3", m, len(files))
	}
	if err != nil {
		closeFiles(files)
		_ = conn.Close()
		return nil, err
	}
	c := &Client{Request: request, Root: files[0], Dir: files[1], conn: conn, replies: make(chan Message, 1)}
	c.ctx, c.stop = context.WithCancelCause(ctx)
	if len(files) == 3 {
		c.Stdin = files[2]
	}
	var beating context.Context
	beating, c.quiet = context.WithCancel(c.ctx)
	go c.read()
	go c.beat(beating)
	return c, nil
}

// Context ends when the wrapper goes away, whatever the reason (Ctrl-C, its
// end), and with the context given to NewClient. After an Exec with a slot it
// ends when the compiler and all its children have ended.
func (c *Client) Context() context.Context { return c.ctx }

// Close ends the conversation. A wrapper that waits then runs the compiler.
func (c *Client) Close() {
	c.stop(context.Canceled)
	_ = c.conn.Close()
	c.Root.Close()
	c.Dir.Close()
	if c.Stdin != nil {
		c.Stdin.Close()
	}
}

func (c *Client) read() {
	for {
		m, files, err := c.conn.Receive()
		closeFiles(files)
		switch m.(type) {
		case Ran, Wrote:
		default:
			if err == nil {
				err = fmt.Errorf("protocol error: unexpected %T from the wrapper", m)
			}
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) { // reset: it had frames to read
				err = errGone
			}
			c.stop(err)
			return
		}
		select {
		case c.replies <- m:
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *Client) beat(ctx context.Context) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.conn.alive()
		}
	}
}

func (c *Client) send(m Message, files ...*os.File) error {
	return c.conn.sendFiles(sendWait, m, files)
}

// Run has the wrapper run a program and waits for its end. stdin may be nil;
// r.Stdin is set by it. The files are the ends for the program, often of pipes:
// Run closes them once they are sent, and the caller reads the other ends
// meanwhile. When ctx ends first the program still runs, and the wrapper runs no
// other: Run then refuses, or the end of the one would be taken for the other's.
// What ends the program is Close, the end of the wrapper, or a final message.
func (c *Client) Run(ctx context.Context, r Run, stdin, stdout, stderr *os.File) (Ran, error) {
	files := []*os.File{stdout, stderr}
	if r.Stdin = stdin != nil; r.Stdin {
		files = []*os.File{stdin, stdout, stderr}
	}
	if c.owed {
		closeFiles(files)
		return Ran{}, errOwed
	}
	err := c.send(r, files...)
	closeFiles(files)
	if err != nil {
		return Ran{}, err
	}
	m, err := c.reply(ctx)
	c.owed = err != nil
	if ran, ok := m.(Ran); ok || err != nil {
		return ran, err
	}
	return Ran{}, fmt.Errorf("protocol error: %T in answer to run", m)
}

// Finish hands the outputs over and waits until they are written. The files
// stay the caller's. A Wrote with Err set (a place that can't be written) means
// that Exec must follow.
func (c *Client) Finish(ctx context.Context, f Finish, files ...*os.File) (Wrote, error) {
	if err := c.send(f, files...); err != nil {
		return Wrote{}, err
	}
	m, err := c.reply(ctx)
	if _, late := m.(Ran); late && c.owed {
		c.owed = false
		m, err = c.reply(ctx)
	}
	if wrote, ok := m.(Wrote); ok || err != nil {
		return wrote, err
	}
	return Wrote{}, fmt.Errorf("protocol error: %T in answer to finish", m)
}

func (c *Client) reply(ctx context.Context) (Message, error) {
	select {
	case m := <-c.replies:
		return m, nil
	case <-ctx.Done():
	case <-c.ctx.Done():
	}
	// The reply may have come together with the end, and ctx may be ours.
	select {
	case m := <-c.replies:
		return m, nil
	default:
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, context.Cause(c.ctx)
}

// Exec lets the wrapper become the compiler. Nothing may be sent after it: with
// a slot the compiler holds the connection and never reads.
func (c *Client) Exec(e Exec) error { return c.last(e) }

// Fail ends with an error of crosscc's own.
func (c *Client) Fail(f Fail) error { return c.last(f) }

// Answer ends a verb that prints data.
func (c *Client) Answer(data []byte) error { return c.last(Answer{Data: data}) }

// Replace sends the wrapper off to start another agent. Close the Listener
// first, or it comes straight back.
func (c *Client) Replace() error { return c.last(Replace{}) }

// Note has the wrapper log one line.
func (c *Client) Note(text string) error { return c.send(Note{Text: text}) }

func (c *Client) last(m Message) error {
	c.quiet()
	return c.send(m)
}
