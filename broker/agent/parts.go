package agent

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/diagnostics"
	"github.com/crosscc/crosscc/broker/agent/parts"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
)

// A command that compiles several sources, or compiles and links, is done in parts:
// each compile is a job, and the wrapper runs the link (package parts). Nothing of the
// build's is written before all of it is done, so whatever goes wrong, a source that does
// not compile too, the whole command is the local compiler's: it has its own rules of
// what it still does then.

// partsAtOnce bounds the jobs of one command that are under way: its build counts it as
// one.
const partsAtOnce = 8

// deliverParts does the compiles at helpers, then the link.
func (a *Agent) deliverParts(c *compile.Compile) error {
	if err := parts.Check(c); err != nil {
		return err
	}
	list := make([]*compile.Compile, len(c.Split.Compiles))
	answers := make([]compile.Answer, len(list))
	g, ctx := errgroup.WithContext(c.Session.Context())
	g.SetLimit(partsAtOnce)
	for i, cmd := range c.Split.Compiles {
		part := c.Part(cmd)
		list[i] = part
		g.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx) // another part is not done, and so this one is the local compiler's
			}
			answers[i], err = a.deliverPart(part)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	fin, files, err := parts.Gather(c, list, answers)
	defer session.CloseAll(files)
	if err != nil {
		return c.Failed(fleet.ReasonLost, "fetch the objects", err)
	}
	if c.Split.Links {
		if err := parts.Link(c, &a.slots, list, answers, &fin); err != nil {
			return err
		}
	}
	wrote, err := c.Session.Finish(c.Session.Context(), fin, files...)
	if err != nil {
		return err
	}
	if wrote.Err != "" {
		return reason.Stay(reason.Unwritten, "%s", wrote.Err)
	}
	for _, got := range answers {
		a.counters.Remote(got.Match, got.Cached)
	}
	if c.Split.Links {
		a.counters.Local(broker.Reason(option.Link), "of objects that were compiled elsewhere")
	}
	return nil
}

// deliverPart does one compile.
func (a *Agent) deliverPart(c *compile.Compile) (compile.Answer, error) {
	if err := c.Regular(); err != nil {
		return compile.Answer{}, err
	}
	if err := c.CheckTargets(); err != nil {
		return compile.Answer{}, err
	}
	prospects, err := a.find(c, broker.Tree)
	if err != nil {
		return compile.Answer{}, err
	}
	got, err := a.remote(c, prospects)
	switch {
	case err != nil:
	case got.ExitCode != 0:
		err = reason.Stay(broker.Reason(option.SeveralInputs), "%s does not compile, and the driver has its rules for the others", c.Cmd.Source())
	case diagnostics.DriverSpeaks(c, got.Stderr):
		err = reason.Stay(reason.Diagnostics, "the driver has something to say, and says it once for all sources")
	case !c.MakesMore() && a.prover.Sampled(c, got):
		err = a.prover.VerifyPart(c, got)
	}
	return got, err
}
