package proof

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

const (
	// calibrationTime bounds one comparison. In emulation a compile of the corpus
	// takes some seconds, and two toolchains that differ need half a dozen, at worst
	// one for each attribute besides.
	calibrationTime = 10 * time.Minute
	// corpusTime bounds one compile of the corpus on the client.
	corpusTime = 5 * time.Minute
	// calibrationRest is how long a comparison that failed is not tried again: a
	// helper that is lost must not cost each job a try.
	calibrationRest = time.Minute
	// maxFailed bounds what is remembered of them.
	maxFailed = 1024
	// maxCorpusObject bounds the corpus's object: it has some hundred functions.
	maxCorpusObject = 16 << 20
)

// Where a helper sees the corpus. Debug information of the client's own object is
// mapped to it.
const (
	corpusDir    = "/crosscc"
	corpusName   = "corpus.c"
	corpusObject = "corpus.o"
)

// trials are the comparisons of toolchains of one agent.
type trials struct {
	busy chan struct{} // holds a token while one runs

	mu     sync.Mutex // guards failed
	failed map[string]time.Time
}

// due reports whether a question may be tried now.
func (t *trials) due(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.failed[key]) >= calibrationRest
}

func (t *trials) fail(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.failed) >= maxFailed {
		maps.DeleteFunc(t.failed, func(_ string, at time.Time) bool { return time.Since(at) >= calibrationRest })
	}
	if len(t.failed) < maxFailed {
		t.failed[key] = time.Now()
	}
}

// Calibrate answers the questions that stand between this job and helpers, if
// nobody does so already, and reports whether more is known now.
//
// The client's compiler can only be run where the client is: in its root, its
// container, its emulation. So one job lends its wrapper, and goes on when the
// comparison is done; the others meanwhile go elsewhere or stay at home. A job for
// which there is an identical toolchain does not lend itself.
func (pr *Prover) Calibrate(c *compile.Compile, list []fleet.Prospect) bool {
	if c.Session.Request.Verb != local.VerbCompile || slices.ContainsFunc(list, func(p fleet.Prospect) bool { return p.Match == toolchains.Identical }) {
		return false
	}
	open := slices.DeleteFunc(slices.Clone(list), func(p fleet.Prospect) bool {
		return p.Question == nil || !pr.trials.due(p.Question.Key()+p.Address)
	})
	if len(open) == 0 {
		return false
	}
	if c.Settings.Fallback {
		select {
		case pr.trials.busy <- struct{}{}:
		default:
			return false
		}
	} else { // a job that must not be local waits for its turn
		select {
		case pr.trials.busy <- struct{}{}:
		case <-c.Session.Context().Done():
			return false
		}
	}
	defer func() { <-pr.trials.busy }()
	pr.Counters.Calibrating(true)
	defer pr.Counters.Calibrating(false)
	for _, p := range open {
		if _, known := pr.Book.Look(*p.Question); !known && c.Session.Gone() == nil {
			pr.try(c, p)
		}
	}
	return true
}

// try answers one question.
func (pr *Prover) try(c *compile.Compile, p fleet.Prospect) {
	ctx, cancel := context.WithTimeout(c.Session.Context(), calibrationTime)
	defer cancel()
	began := time.Now()
	q := p.Question
	home := func(ctx context.Context, u calibrate.Unit) (calibrate.Outcome, error) {
		return pr.corpusHome(ctx, c, q, u)
	}
	away := func(ctx context.Context, u calibrate.Unit) (calibrate.Outcome, error) {
		return pr.corpusAway(ctx, c, p, u)
	}
	r, err := calibrate.Calibrate(ctx, q.Want.Family, q.Language, home, away)
	if c.Session.Gone() != nil {
		return // somebody else's job finds it out
	}
	if err == nil {
		err = pr.Book.Keep(*q, r)
	}
	log := pr.Log.WithFields(logrus.Fields{
		"helper": p.Address, "toolchain": q.Have.String(), "options": strings.Join(q.Words, " "), "took": time.Since(began).Round(time.Millisecond),
	})
	pr.Counters.Calibrated(err == nil, r.Refused != "")
	switch {
	case err != nil:
		pr.trials.fail(q.Key() + p.Address)
		log.WithError(err).Warn("toolchains not compared")
	case r.Refused != "":
		log.Info("a helper's toolchain makes other objects: " + r.Refused)
	default:
		log.WithField("avoid", strings.Join(r.Avoid, " ")).Info("a helper's toolchain makes the same objects")
	}
}

// corpusScript compiles standard input in a directory of its own, the one that it is
// called by, and prints the object. It needs a shell, mkdir, cat and rm, as every
// build's root has them.
const corpusScript = `umask 077
d=$0; mkdir "$d" || exit 125
trap 'rm -rf "$d"' 0
trap 'exit 125' 1 2 13 15
cd "$d" && d=$(pwd -P) && PWD=$d && export PWD && cat >` + corpusName + ` || exit 125
"$@" "-fdebug-prefix-map=$d=` + corpusDir + `" >&2 || exit $?
cat ` + corpusObject + ` || exit 125`

// scriptFailed is the status from which on it was not the compiler that failed: the
// script's own, a program that could not be run, a signal.
const scriptFailed = 125

// corpusHome has the client's compiler compile a unit.
func (pr *Prover) corpusHome(ctx context.Context, c *compile.Compile, q *calibrate.Question, u calibrate.Unit) (calibrate.Outcome, error) {
	dir, err := c.Session.TempDir()
	if err != nil {
		return calibrate.Outcome{}, err
	}
	defer dir.Close()
	base := "crosscc." + rand.Text()[:8]
	words := slices.Concat([]string{"-c", corpusScript, path.Join(dir.Name(), base), c.Program}, q.Words, u.Words, targetWords(c),
		[]string{"-x", u.Language.XName(), "-c", corpusName, "-o", corpusObject})
	out, err := c.Session.RunPlaced(ctx, pr.Slots, corpusTime, "/bin/sh", drivers.Program{Path: "/bin/sh", Args: words, Env: []string{"LC_ALL=C", "LANGUAGE="}, Stdin: u.Source}, maxCorpusObject)
	if err != nil { // the wrapper is gone, perhaps killed with all that it ran
		removeCorpus(dir, base)
		return calibrate.Outcome{}, err
	}
	if out.Status >= scriptFailed {
		return calibrate.Outcome{}, fmt.Errorf("compile the corpus locally: status %d: %.200q", out.Status, out.Stderr)
	}
	return calibrate.Outcome{Object: out.Stdout, Status: out.Status, Stderr: out.Stderr}, nil
}

// removeCorpus removes what the script would have, when it could not. What it ran may
// still be ending.
func removeCorpus(dir *os.File, base string) {
	at := int(dir.Fd())
	for range 20 {
		fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return // it never was, or is gone
		}
		for _, name := range []string{corpusName, corpusObject} {
			_ = unix.Unlinkat(fd, name, 0)
		}
		_ = unix.Close(fd)
		if unix.Unlinkat(at, base, unix.AT_REMOVEDIR) == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// targetWords are what the compiler takes from the name that it was called by, and
// would not from its own.
func targetWords(c *compile.Compile) []string {
	if t := c.TargetWord(); t != "" && c.Cmd.Target() == "" {
		return []string{"--target=" + t}
	}
	return nil
}

// corpusAway has the helper's compiler compile a unit, in the form of every other
// job.
func (pr *Prover) corpusAway(ctx context.Context, c *compile.Compile, p fleet.Prospect, u calibrate.Unit) (calibrate.Outcome, error) {
	q := p.Question
	cmd := argv.Parse(slices.Concat(q.Words, u.Words, []string{"-x", u.Language.XName(), "-c", corpusName, "-o", corpusObject}),
		argv.Env{Driver: c.Driver, Family: c.Toolchain.Family, Native: len(q.Native) > 0})
	if v := cmd.Verdict(); !v.Remote {
		return calibrate.Outcome{Status: 1, Stderr: fmt.Appendf(nil, "error: %s %s", v.Reason, v.Detail)}, nil
	}
	j := &broker.Job{
		Name: path.Base(c.Session.Request.Args[0]), Identity: c.Toolchain.Identity, Fingerprint: c.Toolchain.Fingerprint,
		Args: cmd.Whole(corpusObject, "", q.Extra...), Dir: corpusDir, Env: []string{"LC_ALL=C"}, Root: new(broker.Dir),
		Form: broker.Tree, Debug: cmd.Debug(), Native: q.Native,
	}
	for _, o := range cmd.Outputs(corpusObject, "") {
		j.Outputs = append(j.Outputs, o.Job)
	}
	j.Root.Put(path.Join(corpusDir, corpusName), broker.File{Blob: broker.BytesBlob(u.Source)})
	res, err := pr.Fleet.At(ctx, p, j)
	if err != nil {
		return calibrate.Outcome{}, fmt.Errorf("helper %s: %w", p.Address, err)
	}
	out := calibrate.Outcome{Status: res.ExitCode, Stderr: res.Stderr}
	if res.ExitCode != 0 {
		return out, nil
	}
	i := slices.IndexFunc(res.Outputs, func(o broker.Output) bool { return o.Path == corpusObject })
	if i < 0 {
		return out, fmt.Errorf("helper %s returned no object of the corpus", p.Address)
	}
	out.Object, err = res.Outputs[i].Blob.Bytes(maxCorpusObject)
	return out, err
}

// Serving leaves prospects out whose toolchain treats something in another way that
// the source or a macro of the command names. has tells of a word of package lex in
// the source.
func Serving(c *compile.Compile, list []fleet.Prospect, has func(word string) bool) ([]fleet.Prospect, error) {
	var left []fleet.Prospect
	var no error
	for _, p := range list {
		i := slices.IndexFunc(p.Avoid, func(w string) bool {
			return has(w) || has("pragma GCC "+w) || has("pragma clang "+w) || says(c.Cmd.Words(), w)
		})
		if i < 0 {
			left = append(left, p)
			continue
		}
		if no == nil {
			no = &reason.Local{Reason: fleet.ReasonCalibration, Slot: true, Helpers: true, Text: fmt.Sprintf(
				"the source names %s, which helper %s has another way with: %s", p.Avoid[i], p.Address, p.Avoided)}
		}
	}
	if no != nil && fleet.None(left) != nil {
		return left, no
	}
	return left, nil
}

// says reports whether a word of a command may have another word in it that a
// compiler would read as source. A file's name may, too; no option of code does.
func says(command []string, word string) bool {
	return slices.ContainsFunc(command, func(s string) bool {
		return strings.Contains(s, word) && !strings.HasPrefix(s, "-f") && !strings.HasPrefix(s, "-m")
	})
}

// Distrusted is what status tells of.
func (pr *Prover) Distrusted() []monitor.Distrusted {
	var list []monitor.Distrusted
	for _, d := range pr.Book.Distrusted() {
		list = append(list, monitor.Distrusted(d))
	}
	return list
}
