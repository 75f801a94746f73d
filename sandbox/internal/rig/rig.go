// Package rig is what tests of the sandbox share: programs built from C source, trees
// for them, a Docker Engine, and a look for what was left behind.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/e2e/dockerd"
	"github.com/crosscc/crosscc/sandbox"
)

// OpenTemp is a directory that every uid can pass, unlike t.TempDir.
func OpenTemp(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Need finds a program that tests can't do without.
func Need(t testing.TB, program, install string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: apt-get install %s", err, install)
	}
	return p
}

// Build makes a program of C source. Static ones need nothing else to run.
func Build(t testing.TB, source string, flags ...string) string {
	t.Helper()
	dir := OpenTemp(t)
	Write(t, filepath.Join(dir, "p.c"), source)
	if len(flags) == 0 {
		flags = []string{"-static"}
	}
	p := filepath.Join(dir, "p")
	Run(t, dir, Need(t, "gcc-12", "gcc-12"), append([]string{"-O1", "-w", "-o", p, "p.c"}, flags...)...)
	return p
}

// Run runs a program to its end, which has to be a good one.
func Run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// Write makes a file with the directories on its way.
func Write(t testing.TB, p, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Context bounds one test.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Spec runs a program of Build with the words args.
func Spec(program string, args ...string) *sandbox.Spec {
	return &sandbox.Spec{Path: program, Args: append([]string{program}, args...), Dir: "/", Programs: []string{program}, Out: "/.crosscc"}
}

// Processes lists command lines on this machine that hold word, zombies too.
func Processes(t *testing.T, word string) (found []string) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		line, _ := os.ReadFile(filepath.Join(d, "cmdline"))
		parent, _ := os.ReadFile(filepath.Join(d, "stat"))
		child := strings.Contains(string(parent), fmt.Sprintf(") Z %d ", os.Getpid()))
		if bytes.Contains(line, []byte(word)) || child {
			found = append(found, fmt.Sprintf("%s %q", d, line))
		}
	}
	return found
}

// Await waits until as many processes as wanted have p in their command lines.
func Await(t *testing.T, p string, enough func(found []string) bool) []string {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if found := Processes(t, p); enough(found) {
			return found
		}
	}
	t.Fatalf("waited in vain; there are %q", Processes(t, p))
	return nil
}

// Sleeper has a child and never ends.
const Sleeper = `#include <unistd.h>
	int main() { if (!fork()) setsid(); for (;;) pause(); }`

// LayTree lays out a tree of entries: "dir/" , "file", or "link>text".
func LayTree(t *testing.T, entries ...string) string {
	t.Helper()
	tree := OpenTemp(t)
	for _, e := range entries {
		link, text, isLink := strings.Cut(e, ">")
		p := filepath.Join(tree, link)
		switch {
		case isLink:
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(text, p); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(e, "/"):
			if err := os.MkdirAll(p, 0o755); err != nil {
				t.Fatal(err)
			}
		default:
			Write(t, p, e)
		}
	}
	return tree
}

// ProgramsOf asks a driver for what it starts.
func ProgramsOf(t testing.TB, driver string, asks []string) []string {
	t.Helper()
	programs := []string{driver}
	for _, name := range asks {
		out, err := exec.Command(driver, "-print-prog-name="+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		p := strings.TrimSpace(string(out))
		if !filepath.IsAbs(p) {
			p = Need(t, p, "binutils")
		}
		programs = append(programs, p)
	}
	return programs
}

// AsUser runs this test program again as an ordinary user, who can reach it, with more
// words for it. It does nothing when these tests are not root's.
func AsUser(t *testing.T, env []string, args ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("these tests run as an ordinary user already")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := OpenTemp(t)
	program := filepath.Join(dir, "sandbox.test")
	Run(t, "/", "cp", self, program)
	// A minute on two processors, several when others use them.
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "-test.v")...)
	cmd.Dir, cmd.Env = "/", append(env, "PATH="+os.Getenv("PATH"), "TMPDIR="+os.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: User, Gid: User}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as uid %d: %v\n%s", User, err, out)
	}
	t.Logf("%s", out[max(0, len(out)-200):])
}

// User is the uid and gid of AsUser's user, whom nobody else is.
const User = 4711

// An Engine is the Docker Engine of a test program, started when the first test asks.
// The zero value is ready.
type Engine struct {
	once sync.Once
	d    *dockerd.Daemon
	err  error
}

// Start returns the Engine, or an error that is dockerd.ErrNone where none can run.
func (e *Engine) Start() (*dockerd.Daemon, error) {
	e.once.Do(func() { e.d, e.err = dockerd.Start(context.Background()) })
	return e.d, e.err
}

// Need is Start, or the test is skipped.
func (e *Engine) Need(t testing.TB) *dockerd.Daemon {
	t.Helper()
	d, err := e.Start()
	if errors.Is(err, dockerd.ErrNone) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Stop ends the Engine, if there is one. TestMain calls it.
func (e *Engine) Stop() error {
	if e.d == nil {
		return nil
	}
	return e.d.Stop()
}
