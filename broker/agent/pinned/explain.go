package pinned

import (
	"errors"

	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/monitor"
)

// Explain says what would happen to the command, without doing it. err is what Pins.Of
// said.
func (p *Command) Explain(err error) (monitor.Explanation, error) {
	e := monitor.Explanation{Verdict: "remote"}
	if err == nil {
		e.Image = p.pin.String() + " by " + p.set.PinnedBy
		err = p.prepare()
	}
	if err == nil {
		e.Compiler, e.Identity, e.Form = p.tc.Driver(), p.tc.Identity.String(), p.task.Kind.String()
		e.Command = append([]string{p.s.Request.Args[0]}, p.s.Request.Args[1:]...)
		e.Helpers = fleet.Explain(p.prospects())
	}
	if f, ok := errors.AsType[*reason.Failure](err); ok {
		e.Verdict, e.Detail = "refused", f.Text
		return e, nil
	}
	return e, err
}
