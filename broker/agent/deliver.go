package agent

import (
	"errors"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/local"
)

// compile is one command of a build: done by a helper, or the wrapper becomes
// the compiler.
func (a *Agent) compile(s *session.Session) error {
	p, isPinned, err := a.pinOf(s)
	var c *compile.Compile
	switch {
	case err != nil:
	case isPinned:
		err = p.Do()
	default:
		var prospects []fleet.Prospect
		if c, prospects, err = a.prepare(s); err == nil {
			err = a.deliver(c, prospects)
		}
	}
	if l, ok := errors.AsType[*reason.Local](err); ok {
		return a.local(c, l)
	}
	if f, ok := errors.AsType[*reason.Failure](err); ok {
		a.counters.Failed()
		hint := f.Hint
		if d := s.Distrusted(); d != "" {
			hint = d // which would have pinned what is missing
		}
		return s.Fail(local.Fail{Message: f.Text, Hint: hint, Status: f.Status})
	}
	return err
}

// local has the wrapper become the compiler.
func (a *Agent) local(c *compile.Compile, l *reason.Local) error {
	log := a.log.WithFields(logrus.Fields{"reason": l.Reason, "why": l.Text})
	if l.Helpers && !c.Settings.Fallback {
		a.counters.Failed()
		log.Info("job failed: no fallback")
		return c.Session.Fail(local.Fail{
			Message: "no helper can do this and CROSSCC_FALLBACK=0: " + l.Text,
			Hint:    "crossctl doctor", Status: reason.ExitNoHosts,
		})
	}
	log.Debug("local job")
	exec := local.Exec{Path: c.Program, Reason: string(l.Reason) + ": " + l.Text, Slot: l.Slot && !c.Session.Request.Nested}
	if c.Argv0 != "" {
		exec.Args = append([]string{c.Argv0}, c.Session.Request.Args[1:]...)
	}
	if exec.Slot {
		release, err := a.slots.Acquire(c.Session.Context())
		if err != nil {
			return err
		}
		defer release()
	}
	a.counters.Local(l.Reason, l.Text)
	if !exec.Slot {
		return c.Session.Exec(exec)
	}
	hold := c.Session.Hold()
	defer hold.Close()
	if err := c.Session.Exec(exec); err != nil {
		return err
	}
	hold.Wait()
	return nil
}

// deliver does the job at a helper and has the wrapper write what it made.
func (a *Agent) deliver(c *compile.Compile, prospects []fleet.Prospect) error {
	if c.Split != nil {
		return a.deliverParts(c)
	}
	if err := c.CheckTargets(); err != nil {
		return err
	}
	got, err := a.remote(c, prospects)
	if err != nil {
		return err
	}
	if a.prover.Sampled(c, got) {
		return a.prover.Verify(c, got)
	}
	fin, files, err := c.Finish(got.Result)
	defer session.CloseAll(files)
	if err != nil {
		return c.Failed(fleet.ReasonLost, "fetch the object", err)
	}
	wrote, err := c.Session.Finish(c.Session.Context(), fin, files...)
	if err != nil {
		return err
	}
	if wrote.Err != "" {
		return reason.Stay(reason.Unwritten, "%s", wrote.Err)
	}
	a.counters.Remote(got.Match, got.Cached)
	a.log.WithFields(logrus.Fields{
		"source": c.Cmd.Source(), "helper": got.Helper, "form": got.Form, "match": got.Match, "cached": got.Cached, "exit": got.ExitCode,
	}).Debug("remote job")
	return nil
}
