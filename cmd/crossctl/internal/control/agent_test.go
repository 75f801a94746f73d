package control

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

const zeroStatus = `{
  "agent": {
    "build": "",
    "pid": 0,
    "socket": "",
    "uptime": 0,
    "local_slots": 0,
    "local_running": 0
  },
  "jobs": {
    "remote": 0,
    "cached": 0,
    "local": 0,
    "failed": 0,
    "verified": 0,
    "differed": 0
  },
  "matches": {
    "identical": 0,
    "calibrated": 0,
    "lines": 0
  },
  "local_reasons": {},
  "preprocessed_reasons": {},
  "native_asked": 0,
  "helpers": [],
  "calibrations": {
    "proven": 0,
    "refused": 0,
    "failed": 0,
    "running": false
  },
  "notes": [
    "no agent runs; the next build starts one"
  ]
}
`

func (s said) check(t *testing.T, want said) {
	t.Helper()
	if s != want {
		t.Errorf("exit %d, stdout\n%sstderr\n%swant exit %d, stdout\n%sstderr\n%s", s.exit, s.stdout, s.stderr, want.exit, want.stdout, want.stderr)
	}
}

// TestNoAgent: status and stop start nothing, the others say what is missing.
func TestNoAgent(t *testing.T) {
	p := newPlace(t)
	p.run("status", "--json").check(t, said{zeroStatus, "", 0})
	p.run("status").check(t, said{`agent    none
jobs     0 remote, 0 cached, 0 local, 0 failed
matches  0 identical, 0 calibrated, 0 lines

note: no agent runs; the next build starts one
`, "", 0})
	p.run("stop").check(t, said{"no agent runs\n", "", 0})
	p.run("stop", "--json").check(t, said{"{\n  \"stopped\": false\n}\n", "", 0})
	if entries, err := os.ReadDir(p.path("state/run")); err != nil || len(entries) > 0 {
		t.Errorf("status and stop left %v, %v", entries, err)
	}
	none := said{"", "crossctl: error: no answer from the agent: crossccd is neither beside " + p.path("bin/crossctl") + " nor on PATH\n" +
		"crossctl: hint: `crossctl doctor` looks for what is wrong\n", 1}
	p.run("toolchains").check(t, none)
	p.run("explain", "gcc").check(t, none)
	p.set("CROSSCC_DIR=relative")
	if got := p.run("status"); got.exit != 1 || got.stdout != "" || !strings.Contains(got.stderr, "must be absolute") {
		t.Errorf("with a relative CROSSCC_DIR: %+v", got)
	}
}

// TestStarted: a question starts the agent that the next one finds.
func TestStarted(t *testing.T) {
	p := newPlace(t)
	p.crossccd()
	p.program("cc", "exit 1")
	p.run("explain", "cc", "a.o", "-o", "a").check(t, said{"verdict   local: links\nreason    link\ncompiler  " + p.path("bin/cc") + "\n", "", 0})
	if got := p.run("status", "--json"); got.exit != 0 || !strings.Contains(got.stdout, `"remote": 120`) {
		t.Errorf("status: %+v", got)
	}
	p.run("stop").check(t, said{"the agent finishes its jobs and goes\n", "", 0})
}

// TestOtherBuild: an agent of another build goes; only a question that starts
// agents has it replaced.
func TestOtherBuild(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want said
	}{
		{"status", []string{"status"}, said{`agent    none
jobs     0 remote, 0 cached, 0 local, 0 failed
matches  0 identical, 0 calibrated, 0 lines

note: an agent of another build ran; it finishes its jobs and goes
`, "", 0}},
		{"stop", []string{"stop"}, said{"the agent finishes its jobs and goes\n", "", 0}},
		{"toolchains", []string{"toolchains", "gone"}, said{"",
			"crossctl: error: no helper has the address \"gone\"\ncrossctl: hint: helpers are embedded, 127.0.0.1:1\n", 2}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlace(t)
			p.crossccd()
			p.agent("another", answers)
			p.run(tc.args...).check(t, tc.want)
		})
	}
	t.Run("every one", func(t *testing.T) {
		p := newPlace(t)
		p.crossccd()
		p.write("state/run/build", "another", 0o600)
		p.run("toolchains").check(t, said{"", "crossctl: error: no answer from the agent: each one that starts is of another build than crossctl\n" +
			"crossctl: hint: `crossctl doctor` looks for what is wrong\n", 1})
	})
}

// TestBadAgent: whatever an agent answers, it is one line and no hang.
func TestBadAgent(t *testing.T) {
	const doctor = "crossctl: hint: `crossctl doctor` looks for what is wrong\n"
	tests := []struct {
		name   string
		answer answerer
		stderr string
	}{
		{"says no", func(c *local.Client) error {
			return c.Fail(local.Fail{Message: "host list: word 1\nis \x1b bad", Hint: "mend it", Status: 103})
		}, "crossctl: error: host list: word 1 is ? bad\ncrossctl: hint: mend it\n"},
		{"says no without a hint", func(c *local.Client) error { return c.Fail(local.Fail{Message: "no", Status: 103}) },
			"crossctl: error: no\n"},
		{"goes away", func(c *local.Client) error { c.Close(); return nil },
			"crossctl: error: no answer from the agent: ask for helpers: the agent closed the connection\n" + doctor},
		{"answers another verb", func(c *local.Client) error { return c.Exec(local.Exec{Path: "/bin/true"}) },
			"crossctl: error: no answer from the agent: protocol error: local.Exec in answer to helpers\n" + doctor},
		{"answers no JSON", func(c *local.Client) error { return c.Answer([]byte("{")) },
			"crossctl: error: helpers of the agent: unexpected end of JSON input\n"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlace(t)
			p.agent(local.BuildID(), tc.answer)
			p.run("toolchains", "--json").check(t, said{"", tc.stderr, 1})
		})
	}
}

// TestInterrupted: Ctrl-C ends a question that the agent does not answer, and
// the compiler that runs for it.
func TestInterrupted(t *testing.T) {
	p := newPlace(t)
	p.program("gcc", `echo $$ >"$HOME/pid"; exec sleep 60`)
	ctx, cancel := context.WithCancelCause(context.Background())
	p.agent(local.BuildID(), func(c *local.Client) error {
		_, _, err := runs(c, local.Run{Path: c.Request.Program, Args: []string{"gcc"}})
		return err
	})
	go func() {
		for wait := 0; wait < 200; wait++ {
			if b, err := os.ReadFile(p.path("pid")); err == nil && len(b) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel(errors.New("interrupted"))
	}()
	began := time.Now()
	got := p.runContext(ctx, "explain", "gcc", "-c", "a.c")
	if got.exit != 1 || !strings.Contains(got.stderr, "interrupted") || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %+v", time.Since(began), got)
	}
	if _, err := os.Stat(p.path("pid")); err != nil {
		t.Error("the compiler did not run")
	}
}

// TestRequest: what the agent gets to know of the one who asks.
func TestRequest(t *testing.T) {
	p := newPlace(t)
	p.set("SECRET=1", "CROSSCC_LOG_LEVEL=debug")
	requests := make(chan local.Request, 1)
	p.agent(local.BuildID(), func(c *local.Client) error {
		requests <- c.Request
		return answers(c)
	})
	p.program("aarch64-linux-gnu-gcc", "exit 1")
	p.run("explain", "--json", "--", "crosscc", "aarch64-linux-gnu-gcc", "--json", "-c", "a b.c")
	got := <-requests
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got.Verb != "explain" || got.Build != local.BuildID() || got.Dir != here || got.Program != p.path("bin/aarch64-linux-gnu-gcc") {
		t.Errorf("request is %+v", got)
	}
	if words := words.Quoted(got.Args); words != "aarch64-linux-gnu-gcc --json -c 'a b.c'" {
		t.Errorf("request's words are %s", words)
	}
	if env := strings.Join(got.Env, "\n"); strings.Contains(env, "SECRET") || !strings.Contains(env, "CROSSCC_HOSTS=grpc://127.0.0.1:1") {
		t.Errorf("request's environment is\n%s", env)
	}
}

// runs has the asker run a program, and returns what it printed.
func runs(c *local.Client, r local.Run) (string, local.Ran, error) {
	out, err := os.CreateTemp("", "crossctl-test-*")
	if err != nil {
		return "", local.Ran{}, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	ran, err := c.Run(c.Context(), r, nil, out, out)
	if err != nil {
		return "", ran, err
	}
	text, err := os.ReadFile(out.Name())
	return string(text), ran, err
}

// TestExplainRuns: the compiler is asked by crossctl itself, in its directory
// and environment.
func TestExplainRuns(t *testing.T) {
	p := newPlace(t)
	p.program("gcc", `echo "$1 in $PWD of $HOME"; exit 3`)
	p.agent(local.BuildID(), func(c *local.Client) error {
		text, ran, err := runs(c, local.Run{Path: c.Request.Program, Args: []string{"gcc", "-dumpmachine"}})
		if err != nil {
			return err
		}
		if status := syscall.WaitStatus(ran.Status); status.ExitStatus() != 3 {
			text = "exit status is wrong"
		}
		return answer(c, monitor.Explanation{Verdict: "remote", Identity: text, Helpers: []monitor.HelperExplanation{{Address: "h:1", Match: "identical"}}})
	})
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p.run("explain", "gcc", "-c", "a.c").check(t, said{"verdict   remote: a helper has the compiler\n" +
		"identity  -dumpmachine in " + here + " of " + p.dir + "\nhelper    h:1 identical\n", "", 0})
}

// TestUnwrapped: people paste what make printed.
func TestUnwrapped(t *testing.T) {
	if got := filepath.Base(unwrapped([]string{"/x/crosscc", "gcc"})[0]); got != "gcc" {
		t.Errorf("unwrapped begins with %s", got)
	}
}
