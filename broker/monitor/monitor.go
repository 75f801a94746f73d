// Package monitor holds what crosscc counts and what it tells of itself: the
// counters of an agent's jobs, and the shapes of `crossctl … --json`, which
// scripts may rely on. Start with Status.
package monitor

import (
	"maps"
	"sync"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
)

// Status is what an agent answers to `crossctl status --json`.
type Status struct {
	Agent        AgentStatus              `json:"agent"`
	Jobs         Jobs                     `json:"jobs"`
	Matches      Matches                  `json:"matches"`
	LocalReasons map[broker.Reason]uint64 `json:"local_reasons"`
	// LocalLast says, in words, why the last job of each reason was local.
	LocalLast map[broker.Reason]string `json:"local_last,omitempty"`
	Helpers   []HelperStatus           `json:"helpers"`
	// Notes are sentences that whoever reads the numbers should know.
	Notes []string `json:"notes,omitempty"`
}

// AgentStatus says which agent answers.
type AgentStatus struct {
	Build  string `json:"build"`
	PID    int    `json:"pid"`
	Socket string `json:"socket"`
	// Seconds since it started.
	Uptime int64 `json:"uptime"`
	// Slots for local jobs, and how many are held.
	LocalSlots   int `json:"local_slots"`
	LocalRunning int `json:"local_running"`
}

// Jobs counts how jobs ended: each job is in one of remote, cached, local and
// failed. Failed ones got no answer from any compiler.
type Jobs struct {
	Remote uint64 `json:"remote"`
	Cached uint64 `json:"cached"`
	Local  uint64 `json:"local"`
	Failed uint64 `json:"failed"`
}

// Matches counts how well the toolchains matched of the jobs that a helper
// answered.
type Matches struct {
	Identical  uint64 `json:"identical"`
	Calibrated uint64 `json:"calibrated"`
	Lines      uint64 `json:"lines"`
}

// HelperStatus is one helper as the agent sees it.
type HelperStatus struct {
	Address string `json:"address"`
	// State is connecting, up, draining or down.
	State string `json:"state"`
	// Error says why it is down, in one line.
	Error      string            `json:"error,omitempty"`
	Version    string            `json:"version,omitempty"`
	Sandbox    string            `json:"sandbox,omitempty"`
	Slots      int               `json:"slots"`
	Jobs       int               `json:"jobs"` // of this agent's that it runs now
	Toolchains []ToolchainStatus `json:"toolchains,omitempty"`
}

// ToolchainStatus is one toolchain of a helper.
type ToolchainStatus struct {
	Identity  string   `json:"identity"` // toolchains.Identity.String
	Family    string   `json:"family"`
	Target    string   `json:"target"`
	Version   string   `json:"version"`
	Package   string   `json:"package"`
	Assembler string   `json:"assembler,omitempty"`
	Defaults  string   `json:"defaults"`
	Path      string   `json:"path"`
	Languages []string `json:"languages"`
	Targets   []string `json:"targets,omitempty"` // of clang
}

// Explanation is what an agent answers to `crossctl explain -- COMMAND`.
type Explanation struct {
	// Verdict is remote or local.
	Verdict string        `json:"verdict"`
	Reason  broker.Reason `json:"reason,omitempty"` // why local
	Detail  string        `json:"detail,omitempty"` // the same in words
	// Compiler is the program that would run here, and what it is.
	Compiler string              `json:"compiler,omitempty"`
	Identity string              `json:"identity,omitempty"`
	Form     string              `json:"form,omitempty"` // preprocessed or tree
	Output   string              `json:"output,omitempty"`
	Command  []string            `json:"command,omitempty"` // what a helper would be asked to run
	Helpers  []HelperExplanation `json:"helpers,omitempty"`
}

// HelperExplanation says what one helper has for a job.
type HelperExplanation struct {
	Address string `json:"address"`
	Match   string `json:"match"` // identical, calibrated, lines or none
	Reason  string `json:"reason,omitempty"`
}

// Counters counts jobs. The zero value is ready; all methods may be called at
// once.
type Counters struct {
	mu      sync.Mutex // guards the fields below
	jobs    Jobs
	matches Matches
	reasons map[broker.Reason]uint64
	last    map[broker.Reason]string // text of the last job of each
}

// Local counts a job that the build's own compiler did, and why; text says the
// same in words, for this one.
func (c *Counters) Local(why broker.Reason, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs.Local++
	if c.reasons == nil {
		c.reasons = make(map[broker.Reason]uint64)
		c.last = make(map[broker.Reason]string)
	}
	c.reasons[why]++
	c.last[why] = text
}

// Remote counts a job that a helper answered.
func (c *Counters) Remote(m toolchains.Match, cached bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cached {
		c.jobs.Cached++
	} else {
		c.jobs.Remote++
	}
	switch m {
	case toolchains.Identical:
		c.matches.Identical++
	case toolchains.Calibrated:
		c.matches.Calibrated++
	case toolchains.Lines:
		c.matches.Lines++
	case toolchains.None:
	}
}

// Failed counts a job that nobody answered.
func (c *Counters) Failed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs.Failed++
}

// Fill writes the counts into s.
func (c *Counters) Fill(s *Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Jobs, s.Matches = c.jobs, c.matches
	s.LocalReasons, s.LocalLast = maps.Clone(c.reasons), maps.Clone(c.last)
	if s.LocalReasons == nil {
		s.LocalReasons = make(map[broker.Reason]uint64)
	}
}
