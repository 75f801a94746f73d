// Package prove shows that a sandbox is closed before strangers' code runs in it.
// Start with [Closed].
package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/sandbox"
)

// Closed runs this very program inside run and has it try what must not work:
// read, write, connect, see the host's processes, get new rights. It returns an
// error that names everything that was possible, or that the attempt could not
// be made. A helper calls it before its first job and does not start on an
// error.
//
// The program's main must begin with [Main].
func Closed(ctx context.Context, run sandbox.Runner) error {
	b, err := layBait(ctx)
	if err != nil {
		return fmt.Errorf("prove the sandbox: %w", err)
	}
	defer b.remove()
	o, err := run(ctx, b.spec())
	if err != nil {
		return fmt.Errorf("prove the sandbox: %w", err)
	}
	defer o.Close()
	if err := verdict(o); err != nil {
		return err
	}
	return proveEnd(ctx, run, b)
}

// verdict reads the probe's report.
func verdict(o *sandbox.Outcome) error {
	lines := strings.Split(strings.TrimSpace(string(o.Stdout)), "\n")
	done := fmt.Sprintf("tried %d", len(attempts()))
	if o.ExitCode != probeExit || lines[len(lines)-1] != done {
		return fmt.Errorf("prove the sandbox: the probe ended with %d and said %q; does main call prove.Main first?",
			o.ExitCode, sandbox.FirstLine(append(o.Stdout, o.Stderr...)))
	}
	if open := lines[:len(lines)-1]; len(open) > 0 {
		return fmt.Errorf("the sandbox is open: the probe could %s", strings.Join(open, "; "))
	}
	return nil
}

// proveEnd: a program that goes on for ever is ended, and reported as such.
func proveEnd(ctx context.Context, run sandbox.Runner, b *bait) error {
	s := b.spec()
	s.Args = []string{s.Args[0], probeWord, "sleep"}
	s.Limits.Wall = 100 * time.Millisecond
	o, err := run(ctx, s)
	if err == nil {
		o.Close()
	}
	if f, ok := errors.AsType[*sandbox.Failure](err); !ok || f.Kind != sandbox.WallTime {
		return fmt.Errorf("the sandbox is open: a program that never ends was not ended as one: %v", err)
	}
	return nil
}

// probeLimits are asked for, and looked at from inside.
func probeLimits() sandbox.Limits {
	return sandbox.Limits{Wall: 30 * time.Second, CPU: 20 * time.Second, Memory: 4 << 30, FileSize: 1 << 20,
		OutputSum: 1 << 20, Temp: 1 << 20, Processes: 48}
}

// A bait is what a program without walls could reach.
type bait struct {
	home    string // of all that follows
	dir     string // everyone may read it and write to it
	program string // this program, where the sandbox's uid can reach it
	tcp     net.Listener
	unix    net.Listener
	hidden  net.Listener // abstract: no file, only a network namespace hides it
}

func layBait(ctx context.Context) (b *bait, err error) {
	b = &bait{}
	defer func() {
		if err != nil {
			b.remove()
		}
	}()
	if b.home, err = os.MkdirTemp("", "crosscc-probe-"); err != nil {
		return b, err
	}
	b.dir = filepath.Join(b.home, "bait")
	if err = errors.Join(os.Chmod(b.home, 0o755), os.Mkdir(b.dir, 0o755), os.Chmod(b.dir, 0o777)); err != nil {
		return b, err
	}
	if err = os.WriteFile(filepath.Join(b.dir, "secret"), []byte("secret\n"), 0o644); err != nil {
		return b, err
	}
	if err = b.listen(ctx); err != nil {
		return b, err
	}
	b.program, err = b.ownProgram()
	return b, err
}

func (b *bait) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if b.tcp, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	socket := filepath.Join(b.dir, "socket")
	if b.unix, err = lc.Listen(ctx, "unix", socket); err != nil {
		return err
	}
	if err = os.Chmod(socket, 0o777); err != nil {
		return err
	}
	b.hidden, err = lc.Listen(ctx, "unix", "@"+b.dir)
	return err
}

// ownProgram names this program. Root's may lie where the sandbox's uid can't
// reach it; then it is copied.
func (b *bait) ownProgram() (string, error) {
	self, err := os.Executable()
	if err != nil || os.Geteuid() != 0 || reachable(self) {
		return self, err
	}
	from, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer from.Close()
	p := filepath.Join(b.home, filepath.Base(self))
	to, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	return p, errors.Join(err, to.Close())
}

// reachable: every directory on the way can be passed by anybody, and anybody
// may read and execute the file.
func reachable(p string) bool {
	info, err := os.Stat(p)
	if err != nil || info.Mode().Perm()&0o5 != 0o5 {
		return false
	}
	for d := filepath.Dir(p); ; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm()&1 == 0 {
			return false
		}
		if d == "/" {
			return true
		}
	}
}

func (b *bait) spec() *sandbox.Spec {
	hostname, _ := os.Hostname()
	return &sandbox.Spec{
		Path: b.program,
		Args: []string{b.program, probeWord, b.program, b.dir, b.tcp.Addr().String(), hostname, strconv.Itoa(os.Getpid())},
		Env:  []string{"CROSSCC_PROBE=1"}, Dir: "/", Programs: []string{b.program},
		Out: "/.crosscc", Limits: probeLimits(),
	}
}

func (b *bait) remove() {
	for _, l := range []net.Listener{b.tcp, b.unix, b.hidden} {
		if l != nil {
			_ = l.Close()
		}
	}
	if b.home != "" {
		_ = os.RemoveAll(b.home)
	}
}
