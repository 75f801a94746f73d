// Package compile is one command on its way to a job: which compiler it means and what
// that one is (Compilers), which files it makes, and what of a result goes where. Start
// with Compile.
package compile

import (
	"slices"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/native"
)

// A Compile is one command on its way to a job. Parse, the settings, Compilers.Identify
// and Compilers.Resolve fill it, in this order; from then on it is only read.
type Compile struct {
	Session   *session.Session
	Settings  session.Settings
	Driver    argv.Driver // by the name that was called
	Program   string      // the compiler's absolute path
	Argv0     string
	Cmd       *argv.Command
	Split     *argv.Split // of a command that is done in parts; Cmd is its first then
	Toolchain toolchains.Toolchain
	Native    native.Answer // what native in Cmd means, or meant
	Unlike    bool          // the configuration asks for another object than the local one
	explicit  *[]string     // what Extra found
}

// Part is one of the compiles of a command that is done in parts.
func (c *Compile) Part(cmd *argv.Command) *Compile {
	part := *c
	part.Cmd, part.explicit = cmd, nil // of another language the compiler is told other words
	return &part
}

// Failed is a step that went wrong without a word on the code: the local
// compiler says what it says, unless the wrapper is gone.
func (c *Compile) Failed(why broker.Reason, step string, err error) error {
	if c.Session.Gone() != nil {
		return c.Session.Gone()
	}
	return reason.Stay(why, "%s: %v", step, err)
}

// An Answer is what a helper said to a job of a compile.
type Answer struct {
	broker.Result
	Form  broker.Form
	Match toolchains.Match // of the helper's toolchain and the local one
	Tree  *headers.Tree    // of a job in that form
	Text  broker.Digest    // of a job in the other
}

// Find is the output with a name of the job's.
func (a Answer) Find(name string) (broker.Output, bool) {
	i := slices.IndexFunc(a.Outputs, func(o broker.Output) bool { return o.Path == name })
	if i < 0 {
		return broker.Output{}, false
	}
	return a.Outputs[i], true
}
