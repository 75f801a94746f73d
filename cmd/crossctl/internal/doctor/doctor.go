// Package doctor looks for what is wrong with crosscc on this machine, and
// knows the command that mends it.
//
// Start with Look; each check is a function below it that turns what System
// says into lines. What people see of a Report is laid out by package control.
package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/crosscc/crosscc/broker/monitor"
)

// A Report is what Look found, in the order in which it looked.
type Report struct {
	Build    string  `json:"build"`    // of crossctl
	Findings int     `json:"findings"` // how many checks are not well
	Checks   []Check `json:"checks"`
}

// A Check is one thing that was looked at.
type Check struct {
	Name string `json:"name"` // crosscc, crossccd, sandbox, hosts, agent, helper ADDRESS
	Well bool   `json:"well"`
	Text string `json:"text"`           // what was seen, in one line
	Mend string `json:"mend,omitempty"` // a command to type, where it is not well
}

// rebuild makes all of crosscc's programs of one build, in crosscc's own folder.
const rebuild = "make build"

// A System is what doctor sees of the machine. All fields are needed.
type System struct {
	// Build is crossctl's own build id.
	Build string
	// Log is the file where an agent that does not start says why, as one
	// types it; "" where an agent has no place.
	Log string
	// InPath finds a program in PATH, Beside in the directory of crossctl's
	// own; their errors say that there is none.
	InPath, Beside func(name string) (string, error)
	// BuildOf is the build id of one of crosscc's programs at path.
	BuildOf func(ctx context.Context, path string) (string, error)
	// Hosts are the addresses of the host list; none means that the helper
	// inside the agent serves. The error names the word that is wrong.
	Hosts func() ([]string, error)
	// Project says what pins the toolchain of the working directory's project, "" for
	// nothing. The error is of settings that are wrong or do not count.
	Project func() (string, error)
	// Agent is the status of the agent, which is started when none runs.
	Agent func(ctx context.Context) (monitor.Status, error)
	// Helpers are the agent's helpers with their toolchains.
	Helpers func(ctx context.Context) ([]monitor.HelperStatus, error)
}

// Look makes every check. What cannot be looked at because of an earlier
// finding is left out.
func Look(ctx context.Context, sys System) Report {
	r := Report{Build: sys.Build}
	program := agentProgram(ctx, sys)
	r.add(wrapper(ctx, sys), program)
	hosts, check := hostList(sys)
	r.add(sandbox(sys, check.Well && len(hosts) == 0), check)
	r.add(project(sys)...)
	agent := agent(ctx, sys, program)
	r.add(agent)
	if agent.Well && check.Well {
		r.add(helpers(ctx, sys)...)
	}
	return r
}

func (r *Report) add(checks ...Check) {
	for _, c := range checks {
		if !c.Well {
			r.Findings++
		}
		r.Checks = append(r.Checks, c)
	}
}

// wrapper looks for crosscc where a build would find it: in PATH.
func wrapper(ctx context.Context, sys System) Check {
	path, err := sys.InPath("crosscc")
	if err == nil {
		return sameBuild(ctx, sys, "crosscc", path)
	}
	c := Check{Name: "crosscc", Text: err.Error(), Mend: rebuild}
	if path, err := sys.Beside("crosscc"); err == nil {
		c.Mend = `export PATH="` + filepath.Dir(path) + `:$PATH"`
	}
	return c
}

// agentProgram looks for crossccd where it is started from: beside the program
// that starts it, else in PATH.
func agentProgram(ctx context.Context, sys System) Check {
	path, err := sys.Beside("crossccd")
	if err != nil {
		path, err = sys.InPath("crossccd")
	}
	if err != nil {
		return Check{Name: "crossccd", Text: "crossccd is neither beside crossctl nor in PATH", Mend: rebuild}
	}
	return sameBuild(ctx, sys, "crossccd", path)
}

// sameBuild asks the program at path for its build: an agent and a wrapper of
// two builds replace each other's agents without end.
func sameBuild(ctx context.Context, sys System, name, path string) Check {
	build, err := sys.BuildOf(ctx, path)
	switch {
	case err != nil:
		return Check{Name: name, Text: fmt.Sprintf("%s is not a program of crosscc's: %v", path, err), Mend: rebuild}
	case build != sys.Build:
		return Check{Name: name, Text: fmt.Sprintf("%s is of build %s, crossctl of build %s", path, build, sys.Build), Mend: rebuild}
	}
	return Check{Name: name, Well: true, Text: path + ", build " + build}
}

// sandbox looks for bubblewrap, which the helper inside the agent needs.
func sandbox(sys System, needed bool) Check {
	path, err := sys.InPath("bwrap")
	switch {
	case err == nil:
		return Check{Name: "sandbox", Well: true, Text: path}
	case needed:
		return Check{Name: "sandbox", Text: "bwrap is not in PATH, and the helper inside the agent needs it",
			Mend: "apt-get install bubblewrap"}
	}
	return Check{Name: "sandbox", Well: true, Text: "bwrap is not in PATH; only helpers of this machine's own need it"}
}

// project looks at the settings of the project here, where there are any.
func project(sys System) []Check {
	text, err := sys.Project()
	switch {
	case err != nil:
		return []Check{{Name: "project", Text: err.Error()}}
	case text == "":
		return nil
	}
	return []Check{{Name: "project", Well: true, Text: text}}
}

// hostList looks at the host list that a build of this environment would use.
func hostList(sys System) ([]string, Check) {
	hosts, err := sys.Hosts()
	switch {
	case err != nil:
		return nil, Check{Name: "hosts", Text: err.Error(), Mend: mendSetting(err)}
	case len(hosts) == 0:
		return nil, Check{Name: "hosts", Well: true, Text: "none named: the helper inside the agent serves"}
	}
	return hosts, Check{Name: "hosts", Well: true, Text: strings.Join(hosts, " ")}
}

// mendSetting is for an error of the configuration, which begins with the name
// of a variable or of a file.
func mendSetting(err error) string {
	name, _, _ := strings.Cut(err.Error(), ":")
	name = strings.TrimPrefix(name, "configuration ")
	switch {
	case strings.HasSuffix(name, "_HOSTS"):
		return "export " + name + "=grpc://HOST"
	case strings.HasPrefix(name, "/"):
		return "${EDITOR:-vi} " + name
	case strings.ContainsAny(name, " \t"):
		return ""
	}
	return "unset " + name
}

// agent looks whether the agent answers, and is of this build. program is the
// check of what it is started from.
func agent(ctx context.Context, sys System, program Check) Check {
	s, err := sys.Agent(ctx)
	switch {
	case err != nil && sys.Log == "":
		return Check{Name: "agent", Text: err.Error(), Mend: "export CROSSCC_DIR=DIR"}
	case err != nil && !program.Well:
		return Check{Name: "agent", Text: err.Error(), Mend: program.Mend}
	case err != nil:
		return Check{Name: "agent", Text: err.Error(), Mend: "tail -n 20 " + sys.Log}
	case s.Agent.Build != sys.Build:
		return Check{Name: "agent", Text: fmt.Sprintf("the agent is of build %s, crossctl of build %s", s.Agent.Build, sys.Build),
			Mend: "crossctl stop"}
	}
	return Check{Name: "agent", Well: true, Text: fmt.Sprintf("pid %d, build %s, at %s", s.Agent.PID, s.Agent.Build, s.Agent.Socket)}
}

// helpers looks at each helper.
func helpers(ctx context.Context, sys System) []Check {
	list, err := sys.Helpers(ctx)
	if err != nil {
		return []Check{{Name: "helpers", Text: err.Error(), Mend: "crossctl stop"}}
	}
	checks := make([]Check, 0, len(list))
	for _, h := range list {
		checks = append(checks, helper(h))
	}
	return checks
}

// helper looks at one helper: does it answer, has it compilers.
func helper(h monitor.HelperStatus) Check {
	c := Check{Name: "helper " + h.Address}
	switch {
	case h.State != "up":
		c.Text = h.State
		if h.Error != "" {
			c.Text += ": " + h.Error
		}
		c.Mend = at(h.Address, serve(h.Address))
	case len(h.Toolchains) == 0:
		c.Text = "up, but it has no compiler"
		c.Mend = at(h.Address, "apt-get install gcc g++")
	default:
		c.Well = true
		c.Text = fmt.Sprintf("up, version %s, sandbox %s, %d slots, %d toolchains", h.Version, h.Sandbox, h.Slots, len(h.Toolchains))
	}
	return c
}

// embedded is the address of the helper inside the agent.
const embedded = "embedded"

// serve is the command that brings a helper back.
func serve(address string) string {
	if address == embedded {
		return "crossctl stop" // the next build starts another
	}
	if _, port, ok := elsewhere(address); ok {
		return "crossccd serve --grpc 0.0.0.0:" + port + " --allow CIDR"
	}
	return "crossccd serve --grpc " + address
}

// at is command, to be typed on the machine of the helper at address.
func at(address, command string) string {
	if host, _, ok := elsewhere(address); ok {
		return "ssh " + host + " " + command
	}
	return command
}

// elsewhere takes the address of a helper on another machine apart; ok is false
// for those of this one: the embedded, a unix socket, loopback.
func elsewhere(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.HasPrefix(address, "unix:") || host == "localhost" {
		return "", "", false
	}
	ip, err := netip.ParseAddr(host)
	return host, port, err != nil || !ip.IsLoopback()
}
