package control

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/doctor"
)

// TestDoctor: on a place of our own, with an agent that doctor starts.
func TestDoctor(t *testing.T) {
	p := newPlace(t)
	p.crossccd()
	p.program("crosscc", "echo 'crosscc "+local.BuildID()+"'")
	p.program("bwrap", "exit 1")
	got := p.run("doctor")
	want := []string{
		"ok       crosscc             " + p.path("bin/crosscc") + ", build ",
		"ok       crossccd            " + p.path("bin/crossccd") + ", build ",
		"ok       sandbox             " + p.path("bin/bwrap") + "\n",
		"ok       hosts               127.0.0.1:1\n",
		"ok       agent               pid 4711, build ",
		"ok       helper embedded     up, version 0.1, sandbox bwrap, 4 slots, 2 toolchains\n",
		"FINDING  helper 127.0.0.1:1  down: connection refused?[31m\n         mend it by          crossccd serve --grpc 127.0.0.1:1\n1 finding\n",
	}
	rest, in := got.stdout, true
	for _, w := range want {
		_, after, ok := strings.Cut(rest, w)
		in, rest = in && ok, after
	}
	if !in || got.exit != 1 || got.stderr != "" {
		t.Errorf("doctor says %+v, want\n%s", got, strings.Join(want, "\n"))
	}
}

// TestDoctorFindings: the programs and settings of this machine as doctor sees
// them.
func TestDoctorFindings(t *testing.T) {
	tests := []struct {
		name, check string
		make        func(p *place)
		text, mend  string
	}{
		{"nothing installed", "crosscc", func(*place) {}, "crosscc is not in PATH", "make build"},
		{"not in PATH", "crosscc", func(p *place) { p.program("crosscc", "exit 1"); p.set("PATH=/none") },
			"crosscc is not in PATH", `export PATH="DIR/bin:$PATH"`},
		{"a relative PATH", "crosscc", func(p *place) { p.program("crosscc", "exit 1"); p.set("PATH=.:bin") },
			"crosscc is not in PATH", `export PATH="DIR/bin:$PATH"`},
		{"another build", "crosscc", func(p *place) { p.program("crosscc", "echo crosscc b0") },
			"DIR/bin/crosscc is of build b0, crossctl of build BUILD", "make build"},
		{"another build with a version", "crosscc", func(p *place) { p.program("crosscc", "echo 'crosscc v1 (build b0 modified)'") },
			"DIR/bin/crosscc is of build b0 modified, crossctl of build BUILD", "make build"},
		{"no program of ours", "crosscc", func(p *place) { p.program("crosscc", "echo hello world") },
			`DIR/bin/crosscc is not a program of crosscc's: DIR/bin/crosscc --version says "hello world"`, "make build"},
		{"fails", "crosscc", func(p *place) { p.program("crosscc", "exit 3") },
			"DIR/bin/crosscc is not a program of crosscc's: DIR/bin/crosscc --version: exit status 3", "make build"},
		{"talks without end", "crosscc", func(p *place) { p.program("crosscc", "while echo crosscc; do :; done") },
			"", "make build"},
		{"no crossccd", "agent", func(*place) {},
			"no answer from the agent: crossccd is neither beside DIR/bin/crossctl nor on PATH", "make build"},
		{"no place for an agent", "agent", func(p *place) { p.set("CROSSCC_DIR", "HOME") },
			"no answer from the agent: no place for the agent's socket", "export CROSSCC_DIR=DIR"},
		{"an agent that dies", "agent", func(p *place) { p.program("crossccd", "exit 4") },
			"no answer from the agent: DIR/bin/crossccd ended at once with status 4; see DIR/state/agent.log", "make build"},
		{"a crossccd of this build that dies", "agent", func(p *place) { p.program("crossccd", `test "$1" = --version && echo "crossccd `+local.BuildID()+`"`) },
			"no answer from the agent: DIR/bin/crossccd ended at once with status 1; see DIR/state/agent.log", "tail -n 20 DIR/state/agent.log"},
		{"malformed hosts", "hosts", func(p *place) { p.set("CROSSCC_HOSTS=grpc://h,frob=1") }, "CROSSCC_HOSTS: ", "export CROSSCC_HOSTS=grpc://HOST"},
		{"no hosts", "hosts", func(p *place) { p.set("CROSSCC_HOSTS="); p.write("crosscc.toml", "hosts = []\n", 0o600) },
			"DIR/crosscc.toml: names no helper, so all jobs are local", "${EDITOR:-vi} DIR/crosscc.toml"},
		{"unknown key", "hosts", func(p *place) { p.write("crosscc.toml", "\nfrob = 1\n", 0o600) }, "DIR/crosscc.toml:2: ", "${EDITOR:-vi} DIR/crosscc.toml"},
		{"no such file", "hosts", func(p *place) { p.set("CROSSCC_CONFIG=" + p.path("none")) }, "configuration DIR/none: ", "${EDITOR:-vi} DIR/none"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlace(t)
			tc.make(p)
			got := finding(t, p.run("doctor", "--json"), tc.check)
			full := strings.NewReplacer("_DIR=DIR", "_DIR=DIR", "DIR", p.dir, "BUILD", local.BuildID())
			if got.Well || !strings.HasPrefix(got.Text, full.Replace(tc.text)) || got.Mend != full.Replace(tc.mend) {
				t.Errorf("got %+v, want %q, mended by %q", got, tc.text, tc.mend)
			}
		})
	}
}

// finding is the check with that name in what doctor printed, which counts its
// findings right.
func finding(t *testing.T, s said, name string) doctor.Check {
	t.Helper()
	var r doctor.Report
	if err := json.Unmarshal([]byte(s.stdout), &r); err != nil || s.exit != 1 || r.Build != local.BuildID() {
		t.Fatalf("exit %d, %v in\n%s%s", s.exit, err, s.stdout, s.stderr)
	}
	n, found := 0, doctor.Check{}
	for _, c := range r.Checks {
		if !c.Well {
			n++
		}
		if c.Name == name {
			found = c
		}
	}
	if n != r.Findings {
		t.Errorf("%d findings are counted as %d", n, r.Findings)
	}
	return found
}

// TestMalformedHosts: status without an agent says what is wrong, in a note.
func TestMalformedHosts(t *testing.T) {
	p := newPlace(t)
	p.set("CROSSCC_HOSTS=grpc://")
	got := p.run("status")
	if got.exit != 0 || !strings.Contains(got.stdout, "note: CROSSCC_HOSTS: ") {
		t.Errorf("status says %+v", got)
	}
}

// TestReadConfig: no wait and no end to what is read.
func TestReadConfig(t *testing.T) {
	p := newPlace(t)
	p.write("large", strings.Repeat("#", maxConfig+1), 0o600)
	if _, err := readConfig(p.path("large")); err == nil {
		t.Error("a configuration file over the limit was read")
	}
	if _, err := readConfig(p.path("none")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}
