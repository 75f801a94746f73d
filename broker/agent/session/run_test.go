package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/agent/session/sessiontest"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// What a program says comes back whole, or not at all.
func TestRunAs(t *testing.T) {
	s := sessiontest.New(t, []string{"/bin/sh"})
	shell := func(script, stdin string) drivers.Program {
		p := drivers.Program{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"WORD=given"}}
		if stdin != "" {
			p.Stdin = []byte(stdin)
		}
		return p
	}
	for _, tt := range []struct {
		program drivers.Program
		want    string // what it printed to both, and its status
		err     string
	}{
		{shell(`echo $0 $WORD; echo no >&2; exit 3`, ""), "called given\nno\n\x03", ""},
		{shell(`cat`, "some text"), "some text\x00", ""},
		{shell(`cat`, ""), "\x00", ""},
		{shell(`head -c 1000 /dev/zero | tr '\0' x`, ""), strings.Repeat("x", 1000) + "\x00", ""},
		{shell(`head -c 1001 /dev/zero`, ""), "", "run /bin/sh: it printed more than 1000 bytes"},
		{shell(`kill -9 $$`, ""), "", "run /bin/sh: it was killed by killed"},
		{drivers.Program{Path: "/nonexistent"}, "", "run /nonexistent: run /nonexistent: no such file or directory"},
	} {
		if len(tt.program.Args) > 0 {
			tt.program.Args = append(tt.program.Args, "called")
		}
		out, err := s.RunAs(t.Context(), "sh", tt.program, 1000)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%q: %v, want %s", tt.program.Args, err, tt.err)
			}
			continue
		}
		if got := string(out.Stdout) + string(out.Stderr) + string(rune(out.Status)); err != nil || got != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.program.Args, got, err, tt.want)
		}
	}
}

// Of several compiles that one wrapper is to run only the one that runs holds a place, and
// none has used up its time by waiting for the others.
func TestRunPlaced(t *testing.T) {
	s := sessiontest.New(t, []string{"/bin/sh"})
	var places slots.Slots
	places.Resize(3)
	up, down := filepath.Join(t.TempDir(), "up"), filepath.Join(t.TempDir(), "down")
	for _, name := range []string{up, down} {
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := drivers.Program{Path: "/bin/sh", Args: []string{"-c", "echo >" + up + "; cat " + down}}
	ended := make(chan error, 3)
	run := func(p drivers.Program, bound time.Duration) {
		_, err := s.RunPlaced(t.Context(), &places, bound, "sh", p, session.MaxWords)
		ended <- err
	}
	go run(long, 0)
	if _, err := os.ReadFile(up); err != nil { // it runs
		t.Fatal(err)
	}
	for range 2 {
		go run(drivers.Program{Path: "/bin/true"}, time.Second)
	}
	time.Sleep(1200 * time.Millisecond) // for these to have come and to wait
	if _, held := places.Figures(); held != 1 {
		t.Errorf("one runs and two wait, and %d places are held", held)
	}
	if err := os.WriteFile(down, nil, 0); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if _, held := places.Figures(); held != 0 {
		t.Errorf("all have ended, and %d places are held", held)
	}
	_, err := s.RunPlaced(t.Context(), &places, time.Millisecond, "sh", drivers.Program{Path: "/bin/sleep", Args: []string{"60"}}, session.MaxWords)
	if _, held := places.Figures(); held != 0 || err == nil || err.Error() != "run /bin/sleep: it was not done after 1ms" {
		t.Errorf("over its time: %v, and %d places are held", err, held)
	}
}

// A program that takes too long leaves nothing that the next one could be taken for.
func TestRunGivenUp(t *testing.T) {
	s := sessiontest.New(t, []string{"/bin/sh"})
	ctx, stop := context.WithCancel(t.Context())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	began := drivers.Program{Path: "/bin/sh", Args: []string{"-c", fmt.Sprintf("echo up >/proc/%d/fd/%d; exec sleep 60", os.Getpid(), w.Fd())}}
	go func() {
		_, _ = r.Read(make([]byte, 3))
		stop()
	}()
	if _, err := s.RunAs(ctx, "sh", began, session.MaxWords); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	out, err := s.Ask(t.Context(), drivers.Program{Path: "/bin/true"})
	if err == nil || !strings.Contains(err.Error(), "took too long") {
		t.Errorf("the next: %+v, %v", out, err)
	}
}

// A file for a link is whole or is not there.
func TestPutTemp(t *testing.T) {
	name := t.TempDir()
	s := sessiontest.New(t, []string{"/bin/sh"}, "TMPDIR="+name)
	dir, err := s.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	base, err := session.PutTemp(dir, "a.o", broker.BytesBlob([]byte("object")))
	if data, rerr := os.ReadFile(name + "/" + base); err != nil || rerr != nil || string(data) != "object" {
		t.Errorf("%q, %v, %v", data, err, rerr)
	}
	if _, err := session.PutTemp(dir, "a.o", broker.BytesBlob([]byte("other"))); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if data, _ := os.ReadFile(name + "/a.o"); string(data) != "object" {
		t.Errorf("what was there is %q now", data)
	}
	lost := broker.FileBlob(broker.Digest{Size: 1}, func() (io.ReadCloser, error) { return nil, errors.New("lost") })
	if _, err := session.PutTemp(dir, "b.o", lost); err == nil {
		t.Error("a content that is lost was put")
	}
	if list, _ := os.ReadDir(name); len(list) != 1 {
		t.Errorf("there are %v", list)
	}
}
