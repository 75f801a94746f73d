package local

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// talk runs agent against a Session and returns what the Session got.
func talk(t *testing.T, environ []string, agent func(c *Client)) (Message, []*os.File, error) {
	t.Helper()
	a, b := pair(t)
	s := NewSession(b, Host{Environ: environ, Note: func(text string) { t.Log("note: " + text) }})
	t.Cleanup(s.Close)
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := NewClient(context.Background(), a)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		agent(c)
	}()
	m, files, err := s.Do(hello())
	s.Close()
	<-served
	return m, files, err
}

func hello() Request { return NewRequest(VerbCompile, os.Environ()) }

// runs has the wrapper run a shell command and returns what it printed.
func runs(t *testing.T, c *Client, stdin *os.File, command string, env ...string) (stdout string, ran Ran) {
	t.Helper()
	r, w, err := os.Pipe() // not blocking, both ends
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	out := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		out <- string(b)
	}()
	ran, err = c.Run(c.Context(), Run{Path: "/bin/sh", Args: []string{"sh", "-c", command}, Env: env}, stdin, w, null(t))
	if err != nil {
		t.Error(err)
	}
	return <-out, ran
}

func TestSessionRuns(t *testing.T) {
	environ := []string{"PATH=/usr/bin:/bin", "LC_ALL=de_DE", "DEPENDENCIES_OUTPUT=x"}
	in := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(in, []byte("from stdin"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := talk(t, environ, func(c *Client) {
		got, ran := runs(t, c, nil, `echo $LC_ALL ${DEPENDENCIES_OUTPUT-none}; exit 3`, "LC_ALL=C", "DEPENDENCIES_OUTPUT")
		if got != "C none\n" || ran.Status != 3<<8 {
			t.Errorf("got %q, status %#x", got, ran.Status)
		}
		if got, _ := runs(t, c, nil, `cat`); got != "" {
			t.Errorf("stdin without a descriptor gave %q", got)
		}
		if got, _ := runs(t, c, stdin, `cat`); got != "from stdin" {
			t.Errorf("stdin gave %q", got)
		}
		if _, ran := runs(t, c, nil, `kill -9 $$`); !syscall.WaitStatus(ran.Status).Signaled() {
			t.Errorf("killed: status %#x", ran.Status)
		}
		if got, _ := runs(t, c, nil, `head -c 300000 /dev/zero`); len(got) != 300000 {
			t.Errorf("a pipe that is full lost bytes: %d of 300000", len(got))
		}
		_ = c.Note("half way")
		_ = c.Answer([]byte("done"))
	})
	if a, ok := m.(Answer); err != nil || !ok || string(a.Data) != "done" {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestSessionReportsWhatCannotStart(t *testing.T) {
	_, _, err := talk(t, nil, func(c *Client) {
		ran, err := c.Run(c.Context(), Run{Path: "/nonexistent", Args: []string{"x"}}, nil, null(t), null(t))
		if err != nil || ran.Err != "run /nonexistent: no such file or directory" {
			t.Errorf("got %+v, %v", ran, err)
		}
		_ = c.Answer(nil)
	})
	if err != nil {
		t.Error(err)
	}
}

func null(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Error(err)
	}
	return f
}

// A wrapper that goes away takes the program that it runs along, and what that
// has started; the agent's context ends.
func TestSessionCloseKills(t *testing.T) {
	a, b := pair(t)
	s := NewSession(b, Host{Environ: os.Environ()})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	gone := make(chan error, 1)
	go func() {
		c, err := NewClient(context.Background(), a)
		if err != nil {
			gone <- err
			return
		}
		defer c.Close()
		_, err = c.Run(context.Background(), Run{Path: "/bin/sh", Args: []string{"sh", "-c", "echo up; sleep 60 & sleep 60"}}, nil, w, null(t))
		gone <- err
	}()
	go func() { _, _, _ = s.Do(hello()) }()
	_, _ = io.ReadFull(r, make([]byte, 3))
	s.Close()
	if err := <-gone; !errors.Is(err, errGone) {
		t.Errorf("agent got %v, want %v", err, errGone)
	}
	_ = r.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the program's children live: %v", err)
	}
}

func TestSessionErrors(t *testing.T) {
	tests := []struct {
		name  string
		agent func(c *Conn)
		want  string
	}{
		{"closes", func(c *Conn) { c.Close() }, "the agent closed the connection"},
		{"speaks like a wrapper", func(c *Conn) { _ = c.Send(Wrote{}) }, "unexpected local.Wrote"},
		{"sends an unknown frame", func(c *Conn) { _, _ = c.file.Write([]byte{0, 0, 0, 0, 99}) }, "unknown message 99"},
		{"two programs at once", func(c *Conn) {
			_ = c.Send(Run{Path: "/bin/sleep", Args: []string{"sleep", "9"}})
			_ = c.Send(Run{Path: "/bin/sleep", Args: []string{"sleep", "9"}})
		}, "run while another"},
		{"stdin without descriptor", func(c *Conn) { _ = c.Send(Run{Path: "/bin/true", Stdin: true}) }, "wrong number"},
	}
	for _, tc := range tests {
		a, b := pair(t)
		s := NewSession(b, Host{})
		go func() {
			_, files, _ := a.Receive()
			closeFiles(files)
			tc.agent(a)
		}()
		if _, _, err := s.Do(hello()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		s.Close()
	}
}

// An agent that says nothing is given up; one that says Alive is not.
func TestSessionSilence(t *testing.T) {
	a, b := pair(t)
	s := NewSession(b, Host{})
	defer s.Close()
	s.conn.silence = 200 * time.Millisecond
	begin := time.Now()
	const lives = 20
	go func() {
		_, files, _ := a.Receive()
		closeFiles(files)
		for range lives {
			a.alive()
			time.Sleep(50 * time.Millisecond)
		}
	}()
	_, _, err := s.Do(hello())
	if took := time.Since(begin); !errors.Is(err, ErrSilent) || took < lives*50*time.Millisecond {
		t.Errorf("after %v: %v, want %v", took, err, ErrSilent)
	}
}

// Whatever was sent long ago, an agent that works says so: the bound of a frame ends with it.
func TestAliveAfterLong(t *testing.T) {
	a, b := pair(t)
	defer a.Close()
	defer b.Close()
	if err := a.sendFiles(time.Millisecond, Note{Text: "once"}, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	a.alive()
	_ = b.SetReadDeadline(time.Now().Add(5 * time.Second))
	for _, want := range []Message{Note{Text: "once"}, Alive{}} {
		if m, _, err := b.Receive(); err != nil || m != want {
			t.Errorf("got %#v, %v; want %#v", m, err, want)
		}
	}
}

// A program may run for longer than an agent may be silent.
func TestSessionLongRun(t *testing.T) {
	a, b := pair(t)
	s := NewSession(b, Host{})
	defer s.Close()
	s.conn.silence = 200 * time.Millisecond
	ran := make(chan Message, 1)
	go func() {
		_, files, _ := a.Receive()
		closeFiles(files)
		_ = a.Send(Run{Path: "/bin/sleep", Args: []string{"sleep", "0.5"}})
		go func() {
			for range 20 {
				a.alive()
				time.Sleep(50 * time.Millisecond)
			}
			_ = a.Send(Answer{})
		}()
		_ = a.SetReadDeadline(time.Now().Add(5 * time.Second))
		m, _, _ := a.Receive()
		ran <- m
	}()
	if _, _, err := s.Do(hello()); err != nil {
		t.Error(err)
	}
	if m := <-ran; m != (Ran{}) {
		t.Errorf("the agent got %#v", m)
	}
}

// The end of a program that the agent has given up waiting for is not taken for that of
// another, and does not stand in the way of a job's end.
func TestRunGivenUp(t *testing.T) {
	a, b := pair(t)
	s := NewSession(b, Host{})
	defer s.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := NewClient(context.Background(), a)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		r, w, err := os.Pipe() // the program ends when this is closed
		if err != nil {
			t.Error(err)
			return
		}
		enough, stop := context.WithCancel(context.Background())
		stop()
		if _, err := c.Run(enough, Run{Path: "/bin/cat", Args: []string{"cat"}}, r, null(t), null(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		if ran, err := c.Run(c.Context(), Run{Path: "/bin/false", Args: []string{"false"}}, nil, null(t), null(t)); err != errOwed {
			t.Errorf("while another runs: %+v, %v", ran, err)
		}
		w.Close()
		for len(c.replies) == 0 && c.Context().Err() == nil { // its end is there
			time.Sleep(time.Millisecond)
		}
		if ran, err := c.Run(c.Context(), Run{Path: "/bin/false", Args: []string{"false"}}, nil, null(t), null(t)); err != errOwed {
			t.Errorf("when another has ended: %+v, %v", ran, err)
		}
		if wrote, err := c.Finish(c.Context(), Finish{}); err != nil || wrote.Err != "full" {
			t.Errorf("finish: %+v, %v", wrote, err)
		}
	}()
	m, _, err := s.Do(hello())
	if _, ok := m.(Finish); err != nil || !ok {
		t.Errorf("got %v, %v", m, err)
	}
	_ = s.Send(Wrote{Err: "full"})
	s.Close()
	<-served
}

// A program that the agent has given up does not live on beside what comes instead of it,
// nor does what it has started.
func TestGivenUpIsKilled(t *testing.T) {
	for name, last := range map[string]Message{"exec": Exec{Reason: "took too long", Slot: true}, "finish": Finish{}} {
		a, b := pair(t)
		s := NewSession(b, Host{Environ: os.Environ()})
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := NewClient(context.Background(), a)
			if err != nil {
				t.Error(err)
				return
			}
			enough, stop := context.WithCancel(context.Background())
			go func() {
				_, _ = io.ReadFull(r, make([]byte, 3))
				stop()
			}()
			if _, err := c.Run(enough, Run{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 60 & echo up; sleep 60"}}, nil, w, null(t)); !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
			_ = c.last(last)
		}()
		if _, _, err := s.Do(hello()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_ = r.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: it lives: %v", name, err)
		}
		r.Close()
		s.Close()
	}
}

func TestClientRefuses(t *testing.T) {
	tests := []struct {
		name string
		send func(c *Conn)
		want string
	}{
		{"no descriptors", func(c *Conn) { _ = c.Send(Request{}) }, "0 descriptors instead of a request with 2"},
		{"no request", func(c *Conn) { _ = c.Send(Wrote{}) }, "local.Wrote with 0"},
		{"closes", func(c *Conn) { c.Close() }, "EOF"},
	}
	for _, tc := range tests {
		a, b := pair(t)
		tc.send(b)
		if _, err := NewClient(context.Background(), a); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestNewRequest(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	link := filepath.Join(t.TempDir(), "link")
	real := t.TempDir()
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(link)
	r := NewRequest(VerbCompile, []string{"PATH=/bin", "SECRET=1", "PWD=" + link})
	if r.Umask != 0o027 || r.Dir != link || len(r.Env) != 2 || r.Build == "" {
		t.Errorf("got %+v", r)
	}
	for _, pwd := range []string{"", "/", ".", "/nonexistent"} {
		if r := NewRequest(VerbCompile, []string{"PWD=" + pwd}); r.Dir != real {
			t.Errorf("PWD %q that names another place: %q, want %q", pwd, r.Dir, real)
		}
	}
	if err := os.Remove(real); err != nil {
		t.Fatal(err)
	}
	if r := NewRequest(VerbCompile, nil); r.Dir != "" {
		t.Errorf("without a working directory: %q", r.Dir)
	}
}
