package doctor

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/crosscc/crosscc/broker/monitor"
)

// well is a system with nothing to find; find makes it a finding's.
func well(find func(*System)) System {
	sys := System{
		Build:   "b1",
		Log:     "/log",
		InPath:  func(name string) (string, error) { return "/usr/bin/" + name, nil },
		Beside:  func(name string) (string, error) { return "/opt/crosscc/" + name, nil },
		BuildOf: func(context.Context, string) (string, error) { return "b1", nil },
		Hosts:   func() ([]string, error) { return nil, nil },
		Project: func() (string, error) { return "", nil },
		Agent: func(context.Context) (monitor.Status, error) {
			return monitor.Status{Agent: monitor.AgentStatus{Build: "b1", PID: 7, Socket: "/run/s"}}, nil
		},
		Helpers: func(context.Context) ([]monitor.HelperStatus, error) {
			return []monitor.HelperStatus{up("embedded")}, nil
		},
	}
	if find != nil {
		find(&sys)
	}
	return sys
}

func up(address string) monitor.HelperStatus {
	return monitor.HelperStatus{Address: address, State: "up", Version: "v1", Sandbox: "bwrap", Slots: 2, Toolchains: make([]monitor.ToolchainStatus, 3)}
}

// without is a finder that does not find name.
func without(name string) func(string) (string, error) {
	return func(asked string) (string, error) {
		if asked == name {
			return "", errors.New(name + " is not in PATH")
		}
		return "/usr/bin/" + asked, nil
	}
}

func helperIs(h monitor.HelperStatus) func(*System) {
	return func(s *System) {
		s.Helpers = func(context.Context) ([]monitor.HelperStatus, error) { return []monitor.HelperStatus{h}, nil }
	}
}

func badHosts(text string) func(*System) {
	return func(s *System) { s.Hosts = func() ([]string, error) { return nil, errors.New(text) } }
}

// TestFindings: one thing wrong at a time, and what mends it.
func TestFindings(t *testing.T) {
	down := func(address string) monitor.HelperStatus {
		return monitor.HelperStatus{Address: address, State: "down", Error: "refused"}
	}
	bare := func(address string) monitor.HelperStatus { return monitor.HelperStatus{Address: address, State: "up"} }
	tests := []struct {
		name string
		find func(*System)
		want Check
	}{
		{"project that does not count", func(s *System) {
			s.Project = func() (string, error) { return "", errors.New("/p/.crosscc.toml does not count: why") }
		},
			Check{Name: "project", Text: "/p/.crosscc.toml does not count: why"}},
		{"wrapper beside", func(s *System) { s.InPath = without("crosscc") },
			Check{Name: "crosscc", Text: "crosscc is not in PATH", Mend: `export PATH="/opt/crosscc:$PATH"`}},
		{"no wrapper", func(s *System) { s.InPath, s.Beside = without("crosscc"), without("crosscc") },
			Check{Name: "crosscc", Text: "crosscc is not in PATH", Mend: "make build"}},
		{"no crossccd", func(s *System) { s.InPath, s.Beside = without("crossccd"), without("crossccd") },
			Check{Name: "crossccd", Text: "crossccd is neither beside crossctl nor in PATH", Mend: "make build"}},
		{"other wrapper", func(s *System) {
			s.BuildOf = func(_ context.Context, path string) (string, error) {
				if path == "/usr/bin/crosscc" {
					return "b0", nil
				}
				return "b1", nil
			}
		}, Check{Name: "crosscc", Text: "/usr/bin/crosscc is of build b0, crossctl of build b1", Mend: "make build"}},
		{"foreign crossccd", func(s *System) {
			s.BuildOf = func(_ context.Context, path string) (string, error) {
				if path == "/opt/crosscc/crossccd" {
					return "", errors.New("exit status 1")
				}
				return "b1", nil
			}
		}, Check{Name: "crossccd", Text: "/opt/crosscc/crossccd is not a program of crosscc's: exit status 1", Mend: "make build"}},
		{"no bwrap", func(s *System) { s.InPath = without("bwrap") },
			Check{Name: "sandbox", Text: "bwrap is not in PATH, and the helper inside the agent needs it", Mend: "apt-get install bubblewrap"}},
		{"malformed hosts", badHosts(`CROSSCC_HOSTS: "grpc://" names no host`),
			Check{Name: "hosts", Text: `CROSSCC_HOSTS: "grpc://" names no host`, Mend: "export CROSSCC_HOSTS=grpc://HOST"}},
		{"malformed file", badHosts("/etc/crosscc/crosscc.toml:3: unknown key"),
			Check{Name: "hosts", Text: "/etc/crosscc/crosscc.toml:3: unknown key", Mend: "${EDITOR:-vi} /etc/crosscc/crosscc.toml"}},
		{"no file", badHosts("configuration /x: no such file"),
			Check{Name: "hosts", Text: "configuration /x: no such file", Mend: "${EDITOR:-vi} /x"}},
		{"malformed variable", badHosts("CROSSCC_IDLE: no unit"),
			Check{Name: "hosts", Text: "CROSSCC_IDLE: no unit", Mend: "unset CROSSCC_IDLE"}},
		{"some other error", badHosts("something is wrong"), Check{Name: "hosts", Text: "something is wrong"}},
		{"no agent", func(s *System) {
			s.Agent = func(context.Context) (monitor.Status, error) { return monitor.Status{}, errors.New("no answer") }
		}, Check{Name: "agent", Text: "no answer", Mend: "tail -n 20 /log"}},
		{"other agent", func(s *System) {
			s.Agent = func(context.Context) (monitor.Status, error) {
				return monitor.Status{Agent: monitor.AgentStatus{Build: "b0"}}, nil
			}
		}, Check{Name: "agent", Text: "the agent is of build b0, crossctl of build b1", Mend: "crossctl stop"}},
		{"no helpers", func(s *System) {
			s.Helpers = func(context.Context) ([]monitor.HelperStatus, error) { return nil, errors.New("no answer") }
		}, Check{Name: "helpers", Text: "no answer", Mend: "crossctl stop"}},
		{"helper down", helperIs(down("10.0.0.7:3634")),
			Check{Name: "helper 10.0.0.7:3634", Text: "down: refused", Mend: "ssh 10.0.0.7 crossccd serve --grpc 0.0.0.0:3634 --allow CIDR"}},
		{"helper here down", helperIs(down("127.0.0.1:99")),
			Check{Name: "helper 127.0.0.1:99", Text: "down: refused", Mend: "crossccd serve --grpc 127.0.0.1:99"}},
		{"helper on a socket down", helperIs(down("unix:/run/h")),
			Check{Name: "helper unix:/run/h", Text: "down: refused", Mend: "crossccd serve --grpc unix:/run/h"}},
		{"embedded down", helperIs(down("embedded")), Check{Name: "helper embedded", Text: "down: refused", Mend: "crossctl stop"}},
		{"no compiler", helperIs(bare("build7:1")),
			Check{Name: "helper build7:1", Text: "up, but it has no compiler", Mend: "ssh build7 apt-get install gcc g++"}},
		{"no compiler here", helperIs(bare("embedded")),
			Check{Name: "helper embedded", Text: "up, but it has no compiler", Mend: "apt-get install gcc g++"}},
	}
	for _, tc := range tests {
		r := Look(t.Context(), well(tc.find))
		i := slices.IndexFunc(r.Checks, func(c Check) bool { return !c.Well })
		if r.Findings != 1 || i < 0 || r.Checks[i] != tc.want {
			t.Errorf("%s: got %+v, want the one finding %+v", tc.name, r, tc.want)
		}
	}
}

// TestWell: nothing is found where nothing is wrong, and each thing is named.
func TestWell(t *testing.T) {
	r := Look(t.Context(), well(nil))
	var names []string
	for _, c := range r.Checks {
		names = append(names, c.Name)
		if !c.Well || c.Text == "" || c.Mend != "" {
			t.Errorf("check %+v", c)
		}
	}
	want := []string{"crosscc", "crossccd", "sandbox", "hosts", "agent", "helper embedded"}
	if r.Findings != 0 || r.Build != "b1" || !slices.Equal(names, want) {
		t.Errorf("got %+v, want %q", r, want)
	}
}

// TestRemoteNeedsNoSandbox: only the embedded helper runs compilers here.
func TestRemoteNeedsNoSandbox(t *testing.T) {
	r := Look(t.Context(), well(func(s *System) {
		s.InPath = without("bwrap")
		s.Hosts = func() ([]string, error) { return []string{"h:1"}, nil }
	}))
	if r.Findings != 0 {
		t.Errorf("got %+v", r)
	}
}
