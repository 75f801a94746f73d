package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/door"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/probe"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

var peerCommands = map[string]func(*testscript.TestScript, bool, []string){
	"listen":       listen,
	"lying-helper": startLiar,
}

// listen is `listen NAME [TEXT]`: whoever connects is sent TEXT, if any, and
// nothing more; the connection stays open until the script ends.
func listen(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: listen NAME [TEXT]")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	var (
		mu    sync.Mutex // guards conns
		conns []net.Conn
	)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed at the script's end
			}
			if len(args) == 2 {
				_, _ = c.Write([]byte(args[1] + "\r\n\r\n"))
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	}()
	ts.Defer(func() {
		l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			c.Close()
		}
	})
	ts.Setenv(args[0], l.Addr().String())
}

// A liar claims to have the compilers of this machine, and answers every job
// with the one output that it has.
type liar struct {
	state  broker.State
	output []byte
}

// startLiar is `lying-helper NAME COMPILER ARG…`: a helper behind our own door
// whose every answer is what COMPILER makes of a small source.
func startLiar(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: lying-helper NAME COMPILER [ARG…]")
	}
	s := scriptOf(ts)
	dir := s.file(args[0], "")
	ts.Check(os.MkdirAll(dir, 0o755))
	var l liar
	var err error
	l.output, err = compileLie(dir, args[1], args[2:])
	ts.Check(err)
	l.state, err = claim("gcc", "aarch64-linux-gnu-gcc")
	ts.Check(err)
	kept, err := store.Open(filepath.Join(dir, "store"), store.Options{})
	ts.Check(err)
	server := door.New(door.Backend{
		Run:   l.run,
		Store: kept,
		State: func() (broker.State, <-chan struct{}) { return l.state, nil },
	}, door.Options{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ts.Defer(func() {
		server.Close()
		ts.Check(errors.Join(<-served, kept.Close()))
	})
	ts.Setenv(args[0], listener.Addr().String())
}

// run is a broker.Runner.
func (l *liar) run(_ context.Context, j *broker.Job) (broker.Result, error) {
	var r broker.Result
	for _, name := range j.Outputs {
		r.Outputs = append(r.Outputs, broker.Output{Path: name, Blob: broker.BytesBlob(l.output)})
	}
	return r, nil
}

func compileLie(dir, compiler string, args []string) ([]byte, error) {
	source, out := filepath.Join(dir, "lie.c"), filepath.Join(dir, "lie.o")
	if err := os.WriteFile(source, []byte("int lie(void) { return 1; }\n"), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(compiler, append([]string{"-c", source, "-o", out}, args...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	return os.ReadFile(out)
}

// claim is the state of a helper that has the named compilers of this machine.
func claim(compilers ...string) (broker.State, error) {
	state := broker.State{Version: "liar", Sandbox: "none", Slots: 4}
	root, err := rootfs.At("/")
	if err != nil {
		return state, err
	}
	defer root.Close()
	for _, name := range compilers {
		path, err := exec.LookPath(name)
		if err != nil {
			return state, err
		}
		tc, err := probe.Toolchain(context.Background(), drivers.System{Root: root, Run: runPlainly, Getenv: os.Getenv}, path, "")
		if err != nil {
			return state, err
		}
		state.Toolchains = append(state.Toolchains, tc)
	}
	return state, nil
}

// runPlainly is a drivers.RunFunc.
func runPlainly(ctx context.Context, p drivers.Program) (drivers.Output, error) {
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	var stdout, stderr bytes.Buffer
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p.Stdin), &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = nil
	}
	return drivers.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Status: cmd.ProcessState.ExitCode()}, err
}
