package agent

import (
	"bytes"
	"slices"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/diagnostics"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/fleet"
)

// A compiler at a terminal speaks in colour, gcc with links, and as wide as the terminal.
// At a helper it is told so, but only where it has something to say at all: the job is
// done once more, and its words are taken from there. The rest is the first one's, which
// it shares with compiles without a terminal (and gcc writes down some of these words in
// debug info).

// inColour gives got the words that the compiler says at the terminal.
func (a *Agent) inColour(c *compile.Compile, prospects []fleet.Prospect, j *broker.Job, got compile.Answer) (compile.Answer, error) {
	words, why := diagnostics.TerminalWords(c)
	if why != "" {
		return got, reason.Stay(reason.Diagnostics, "the compiler has something to say to a terminal: %s", why)
	}
	if len(words) == 0 {
		return got, diagnostics.Fits(c, got.Stderr)
	}
	again := *j
	again.Args = append(slices.Clone(j.Args), words...)
	coloured, err := a.send(c, prospects, &again)
	if err != nil {
		return got, refused(c, err)
	}
	if coloured.ExitCode != got.ExitCode || !bytes.Equal(coloured.Stdout, got.Stdout) {
		return got, reason.Stay(reason.Diagnostics, "in colour the compiler says something else")
	}
	got.Stderr = coloured.Stderr
	return got, diagnostics.Fits(c, got.Stderr)
}
