package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
	"github.com/crosscc/crosscc/broker/monitor"
)

// TestMain lets the test program be crossccd: a link with that name beside
// crossctl is what crossctl starts.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "crossccd" {
		os.Exit(crossccd(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// crossccd is a small agent as a process: `crossccd agent --socket PATH`. A file
// named build beside the socket makes it another build's.
func crossccd(args []string) int {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Println("crossccd " + local.BuildID())
		return 0
	}
	build := local.BuildID()
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(args[2]), "build")); err == nil {
		build = string(b)
	}
	l, err := rendezvous.Listen(args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	time.AfterFunc(20*time.Second, func() { _ = l.Close() }) // nobody is left behind
	serve(l, build, answers)
	return 0
}

// An answerer is what a fake agent does with one request of its own build.
type answerer func(c *local.Client) error

// serve takes requests until the listener closes.
func serve(l *rendezvous.Listener, build string, answer answerer) {
	for {
		conn, _, err := l.Accept()
		if err != nil {
			return
		}
		c, err := local.NewClient(context.Background(), conn)
		if err != nil {
			continue
		}
		if c.Request.Build != build {
			_ = l.Close()
			_ = c.Replace()
		} else {
			if c.Request.Verb == "stop" {
				_ = l.Close()
			}
			_ = answer(c)
		}
		<-c.Context().Done() // the answer has been read
		c.Close()
	}
}

// answers are those of an agent that works well.
func answers(c *local.Client) error {
	switch c.Request.Verb {
	case "status":
		return answer(c, fullStatus())
	case "helpers":
		return answer(c, fullHelpers())
	case "explain":
		return answer(c, monitor.Explanation{Verdict: "local", Reason: "link", Detail: "links", Compiler: c.Request.Program})
	case "native":
		return answer(c, monitor.Native{
			Compiler: c.Request.Program, Identity: strings.Join(c.Request.Args, " "),
			Flags: []string{"-march=skylake", "-mno-sgx", "--param=l2-cache-size=256", "--param=x=1"}, Words: []string{"-march=skylake", "-mavx"},
		})
	case "stop":
		return answer(c, struct{}{})
	}
	return c.Fail(local.Fail{Message: "agent knows no " + c.Request.Verb, Status: 100})
}

func answer(c *local.Client, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Answer(data)
}

// A place is a user's home with crosscc's programs, for one test.
type place struct {
	t       *testing.T
	dir     string
	environ []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"bin", "state", "state/run"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p := &place{t: t, dir: dir, environ: []string{
		"CROSSCC_DIR=" + filepath.Join(dir, "state"), "HOME=" + dir, "PATH=" + filepath.Join(dir, "bin"),
		// Hosts of the machine that runs the test are not ours to use.
		"CROSSCC_CONFIG=" + filepath.Join(dir, "crosscc.toml"), "CROSSCC_HOSTS=grpc://127.0.0.1:1",
	}}
	p.write("crosscc.toml", "", 0o600)
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) set(changes ...string) { p.environ = local.Setenv(p.environ, changes...) }

func (p *place) write(name, text string, mode os.FileMode) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

// program makes a script in bin.
func (p *place) program(name, script string) {
	p.write("bin/"+name, "#!/bin/sh\n"+script+"\n", 0o755)
}

// crossccd makes the link through which crossctl starts an agent, and ends
// that agent with the test.
func (p *place) crossccd() {
	p.t.Helper()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, p.path("bin/crossccd"))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.run("stop") })
}

// agent serves the place's socket inside the test until it ends.
func (p *place) agent(build string, a answerer) {
	p.t.Helper()
	l, err := rendezvous.Listen(p.path("state/run/agent.sock"))
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(l, build, a)
	}()
	p.t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

// A said is what one run of crossctl printed.
type said struct {
	stdout, stderr string
	exit           int
}

func (p *place) run(args ...string) said { return p.runContext(context.Background(), args...) }

// runContext runs crossctl and holds all that it says on stderr to the rules.
func (p *place) runContext(ctx context.Context, args ...string) said {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	exit := Main(ctx, p.env(&stdout, &stderr), args)
	keepsRules(p.t, args, stderr.String())
	return said{stdout.String(), stderr.String(), exit}
}

func (p *place) env(stdout, stderr io.Writer) Env {
	return Env{Stdout: stdout, Stderr: stderr, Environ: p.environ, Executable: p.path("bin/crossctl")}
}

// keepsRules checks the rules of package words: prefix, no capitals, no full stops.
func keepsRules(t *testing.T, args []string, stderr string) {
	t.Helper()
	rule := regexp.MustCompile("^crossctl: (error|hint|note): [^A-Z ].*[^. ]$")
	for line := range strings.Lines(strings.TrimPrefix(stderr, usage)) {
		if !rule.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("crossctl %q says on stderr %q, which breaks the rules of package words", args, line)
		}
	}
}

// fullStatus has something in every field that people see.
func fullStatus() monitor.Status {
	s := emptyStatus()
	s.Agent = monitor.AgentStatus{Build: local.BuildID(), PID: 4711, Socket: "/run/x", Uptime: 200, LocalSlots: 4, LocalRunning: 1}
	s.Jobs = monitor.Jobs{Remote: 120, Cached: 3, Local: 12}
	s.Matches = monitor.Matches{Identical: 118, Calibrated: 5}
	s.LocalReasons["probe-source"] = 2
	s.LocalReasons["link"] = 10
	s.LocalLast = map[broker.Reason]string{"probe-source": "conftest.c"}
	s.Helpers = fullHelpers()
	s.Notes = []string{"something to know"}
	return s
}

// fullHelpers are one helper that is up and one that is not.
func fullHelpers() []monitor.HelperStatus {
	gcc := monitor.ToolchainStatus{
		Identity: "gcc 12.2.0 (Debian 12.2.0-14) for aarch64-linux-gnu", Family: "gcc", Target: "aarch64-linux-gnu", Version: "12.2.0",
		Package: "Debian 12.2.0-14", Defaults: "00", Path: "/usr/bin/aarch64-linux-gnu-gcc", Languages: []string{"c", "c++"},
	}
	clang := monitor.ToolchainStatus{
		Identity: "clang 14.0.6 for x86_64-linux-gnu", Family: "clang", Target: "x86_64-linux-gnu", Version: "14.0.6",
		Package: "Debian 14.0.6-12", Path: "/usr/bin/clang-14", Languages: []string{"c"}, Targets: []string{"x86_64-linux-gnu", "aarch64", "riscv64"},
	}
	return []monitor.HelperStatus{
		{Address: "embedded", State: "up", Version: "0.1", Sandbox: "bwrap", Slots: 4, Jobs: 2,
			Toolchains: []monitor.ToolchainStatus{clang, gcc}},
		{Address: "127.0.0.1:1", State: "down", Error: "connection refused\x1b[31m"},
	}
}

// failing is a stdout that takes nothing.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
