// Package monitor holds what crosscc counts and what it tells of itself: the
// counters of an agent's jobs, and the shapes of `crossctl … --json`, which
// scripts may rely on. Start with Status.
package monitor

import (
	"maps"
	"sync"
	"time"

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
	// Preprocessed counts the jobs that could not go as a tree, by what was in
	// the way, and says of the last of each in words what that was.
	Preprocessed     map[broker.Reason]uint64 `json:"preprocessed_reasons"`
	PreprocessedLast map[broker.Reason]string `json:"preprocessed_last,omitempty"`
	// NativeAsked counts the questions to compilers what -march=native means.
	NativeAsked uint64         `json:"native_asked"`
	Helpers     []HelperStatus `json:"helpers"`
	// Calibrations counts comparisons of toolchains since the agent started.
	Calibrations Calibrations `json:"calibrations"`
	// Distrusted are helpers that made another object than the local compiler.
	Distrusted []Distrusted `json:"distrusted,omitempty"`
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
	// Verified counts the remote and cached ones that were compiled locally as
	// well and compared; Differed those that were not the same, and are local.
	Verified uint64 `json:"verified"`
	Differed uint64 `json:"differed"`
}

// Matches counts how well the toolchains matched of the jobs that a helper
// answered.
type Matches struct {
	Identical  uint64 `json:"identical"`
	Calibrated uint64 `json:"calibrated"`
	Lines      uint64 `json:"lines"`
}

// Calibrations counts how comparisons of a helper's toolchain with the client's
// under one set of options ended.
type Calibrations struct {
	Proven  uint64 `json:"proven"`  // the same objects, maybe but for some attributes
	Refused uint64 `json:"refused"` // other objects
	Failed  uint64 `json:"failed"`  // not found out
	// Running says that one runs now.
	Running bool `json:"running"`
}

// Distrusted is a helper that gets no jobs for one toolchain until `crossctl verify
// --clear`.
type Distrusted struct {
	Helper    string    `json:"helper"`
	Toolchain string    `json:"toolchain"`
	Command   []string  `json:"command"`
	Differs   string    `json:"differs"`
	Time      time.Time `json:"time"`
}

// Verification is what an agent answers to `crossctl verify`: the compiles that
// were done twice since the last time that some were asked for.
type Verification struct {
	// Wanted is how many were asked for, Left how many of them are still to come.
	Wanted int `json:"wanted"`
	Left   int `json:"left"`
	Same   int `json:"same"`
	// Unfinished are those whose local compile came to no end that could be compared.
	Unfinished int `json:"unfinished"`
	// Findings are those that differed: the first hundred of Differed.
	Differed   int          `json:"differed"`
	Findings   []Finding    `json:"findings"`
	Distrusted []Distrusted `json:"distrusted"`
	Cleared    int          `json:"cleared,omitempty"`
}

// A Finding is a compile that was not the same at home.
type Finding struct {
	Command []string `json:"command"`
	Helper  string   `json:"helper"`
	Differs string   `json:"differs"`
}

// HelperStatus is one helper as the agent sees it.
type HelperStatus struct {
	Address string `json:"address"`
	// State is unused (no job was for it yet), connecting, up, draining or down.
	State string `json:"state"`
	// Error says why it is down, in one line.
	Error      string            `json:"error,omitempty"`
	Version    string            `json:"version,omitempty"`
	Sandbox    string            `json:"sandbox,omitempty"`
	Slots      int               `json:"slots"`
	Jobs       int               `json:"jobs"` // of this agent's that it runs now
	Toolchains []ToolchainStatus `json:"toolchains,omitempty"`
	// Pack is the last news of a compiler of this machine that is sent to the helper,
	// in words.
	Pack string `json:"pack,omitempty"`
	// Images are those that the helper serves toolchains of, or means to.
	Images []ImageStatus `json:"images,omitempty"`
}

// ImageStatus is one image of a helper.
type ImageStatus struct {
	Name string `json:"name"` // NAME@sha256:…
	// State is waiting, fetching, unpacking, probing, ready or failed.
	State      string `json:"state"`
	Detail     string `json:"detail,omitempty"` // how far it is, or why it failed
	Toolchains int    `json:"toolchains"`       // of it, that are served
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
	Image     string   `json:"image,omitempty"`   // that it lies in
}

// Explanation is what an agent answers to `crossctl explain -- COMMAND`.
type Explanation struct {
	// Verdict is remote or local; refused where an image defines the command.
	Verdict string        `json:"verdict"`
	Reason  broker.Reason `json:"reason,omitempty"` // why local
	Detail  string        `json:"detail,omitempty"` // the same in words; of a remote one the part that is told of
	// Image is the one that defines the command, with who says so. Its verdict is
	// remote or refused.
	Image string `json:"image,omitempty"`
	// Ignored are settings of a project that do not count, and why.
	Ignored string `json:"ignored,omitempty"`
	// Compiler is the program that would run here, and what it is.
	Compiler string `json:"compiler,omitempty"`
	Identity string `json:"identity,omitempty"`
	Form     string `json:"form,omitempty"` // preprocessed or tree
	// Files is how many files a tree holds; NoTree is why there is none, in a
	// word and in words.
	Files        int           `json:"files,omitempty"`
	NoTree       broker.Reason `json:"no_tree,omitempty"`
	NoTreeDetail string        `json:"no_tree_detail,omitempty"`

	// Native are the words that -march=native and its kin came to.
	Native []string `json:"native,omitempty"`

	Output  string              `json:"output,omitempty"`
	Command []string            `json:"command,omitempty"` // what a helper would be asked to run
	Helpers []HelperExplanation `json:"helpers,omitempty"`
}

// Native is what an agent answers to `crossctl native [COMPILER] [FLAGS...]`.
type Native struct {
	Compiler string   `json:"compiler"` // the program
	Identity string   `json:"identity"`
	Flags    []string `json:"flags"` // that say on any machine what native says on this one
	Words    []string `json:"words"` // all that the compiler proper gets for it, defaults too
}

// Key is what an agent answers to `crossctl explain --key -- COMMAND`.
type Key struct {
	// Text is the action key before it is hashed.
	Text string `json:"text"`
}

// HelperExplanation says what one helper has for a job.
type HelperExplanation struct {
	Address string `json:"address"`
	Match   string `json:"match"` // identical, calibrated, lines or none
	Reason  string `json:"reason,omitempty"`
	// Avoid are attributes and pragmas that the helper's toolchain treats in another
	// way: sources that name one are not for it.
	Avoid []string `json:"avoid,omitempty"`
}

// Counters counts jobs. The zero value is ready; all methods may be called at
// once.
type Counters struct {
	mu           sync.Mutex // guards the fields below
	jobs         Jobs
	matches      Matches
	local        tally
	preprocessed tally
	nativeAsked  uint64
	calibrations Calibrations
}

// A tally counts by reason and remembers the last text of each.
type tally struct {
	count map[broker.Reason]uint64
	last  map[broker.Reason]string
}

func (t *tally) add(why broker.Reason, text string) {
	if t.count == nil {
		t.count, t.last = make(map[broker.Reason]uint64), make(map[broker.Reason]string)
	}
	t.count[why]++
	t.last[why] = text
}

// copies are the two maps; JSON shows an empty count as {}.
func (t *tally) copies() (count map[broker.Reason]uint64, last map[broker.Reason]string) {
	if t.count == nil {
		return make(map[broker.Reason]uint64), nil
	}
	return maps.Clone(t.count), maps.Clone(t.last)
}

// Local counts a job that the build's own compiler did, and why; text says the
// same in words, for this one.
func (c *Counters) Local(why broker.Reason, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs.Local++
	c.local.add(why, text)
}

// Preprocessed notes why a job could not go as a tree; how it ended is counted
// apart.
func (c *Counters) Preprocessed(why broker.Reason, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.preprocessed.add(why, text)
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

// Verified counts a comparison of a helper's work with the local compiler's.
func (c *Counters) Verified(same bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if same {
		c.jobs.Verified++
	} else {
		c.jobs.Differed++
	}
}

// NativeAsked counts a question to a compiler what native means.
func (c *Counters) NativeAsked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nativeAsked++
}

// Calibrating says that a comparison of toolchains runs, or no longer.
func (c *Counters) Calibrating(running bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calibrations.Running = running
}

// Calibrated counts a comparison of toolchains: found says that it was brought to
// an end, refused that they differ.
func (c *Counters) Calibrated(found, refused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !found:
		c.calibrations.Failed++
	case refused:
		c.calibrations.Refused++
	default:
		c.calibrations.Proven++
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
	s.Jobs, s.Matches, s.NativeAsked, s.Calibrations = c.jobs, c.matches, c.nativeAsked, c.calibrations
	s.LocalReasons, s.LocalLast = c.local.copies()
	s.Preprocessed, s.PreprocessedLast = c.preprocessed.copies()
}
