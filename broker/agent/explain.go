package agent

import (
	"errors"
	"fmt"
	"slices"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/proof"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/monitor"
)

// explain says what would happen to a command, without compiling.
func (a *Agent) explain(s *session.Session) (monitor.Explanation, error) {
	if len(s.Request.Args) == 0 {
		return monitor.Explanation{}, errors.New("explain: no command given")
	}
	if p, ok, err := a.pinOf(s); ok {
		return p.Explain(err)
	}
	c, prospects, err := a.prepare(s)
	e := monitor.Explanation{Verdict: "remote", Compiler: c.Program, Helpers: fleet.Explain(prospects)}
	e.Ignored = s.Distrusted()
	if c.Toolchain.Version != "" {
		e.Identity = c.Toolchain.Identity.String()
	}
	e.Native = slices.Concat(c.Native.Specs, c.Native.Words)
	if err == nil {
		err = c.CheckTargets()
	}
	if err == nil {
		err = a.explainForm(c, prospects, &e)
	}
	if c.Split != nil {
		e.Detail = c.Split.String()
	}
	if l, ok := errors.AsType[*reason.Local](err); ok {
		e.Verdict, e.Reason, e.Detail = "local", l.Reason, l.Text
		return e, nil
	}
	if f, ok := errors.AsType[*reason.Failure](err); ok && e.Ignored != "" {
		e.Verdict, e.Detail = "refused", f.Text
		return e, nil
	}
	return e, err
}

// explainForm says in which form the job would travel, and what a helper would be
// asked to run.
func (a *Agent) explainForm(c *compile.Compile, prospects []fleet.Prospect, e *monitor.Explanation) error {
	extra, err := a.compilers.Extra(c)
	if err != nil {
		return err
	}
	j, tree, err := a.input.Tree(c, extra)
	if no, ok := errors.AsType[*reason.Treeless](err); ok {
		e.NoTree, e.NoTreeDetail = no.Reason, no.Text
		prospects, err := a.textual(c, no)
		if err != nil {
			return err
		}
		e.Helpers = fleet.Explain(prospects)
		e.Form, e.Output = broker.Preprocessed.String(), c.Cmd.Output()
		source := "SOURCE" + c.Cmd.Language().Preprocessed().Suffix()
		e.Command = append([]string{c.Session.Request.Args[0]}, c.Cmd.Compile(source, c.Cmd.Output(), extra...)...)
		return nil
	}
	if err == nil {
		_, err = proof.Serving(c, prospects, tree.Has)
	}
	if err != nil {
		return err
	}
	e.Form, e.Output = j.Form.String(), c.Cmd.Output()
	for _, entry := range j.Root.All() {
		if entry.File != nil {
			e.Files++
		}
	}
	e.Command = append([]string{c.Session.Request.Args[0]}, j.Args...)
	return nil
}

// key is the text under which a helper would keep the result of a command: all
// that it depends on.
func (a *Agent) key(s *session.Session) (monitor.Key, error) {
	if len(s.Request.Args) == 0 {
		return monitor.Key{}, errors.New("explain: no command given")
	}
	if p, ok, err := a.pinOf(s); ok {
		if err != nil {
			return monitor.Key{}, err
		}
		text, err := p.Key()
		return monitor.Key{Text: text}, err
	}
	c, prospects, err := a.prepare(s)
	if err != nil {
		return monitor.Key{}, keyless(err)
	}
	j, prospects, err := a.keyed(c, prospects)
	if err != nil {
		return monitor.Key{}, keyless(err)
	}
	text, err := a.fleet.Key(s.Context(), prospects, j)
	return monitor.Key{Text: text}, err
}

// keyless says of a local command why it has no key.
func keyless(err error) error {
	if l, ok := errors.AsType[*reason.Local](err); ok {
		return fmt.Errorf("the command is compiled locally (%s) %s", l.Reason, l.Text)
	}
	return err
}

// keyed is the job that would go to a helper, in the form in which it would go.
func (a *Agent) keyed(c *compile.Compile, prospects []fleet.Prospect) (*broker.Job, []fleet.Prospect, error) {
	extra, err := a.compilers.Extra(c)
	if err != nil {
		return nil, nil, err
	}
	j, _, err := a.input.Tree(c, extra)
	no, ok := errors.AsType[*reason.Treeless](err)
	if !ok {
		return j, prospects, err
	}
	if prospects, err = a.textual(c, no); err != nil {
		return nil, nil, err
	}
	src, err := a.input.Preprocess(c)
	if err != nil {
		return nil, nil, err
	}
	j, err = src.Job(c, extra)
	return j, prospects, err
}
