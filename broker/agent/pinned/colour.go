package pinned

import (
	"bytes"
	"slices"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/diagnostics"
)

// An image's compiler writes to no terminal. What it has to say to the client's it is
// asked once more, with the words that it would make up there, and only what it says is taken from
// that run: some of these words get into debug info. Where they are not known, the plain words
// are what the build hears; so are they where the second run says something else.

// inColour is a result with the words that the compiler says at the client's terminal.
func (p *Command) inColour(cmd *argv.Command, o order, j *broker.Job, res broker.Result) broker.Result {
	if !p.s.Request.Terminal || len(res.Stderr) == 0 {
		return res
	}
	words, why := diagnostics.TerminalWords(&compile.Compile{Session: p.s, Cmd: cmd, Toolchain: p.tc})
	if why != "" || len(words) == 0 || len(j.Args)+len(words) > broker.MaxArgs {
		return res
	}
	again := *j
	again.Args = append(slices.Clone(j.Args), words...)
	coloured, _, err := p.pins.Fleet.Run(p.s.Context(), p.prospects(), &again, func(res broker.Result) error { return o.check(&again, res) })
	if err != nil || coloured.ExitCode != res.ExitCode || !bytes.Equal(coloured.Stdout, res.Stdout) {
		return res
	}
	res.Stderr = coloured.Stderr
	return res
}
