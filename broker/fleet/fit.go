package fleet

import (
	"strings"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

// fit finds the toolchain of a member that serves w, and fills in p; false when
// there is none that is known to. An identical one needs no proof, any other one
// a calibration. f.mu is held.
func (f *Fleet) fit(p *Prospect, m *member, h hostlist.Host, w Want) bool {
	list, why := toolchains.Candidates(w.Toolchain, w.Language, w.Command, m.state.Toolchains)
	if len(list) == 0 {
		p.Reason, p.Text = ReasonNoMatch, why
		return false
	}
	if f.o.Book != nil {
		if d, ok := f.o.Book.Distrusts(p.Address, w.Toolchain.Identity); ok {
			p.Reason, p.Text = ReasonDistrusted, "is distrusted: "+d.Differs+" (crossctl verify --clear "+p.Address+")"
			return false
		}
	}
	least := h.Match
	if w.Exact {
		least = toolchains.Identical
	}
	var texts []string
	for _, c := range list {
		if c.Match == toolchains.Identical {
			p.Match = c.Match
			return true
		}
		if f.proven(p, c, w, least) {
			p.Reason, p.Text, p.Question = "", "", nil
			return true
		}
		texts = append(texts, p.Text)
	}
	p.Text = strings.Join(texts, ", and ")
	return false
}

// proven looks up what is known of a candidate that is not the client's own
// toolchain, and says what is in the way.
func (f *Fleet) proven(p *Prospect, c toolchains.Candidate, w Want, least toolchains.Match) bool {
	has := "has " + c.String()
	best := toolchains.Calibrated
	if c.Identity == w.Toolchain.Identity {
		best = toolchains.Identical // if no byte differs
	}
	switch {
	case best < least:
		p.refuse(ReasonNoMatch, has+", which can't be identical to "+w.Toolchain.String())
		return false
	case f.o.Book == nil, w.Uncharted:
		p.refuse(ReasonNoMatch, has+" with other programs than this build's")
		return false
	}
	q := calibrate.Question{
		Want: w.Toolchain, Have: c.Toolchain, Language: w.Language.Base(), Words: w.Options, Front: c.Words, Extra: w.Extra, Native: w.Native,
	}
	r, known := f.o.Book.Look(q)
	switch {
	case !known:
		p.refuse(ReasonCalibrating, has+", which has not been compared with this build's yet")
		if p.Question == nil {
			p.Question = &q
		}
		return false
	case r.Refused != "":
		p.refuse(ReasonCalibration, has+", which makes other objects with these options: "+r.Refused)
		return false
	case least == toolchains.Identical && !r.Same:
		p.refuse(ReasonNoMatch, has+", which makes the same objects but for .comment; an identical one is wanted")
		return false
	}
	p.Match = toolchains.Calibrated
	if best == toolchains.Identical && r.Same {
		p.Match = toolchains.Identical
	}
	p.Avoid, p.Avoided, p.with, p.front = r.Avoid, r.Avoided, c.Digest(), c.Words
	return true
}

// refuse notes why a candidate does not serve; what could still change it is told
// first.
func (p *Prospect) refuse(reason broker.Reason, text string) {
	if p.Reason != ReasonCalibrating {
		p.Reason = reason
	}
	p.Text = text
}
