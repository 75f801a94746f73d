package agent

import (
	"errors"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/diagnostics"
	"github.com/crosscc/crosscc/broker/agent/proof"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/helper"
	"github.com/crosscc/crosscc/broker/reapi/wire"
)

// asTree has a job done from its source and headers: the object is then the
// local one to the last byte, and so is each word that the compiler says.
func (a *Agent) asTree(c *compile.Compile, all []fleet.Prospect, extra []string) (compile.Answer, error) {
	for again := false; ; again = true {
		j, tree, err := a.input.Tree(c, extra)
		if err != nil {
			return compile.Answer{}, err
		}
		prospects, err := proof.Serving(c, all, tree.Has)
		if err != nil {
			return compile.Answer{}, err
		}
		got, err := a.send(c, prospects, j)
		if changed, ok := errors.AsType[*broker.ChangedError](err); ok {
			if again {
				return compile.Answer{}, &reason.Treeless{Reason: headers.Changed, Text: changed.Error()}
			}
			continue
		}
		if r, ok := errors.AsType[*broker.Refusal](err); ok && (r.Reason == helper.ReasonTreeClosed || r.Reason == wire.NotUTF8) {
			return compile.Answer{}, &reason.Treeless{Reason: r.Reason, Text: r.Text}
		}
		if err != nil {
			return compile.Answer{}, refused(c, err)
		}
		if err := diagnostics.OfTree(c, got.Result); err != nil {
			return compile.Answer{}, err
		}
		if tree.Told && got.ExitCode != 0 {
			return compile.Answer{}, reason.Stay(reason.Diagnostics, "the compile fails, and a file may have gone since the compiler was asked for their names")
		}
		if c.Session.Request.Terminal && len(got.Stderr) > 0 {
			if got, err = a.inColour(c, prospects, j, got); err != nil {
				return compile.Answer{}, err
			}
		}
		got.Tree = tree
		return got, nil
	}
}
