package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

// ReasonNoImage: no helper that is up serves the image that defines the job.
const ReasonNoImage broker.Reason = "no-image"

// imageTime is how long a job waits for an image that a helper is busy to get ready. A
// job of an image's has nowhere else to go, and the first of a build would fail.
const imageTime = 2 * time.Minute

// restTime is how long such a job waits for a helper that is left out because of the jobs of others: a compiler that
// crashes on one source of a build would end all of it.
const restTime = 10 * time.Second

// imageBeat is how often such a job looks.
const imageBeat = 200 * time.Millisecond

// A Meaning is which image a pin means.
type Meaning struct {
	Digest string // of the pin
	// Machine is whose image is meant where each kind of machine has one by this digest, as Go
	// calls it: the client's. Which helpers there are says nothing of what a project means.
	Machine string
	// ID is the image that was found before; "" when none was.
	ID string
}

// An Imaged is a helper that serves an image.
type Imaged struct {
	Prospect
	Image      string                 // its ID
	Toolchains []toolchains.Toolchain // of the image
}

// Imaged tells which helpers serve the image that a pin means, and what they have of
// it. While none does it waits a bounded time for those that are being connected, get
// the image ready, or are left out for a moment. The error is a *broker.Refusal that says
// how it stands with each.
func (f *Fleet) Imaged(ctx context.Context, hosts []hostlist.Host, w Meaning) ([]Imaged, error) {
	if len(hosts) == 0 {
		return nil, broker.Refusef(ReasonNoHost, "the host list names no helper")
	}
	ms := f.membersOf(hosts)
	var list []Imaged
	f.await(ctx, ms, func() bool {
		list = f.imaged(ms, w)
		return w.ID != "" && serving(list) // who has to choose should not take the first that answers
	})
	for start := time.Now(); !serving(list) && f.worthwhile(ms, w.Digest, time.Since(start)); list = f.imaged(ms, w) {
		select {
		case <-time.After(imageBeat):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if serving(list) {
		return slices.DeleteFunc(list, func(i Imaged) bool { return i.Match == toolchains.None }), nil
	}
	var texts []string
	for _, i := range list {
		texts = append(texts, "helper "+i.Address+" "+i.Text)
	}
	return nil, &broker.Refusal{Reason: ReasonNoImage, Text: strings.Join(texts, "; ")}
}

func serving(list []Imaged) bool {
	return slices.ContainsFunc(list, func(i Imaged) bool { return i.Match != toolchains.None })
}

// imaged says of each member what it has of an image.
func (f *Fleet) imaged(ms []*member, w Meaning) []Imaged {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Imaged
	for _, m := range ms {
		i := Imaged{Prospect: Prospect{Address: m.address, member: m}}
		if f.reachable(&i.Prospect, m) {
			i.of(m, w)
		}
		list = append(list, i)
	}
	return list
}

// of fills in what a member has of the image, by whichever names its configuration calls
// it. The fleet's mutex is held.
func (i *Imaged) of(m *member, w Meaning) {
	i.Reason, i.Text = ReasonNoImage, "does not have the image "+w.Digest
	id := w.ID
	for _, state := range m.state.Images {
		if !means(state, w.Digest) {
			continue
		}
		i.Text = fmt.Sprintf("has the image %s: %s %s", state.Name, state.Phase, cmp.Or(state.Detail, "without a compiler"))
		if state.Phase != broker.ImageReady {
			continue
		}
		if state.Shares(w.Digest) && m.state.Machine != w.Machine {
			i.Text = fmt.Sprintf("has by the digest of the pin the image for %s machines, and here that of %s machines is meant: for the other pin %s", m.state.Machine, w.Machine, state.ID())
			continue
		}
		if id != "" && state.ID() != id {
			i.Text = fmt.Sprintf("has another image for %s, %s, and builds here began with %s: pin one of the two", w.Digest, state.ID(), id)
			continue
		}
		for _, tc := range m.state.Toolchains {
			if tc.Image == state.Name {
				i.Toolchains, id = append(i.Toolchains, tc), state.ID()
			}
		}
	}
	if len(i.Toolchains) > 0 {
		i.Match, i.Reason, i.Text = toolchains.Identical, "", ""
		i.Image = id
	}
}

// worthwhile reports whether an image may be there soon, for a job that has waited for some
// time.
func (f *Fleet) worthwhile(ms []*member, digest string, waited time.Duration) bool {
	return waited < imageTime && f.getting(ms, digest) || waited < restTime && f.resting(ms, digest)
}

// resting reports whether some member has the image, and is left out for a moment.
func (f *Fleet) resting(ms []*member, digest string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.o.Now()
	return slices.ContainsFunc(ms, func(m *member) bool {
		ready := slices.ContainsFunc(m.state.Images, func(s broker.ImageState) bool { return s.Phase == broker.ImageReady && means(s, digest) })
		return m.phase == up && ready && m.leaveOut.After(now) && m.leaveOut.Sub(now) < restTime
	})
}

// getting reports whether some member is at work on the image.
func (f *Fleet) getting(ms []*member, digest string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(ms, func(m *member) bool {
		return m.phase == up && slices.ContainsFunc(m.state.Images, func(s broker.ImageState) bool {
			working := s.Phase != broker.ImageReady && s.Phase != broker.ImageFailed
			return working && means(s, digest)
		})
	})
}

// means reports whether a digest is one of an image's, or will be when it is there.
func means(s broker.ImageState, digest string) bool {
	return s.Has(digest) || strings.HasSuffix(s.Name, "@"+digest)
}
