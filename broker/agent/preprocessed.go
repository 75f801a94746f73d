package agent

import (
	"bytes"
	"errors"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/diagnostics"
	"github.com/crosscc/crosscc/broker/agent/proof"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/fleet"
)

// asText has a job done from preprocessed text, for want of a tree.
func (a *Agent) asText(c *compile.Compile, extra []string, why *reason.Treeless) (compile.Answer, error) {
	prospects, err := a.textual(c, why)
	if err != nil {
		return compile.Answer{}, err
	}
	src, err := a.input.Preprocess(c)
	if err != nil {
		return compile.Answer{}, err
	}
	prospects, err = proof.Serving(c, prospects, func(word string) bool { return bytes.Contains(src.Text, []byte(word)) })
	if err != nil {
		return compile.Answer{}, err
	}
	j, err := src.Job(c, extra)
	if err != nil {
		return compile.Answer{}, err
	}
	got, err := a.send(c, prospects, j)
	if err != nil {
		return compile.Answer{}, refused(c, err)
	}
	got.Text = src.Blob.Digest
	return got, diagnostics.OfText(c, src.Source, src.Text, got.Result)
}

// textual keeps jobs at home that need more than preprocessed text.
func (a *Agent) textual(c *compile.Compile, why *reason.Treeless) ([]fleet.Prospect, error) {
	only, word := c.Cmd.OnlyTree()
	switch {
	case why.Local:
		return nil, reason.Stay(why.Reason, "%s", why.Text)
	case only != "":
		return nil, reason.Stay(broker.Reason(only), "no tree (%s), and %s is not exact from preprocessed text", why.Text, word)
	case c.Cmd.FailsOnLost():
		return nil, reason.Stay(reason.Werror, "no tree (%s), and of preprocessed text a warning may be lost that would make it fail", why.Text)
	case c.Cmd.Language().IsPreprocessed():
		return nil, reason.Stay(reason.Text, "no tree (%s), and the source is preprocessed already, so that the object names its file", why.Text)
	}
	prospects, err := a.find(c, broker.Preprocessed)
	if l, ok := errors.AsType[*reason.Local](err); ok && l.Reason == fleet.ReasonDebugInfo {
		l.Text = "no tree (" + why.Text + "): " + l.Text
	}
	return prospects, err
}
