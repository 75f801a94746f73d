// Package fleet knows the helpers of an agent: which are up, what toolchains
// they have, how busy they are; and gives a job to the one that should have it.
//
// Start with Fleet.Run. A member is one helper; how it is reached (in this
// process, over REAPI) is hidden in a Link.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

// Reasons of a fleet for doing a job locally.
const (
	ReasonNoHost    broker.Reason = "no-host"     // the host list names none that can be used
	ReasonNoHelper  broker.Reason = "no-helper"   // none is up
	ReasonNoMatch   broker.Reason = "no-match"    // those that are up have no such toolchain
	ReasonDebugInfo broker.Reason = "debug-info"  // line tables would differ, and no host allows that
	ReasonLost      broker.Reason = "helper-lost" // every helper that was tried failed
	// ReasonCalibrating: a toolchain may make the same objects, and it is not known
	// yet. ReasonCalibration: it is known, and it does not. ReasonDistrusted: a
	// compile that was done twice showed that it does not.
	ReasonCalibrating broker.Reason = "calibrating"
	ReasonCalibration broker.Reason = "calibration"
	ReasonDistrusted  broker.Reason = "distrusted"
)

const (
	// connectTime is how long a job waits for helpers that nothing is known
	// of yet. A helper on the same network answers within a tenth of it.
	connectTime = 5 * time.Second
	// openTime is the same for the helper in this process, which first proves
	// its sandbox and asks the machine's compilers: a second or two, and more
	// on a machine where a build has just begun.
	openTime = 30 * time.Second
	// jobTime bounds one job at one helper, which itself gives up earlier: a
	// helper that lives but does nothing must not hold a build.
	jobTime = 20 * time.Minute
	// stallTime is how long a job waits for a place while none comes free.
	stallTime = time.Minute
	// maxSlots is the most that is believed of a helper's slots.
	maxSlots = 4096
)

// A Link reaches one helper.
type Link struct {
	Run broker.Runner
	// Watch calls f with each state of the helper until ctx ends or the
	// helper is lost, and says why.
	Watch func(ctx context.Context, f func(broker.State)) error
	// Pack sends an image of compilers, for the helper to serve this client by
	// (broker/pack); nil where that can't be.
	Pack func(ctx context.Context, b broker.Blob, say func(string)) error
	// Key is the text under which the helper would keep the job's result.
	Key   func(ctx context.Context, j *broker.Job) (string, error)
	Close func() error
}

// Options are what a Fleet is made of.
type Options struct {
	// Dial makes the link to one host; it does not wait for the host.
	Dial func(hostlist.Host) (Link, error)
	Log  logrus.FieldLogger
	// Book has what is known of pairs of toolchains. nil: nothing is, and only
	// identical ones serve.
	Book *calibrate.Book
	// Now is time.Now; tests set it.
	Now func() time.Time
	// Stall is how long a job waits for a place while none comes free; 0 means
	// a minute.
	Stall time.Duration
}

// A Fleet holds the members of every host list that its agent was given.
type Fleet struct {
	o    Options
	ctx  context.Context // ended by Close
	stop context.CancelFunc

	work sync.WaitGroup // the members' watches

	mu      sync.Mutex // guards the fields below, and the members' own
	members map[string]*member
	queue   []*waiter     // jobs that wait for a place, first come first
	freed   int           // places that came free so far
	news    chan struct{} // closed when more is known of a member
}

// New makes an empty fleet: members come with the host lists of jobs.
func New(o Options) *Fleet {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Stall == 0 {
		o.Stall = stallTime
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Fleet{o: o, ctx: ctx, stop: stop, members: make(map[string]*member), news: make(chan struct{})}
}

// Close ends all links. No job may run.
func (f *Fleet) Close() error {
	f.stop()
	f.work.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, m := range f.members {
		errs = append(errs, m.link.Close())
	}
	return errors.Join(errs...)
}

// A Want is what a job needs of a helper, known before its source is read.
type Want struct {
	Toolchain toolchains.Toolchain // the client's
	Language  argv.Language
	// Command is the whole command, Options what of it decides code, Extra what the
	// agent adds (calibrate.Question). Uncharted: no set of options describes the
	// command, and only toolchains with the same programs serve it.
	Command, Options, Extra []string
	// Native is what native in Command means (broker.Job).
	Native    []string
	Uncharted bool
	// Lines says that line tables would differ (debug info in preprocessed
	// form): only hosts with debug=lines serve that.
	Lines bool
	// Exact says that the job needs the same bytes of every program: an identical
	// toolchain, whatever a host entry allows.
	Exact bool
}

// A Prospect is one helper with what it has for a Want.
type Prospect struct {
	Address string
	Match   toolchains.Match
	Reason  broker.Reason // why not, when Match is None
	Text    string        // the same in words
	// Question is what has to be found out before the helper can serve; nil when
	// that is known.
	Question *calibrate.Question
	// Avoid are words of sources that the helper's toolchain does not serve, Avoided
	// how it differs there.
	Avoid   []string
	Avoided string

	member *member
	packs  bool
	with   string   // the toolchain that was proven, for broker.Job.With
	front  []string // words that make the client's defaults explicit there
}

// For is the job as the prospect's helper gets it.
func (p Prospect) For(j *broker.Job) *broker.Job {
	if p.with == "" && len(p.front) == 0 {
		return j
	}
	k := *j
	k.With, k.Args = p.with, slices.Concat(p.front, j.Args)
	return &k
}

// At gives a job to one prospect, whatever it matches, for a calibration: the job
// goes to the toolchain that the question is about, and waits for a place.
func (f *Fleet) At(ctx context.Context, p Prospect, j *broker.Job) (broker.Result, error) {
	if p.Question != nil {
		p.with, p.front = p.Question.Have.Digest(), p.Question.Front
	}
	if _, err := f.pick(ctx, []Prospect{p}); err != nil {
		return broker.Result{}, err
	}
	return f.runAt(ctx, p.member, p.For(j))
}

// Prospects tells of each host what it has for w, in the list's order. While
// none has anything it waits a bounded time for those that are still being
// connected.
func (f *Fleet) Prospects(ctx context.Context, hosts []hostlist.Host, w Want) []Prospect {
	ms := f.membersOf(hosts)
	var list []Prospect
	f.await(ctx, ms, func() bool {
		list = list[:0]
		for i, m := range ms {
			list = append(list, f.prospect(m, hosts[i], w))
		}
		return None(list) == nil
	})
	return list
}

// None says in one Refusal why no prospect will do, or nil when one will.
func None(list []Prospect) *broker.Refusal {
	if len(list) == 0 {
		return &broker.Refusal{Reason: ReasonNoHost, Text: "the host list names no helper"}
	}
	var texts []string
	reason := ReasonNoHelper
	rank := map[broker.Reason]int{
		ReasonNoHelper: 0, ReasonNoHost: 0, ReasonNoMatch: 1, ReasonDebugInfo: 2,
		ReasonCalibration: 3, ReasonDistrusted: 4, ReasonCalibrating: 5,
	}
	for _, p := range list {
		if p.Match != toolchains.None {
			return nil
		}
		if rank[p.Reason] > rank[reason] {
			reason = p.Reason
		}
		texts = append(texts, "helper "+p.Address+" "+p.Text)
	}
	return &broker.Refusal{Reason: reason, Text: strings.Join(texts, "; ")}
}

// Key asks the helper that matches best under which text it would keep the job's
// result.
func (f *Fleet) Key(ctx context.Context, list []Prospect, j *broker.Job) (string, error) {
	if r := None(list); r != nil {
		return "", r
	}
	best := slices.MaxFunc(list, func(a, b Prospect) int { return cmp.Compare(a.Match, b.Match) })
	key, err := best.member.link.Key(ctx, best.For(j))
	if err != nil {
		return "", fmt.Errorf("helper %s: %w", best.Address, err)
	}
	return key, nil
}

// Run gives the job to one of the prospects after another until one answers
// with a result that check takes; those that match best come first. When all
// fail, the error is a *broker.Refusal that says how. A *broker.ChangedError comes
// at once: it is about the job.
func (f *Fleet) Run(ctx context.Context, list []Prospect, j *broker.Job, check func(broker.Result) error) (broker.Result, toolchains.Match, error) {
	left := slices.DeleteFunc(slices.Clone(list), func(p Prospect) bool { return p.Match == toolchains.None })
	slices.SortStableFunc(left, func(a, b Prospect) int { return cmp.Compare(b.Match, a.Match) })
	failed := broker.Refusal{Reason: ReasonLost}
	var texts []string
	for len(left) > 0 {
		like := slices.IndexFunc(left, func(p Prospect) bool { return p.Match != left[0].Match })
		if like < 0 {
			like = len(left)
		}
		i, err := f.pick(ctx, left[:like])
		if errors.Is(err, errStalled) {
			return broker.Result{}, toolchains.None, &broker.Refusal{Reason: ReasonLost, Text: err.Error()}
		}
		if err != nil {
			return broker.Result{}, toolchains.None, err
		}
		p := left[i]
		res, err := f.runAt(ctx, p.member, p.For(j))
		if err == nil {
			err = check(res)
		}
		if err == nil {
			res.Helper = p.Address
			return res, p.Match, nil
		}
		if ctx.Err() != nil {
			return broker.Result{}, toolchains.None, context.Cause(ctx)
		}
		if c, ok := errors.AsType[*broker.ChangedError](err); ok {
			return broker.Result{}, toolchains.None, c
		}
		f.o.Log.WithError(err).WithField("helper", p.Address).Warn("job not done")
		texts = append(texts, fmt.Sprintf("helper %s: %v", p.Address, err))
		if r, ok := errors.AsType[*broker.Refusal](err); ok {
			if failed.Reason = r.Reason; r.Reason == broker.ReasonTooLong {
				break
			}
		}
		left = slices.Delete(left, i, i+1)
	}
	failed.Text = strings.Join(texts, "; ")
	return broker.Result{}, toolchains.None, &failed
}
