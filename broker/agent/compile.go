package agent

import (
	"errors"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/helper"
)

// prepare finds out what the command is and who could do it as a tree, without work for
// its source. The error of a command that stays at home is a *reason.Local.
func (a *Agent) prepare(s *session.Session) (*compile.Compile, []fleet.Prospect, error) {
	c := &compile.Compile{Session: s}
	if err := c.Parse(); err != nil {
		return c, nil, err
	}
	var err error
	if c.Settings, err = a.settings(s); err != nil {
		return c, nil, &reason.Local{Reason: reason.Settings, Text: err.Error(), Slot: true, Helpers: true}
	}
	if err := a.compilers.Identify(c); err != nil {
		return c, nil, err
	}
	if err := a.compilers.Resolve(c); err != nil {
		return c, nil, err
	}
	prospects, err := a.find(c, broker.Tree)
	return c, prospects, err
}

// want is what a job in this form needs of a helper.
func want(c *compile.Compile, form broker.Form, extra []string) fleet.Want {
	options, ok := c.Cmd.CodeWords()
	if l := c.Cmd.Language(); l == argv.Asm || l == argv.AsmCPP {
		ok = false // the corpus has what compilers write, and people write more
	}
	return fleet.Want{
		Toolchain: c.Toolchain, Language: c.Cmd.Language(), Command: c.Cmd.Words(), Options: options, Extra: extra, Native: c.Native.Specs, Uncharted: !ok,
		Lines: form == broker.Preprocessed && c.Cmd.Debug(), Exact: c.Cmd.Compresses() || c.Cmd.LTO(),
	}
}

// find asks the fleet who could do the job in this form.
func (a *Agent) find(c *compile.Compile, form broker.Form) ([]fleet.Prospect, error) {
	extra, err := a.compilers.Extra(c)
	if err != nil {
		return nil, err
	}
	w := want(c, form, extra)
	list := a.fleet.Prospects(c.Session.Context(), c.Settings.Hosts, w)
	if a.prover.Calibrate(c, list) {
		list = a.fleet.Prospects(c.Session.Context(), c.Settings.Hosts, w)
	}
	if r := fleet.None(list); r != nil {
		a.sender.Offer(c, list)
		return list, &reason.Local{Reason: r.Reason, Text: r.Text, Slot: true, Helpers: true}
	}
	return list, nil
}

// moreArgs are left for the words that a job has besides the command's.
const moreArgs = 1000

// remote does the job at a helper: as a tree where that is known to be enough,
// else as preprocessed text. Its error is a *reason.Local or the end of the session.
func (a *Agent) remote(c *compile.Compile, prospects []fleet.Prospect) (compile.Answer, error) {
	if n := len(c.Cmd.Words()); n > broker.MaxArgs-moreArgs {
		return compile.Answer{}, reason.Stay(helper.ReasonRejected, "%d words are more than a helper runs", n)
	}
	extra, err := a.compilers.Extra(c)
	if err != nil {
		return compile.Answer{}, err
	}
	got, err := a.asTree(c, prospects, extra)
	if no, ok := errors.AsType[*reason.Treeless](err); ok {
		a.counters.Preprocessed(no.Reason, no.Text)
		return a.asText(c, extra, no)
	}
	return got, err
}

// send gives a job to the fleet. A *broker.Refusal and a *broker.ChangedError
// are the caller's to understand.
func (a *Agent) send(c *compile.Compile, prospects []fleet.Prospect, j *broker.Job) (compile.Answer, error) {
	check := func(res broker.Result) error { return c.CheckOutputs(j, res) }
	res, match, err := a.fleet.Run(c.Session.Context(), prospects, j, check)
	if c.Session.Gone() != nil {
		return compile.Answer{}, c.Session.Gone()
	}
	return compile.Answer{Result: res, Form: j.Form, Match: match}, err
}

// refused is what becomes of a job that no helper did.
func refused(c *compile.Compile, err error) error {
	if r, ok := errors.AsType[*broker.Refusal](err); ok {
		return &reason.Local{Reason: r.Reason, Text: r.Text, Slot: true, Helpers: true}
	}
	return c.Failed(fleet.ReasonLost, "run the job", err)
}
