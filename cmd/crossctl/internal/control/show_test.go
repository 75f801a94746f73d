package control

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// TestShow holds the tables to what people see.
func TestShow(t *testing.T) {
	p := newPlace(t)
	p.agent(local.BuildID(), answers)
	p.run("status").check(t, said{strings.ReplaceAll(`agent    pid 4711, build BUILD, up 3m20s, 1 of 4 local slots held
jobs     120 remote, 3 cached, 12 local, 0 failed
matches  118 identical, 5 calibrated, 0 lines

HELPER       STATE  SLOTS  JOBS  VERSION  SANDBOX  ERROR
embedded     up     4      2     0.1      bwrap    -
127.0.0.1:1  down   0      0     -        -        connection refused?[31m

LOCAL BECAUSE OF  JOBS  THE LAST ONE
link              10    -
probe-source      2     conftest.c

note: something to know
`, "BUILD", words.Plain(local.BuildID())), "", 0})
	list := `TARGET               COMPILER  VERSION  PACKAGE           LANGUAGES  PATH                            HELPER
aarch64-linux-gnu    gcc       12.2.0   Debian 12.2.0-14  c,c++      /usr/bin/aarch64-linux-gnu-gcc  embedded
x86_64-linux-gnu +2  clang     14.0.6   Debian 14.0.6-12  c          /usr/bin/clang-14               embedded
`
	down := "crossctl: note: helper 127.0.0.1:1 is down: connection refused?[31m\n"
	p.run("toolchains").check(t, said{list, down, 0})
	p.run("toolchains", "embedded").check(t, said{list, "", 0})
	p.run("toolchains", "127.0.0.1:1").check(t, said{"", down, 1})
	p.run("toolchains", "none").check(t, said{"",
		"crossctl: error: no helper has the address \"none\"\ncrossctl: hint: helpers are embedded, 127.0.0.1:1\n", 2})
}

// Where a helper has images, the tables say which, and what is wrong with one.
func TestShowImages(t *testing.T) {
	name := "registry.example/gcc@sha256:" + strings.Repeat("0123456789abcdef", 4)
	h := monitor.HelperStatus{
		Address: "h:1", State: "up",
		Toolchains: []monitor.ToolchainStatus{{Target: "riscv64-linux-gnu", Family: "gcc", Path: "/usr/bin/gcc", Image: name}, {Target: "x86_64-linux-gnu"}},
		Images:     []monitor.ImageStatus{{Name: name, State: "ready", Toolchains: 1}, {Name: "x", State: "failed", Detail: "registry x: \x1b refused"}},
	}
	var b bytes.Buffer
	showToolchains(&b, toolchainLines([]monitor.HelperStatus{h}))
	showImages(&b, []monitor.HelperStatus{h})
	showPacks(&b, []monitor.HelperStatus{h, {Address: "h:2", Pack: "gcc 12.2.0 sent, 31 MiB in 2.3s"}})
	want := `TARGET             COMPILER  VERSION  PACKAGE  LANGUAGES  PATH          HELPER  IMAGE
riscv64-linux-gnu  gcc       -        -        -          /usr/bin/gcc  h:1     registry.example/gcc@sha256:0123456789ab
x86_64-linux-gnu   -         -        -        -          -             h:1     -

IMAGE                                     STATE   TOOLCHAINS  HELPER  DETAIL
registry.example/gcc@sha256:0123456789ab  ready   1           h:1     -
x                                         failed  0           h:1     registry x: ? refused

HELPER  COMPILER OF THIS MACHINE
h:2     gcc 12.2.0 sent, 31 MiB in 2.3s
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestJSON: what the agent says comes out whole, in the shapes of package
// monitor and with nothing beside it.
func TestJSON(t *testing.T) {
	p := newPlace(t)
	p.agent(local.BuildID(), answers)
	same(t, p.run("status", "--json"), fullStatus())
	same(t, p.run("--json", "status"), fullStatus())
	same(t, p.run("toolchains", "--json"), fullHelpers())
	same(t, p.run("toolchains", "--json", "embedded"), fullHelpers()[:1])
	same(t, p.run("explain", "--json", "none"), monitor.Explanation{Verdict: "local", Reason: "link", Detail: "links"})
	same(t, p.run("stop", "--json"), stopped{Stopped: true})
}

// same checks that s printed want as JSON and nothing that want has no field for.
func same[T any](t *testing.T, s said, want T) {
	t.Helper()
	var got T
	dec := json.NewDecoder(strings.NewReader(s.stdout))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil || dec.More() || s.exit != 0 {
		t.Fatalf("exit %d, %v in\n%s%s", s.exit, err, s.stdout, s.stderr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestShowExplanation(t *testing.T) {
	full := monitor.Explanation{
		Verdict: "remote", Compiler: "/usr/bin/gcc", Identity: "gcc 12.2.0", Form: "preprocessed", Output: "a.o",
		Command: []string{"gcc", "-DX=a b", "-c", "a.c"},
		Helpers: []monitor.HelperExplanation{
			{Address: "h:1", Match: "none", Reason: "has gcc 11.3.0"},
			{Address: "h:2", Match: "identical"},
		},
	}
	none := monitor.Explanation{Verdict: "remote", Helpers: full.Helpers[:1]}
	tests := []struct {
		name string
		e    monitor.Explanation
		want string
	}{
		{"remote", full, `verdict   remote: a helper has the compiler
compiler  /usr/bin/gcc
identity  gcc 12.2.0
form      preprocessed
output    a.o
command   gcc '-DX=a b' -c a.c
helper    h:1 none: has gcc 11.3.0
helper    h:2 identical
`},
		{"nobody has it", none, "verdict  local: it could go, but no helper has the compiler\nhelper   h:1 none: has gcc 11.3.0\n"},
		{"local", monitor.Explanation{Verdict: "local", Reason: "link", Detail: "links"}, "verdict  local: links\nreason   link\n"},
		{"local without words", monitor.Explanation{Verdict: "local"}, "verdict  local\n"},
		{"an agent's control characters", monitor.Explanation{Verdict: "local", Detail: "a\nb\tc\x1b"}, "verdict  local: a b c?\n"},
	}
	for _, tc := range tests {
		var b bytes.Buffer
		showExplanation(&b, tc.e)
		if b.String() != tc.want {
			t.Errorf("%s: got\n%swant\n%s", tc.name, b.String(), tc.want)
		}
	}
}
