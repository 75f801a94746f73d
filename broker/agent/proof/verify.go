package proof

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/calibrate"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

const (
	// maxVerified bounds an output that is compared section by section; a larger one
	// only by its digest.
	maxVerified = 256 << 20
	// verifyTime bounds the local compile of a job that is verified. What a helper did
	// took it 20 minutes at most (package fleet), and an emulated client is fifteen times
	// slower. The reasons page and docs/crossctl.md name it.
	verifyTime = 6 * time.Hour
)

// Sampled reports whether this job is one to verify: one of those that somebody
// asked for, or of the share of the configuration. A terminal would see a compiler
// that does not know of it, and only who asks gets that.
func (pr *Prover) Sampled(c *compile.Compile, got compile.Answer) bool {
	if c.Unlike {
		return false
	}
	share := c.Settings.Verify
	switch got.Match {
	case toolchains.Identical:
	case toolchains.Calibrated:
		share = c.Settings.VerifyCalibrated
	default:
		return false // line tables differ, and code moves with nothing else
	}
	return pr.sample.take() || !c.Session.Request.Terminal && rand.Float64() < share
}

// Verify has the local compiler do what a helper has done, and compares. What the
// local one wrote and said is what the build gets.
func (pr *Prover) Verify(c *compile.Compile, got compile.Answer) error {
	before := outputStats(c)
	out, err := pr.atHome(c, c.Session.Request.Args[1:])
	if err != nil {
		return err
	}
	theirs := differences(c, got, out)
	if len(theirs) > 0 && pr.moved(c, got) {
		theirs = []string{"a file changed meanwhile"}
	} else if len(theirs) > 0 {
		pr.distrust(c, got, strings.Join(theirs, "; "))
	}
	differences := slices.Concat(theirs, unreturned(c, got, before))
	if missed := missed(c, got.Tree); len(missed) > 0 {
		differences = append(differences, "the compiler read what the tree lacks: "+strings.Join(missed, " "))
	}
	text := strings.Join(differences, "; ")
	pr.Counters.Verified(text == "")
	pr.sample.note(c.Session.Request.Args, got.Helper, text)
	log := pr.Log.WithFields(logrus.Fields{"source": c.Cmd.Source(), "helper": got.Helper, "cached": got.Cached})
	if text == "" {
		pr.Counters.Remote(got.Match, got.Cached)
		log.Debug("verified")
	} else {
		pr.Counters.Local(reason.Verify, "helper "+got.Helper+": "+text)
		log.WithField("command", c.Session.Request.Args).Error("a helper's object is not the local one: " + text)
	}
	_, err = c.Session.Finish(c.Session.Context(), local.Finish{Stdout: out.Stdout, Stderr: out.Stderr, Status: out.Status << 8})
	return err
}

// atHome has the local compiler do a job that a helper has done. One that does not come
// to an end here is the local compiler's alone.
func (pr *Prover) atHome(c *compile.Compile, words []string) (drivers.Output, error) {
	bound := cmp.Or(pr.VerifyTime, verifyTime)
	out, err := c.Session.RunPlaced(c.Session.Context(), pr.Slots, bound, c.Argv0, drivers.Program{Path: c.Program, Args: words}, session.MaxWords)
	if err == nil {
		return out, nil
	}
	err = c.Failed(reason.Unverified, "compile locally to compare", err)
	if c.Session.Gone() == nil {
		pr.sample.giveUp()
		pr.Log.WithField("command", c.Session.Request.Args).Warn("not verified: " + err.Error())
	}
	return out, err
}

// distrust gives the helper no more jobs of this toolchain.
func (pr *Prover) distrust(c *compile.Compile, got compile.Answer, differs string) {
	if err := pr.Book.Distrust(got.Helper, c.Toolchain.Identity, c.Session.Request.Args, differs); err != nil {
		pr.Log.WithError(err).Error("distrust is forgotten when the agent leaves")
	}
}

// moved reports whether what the compile reads is not what it was when the helper
// was asked: then the two compiles were not one.
func (pr *Prover) moved(c *compile.Compile, got compile.Answer) bool {
	if got.Tree == nil {
		now, err := pr.Input.Preprocess(c)
		return err != nil || now.Blob.Digest != got.Text
	}
	_, now, err := pr.Input.Scan(c)
	return err != nil || !slices.Equal(contents(now.Root), contents(got.Tree.Root))
}

// contents are a tree's files with their digests.
func contents(d *broker.Dir) []string {
	var list []string
	for name, e := range d.All() {
		if e.File != nil {
			list = append(list, name+" "+e.File.Blob.Digest.String())
		}
	}
	return list
}

// differences says how what a helper made and said is not what the local compiler
// did. The outputs are in their places, the local ones.
func differences(c *compile.Compile, got compile.Answer, out drivers.Output) []string {
	var list []string
	if got.ExitCode != out.Status {
		list = append(list, fmt.Sprintf("exit status %d, locally %d", got.ExitCode, out.Status))
	}
	if !bytes.Equal(got.Stdout, out.Stdout) || !bytes.Equal(got.Stderr, out.Stderr) {
		list = append(list, "other messages")
	}
	for _, o := range got.Outputs {
		if made, _ := c.Output(o.Path); made.Varies {
			continue
		}
		if err := sameAt(c, c.Target(o).Path, o.Blob, got.Match); err != nil {
			list = append(list, err.Error())
		}
	}
	return list
}

// outputStats is how the command's outputs stand; absent ones are left out.
func outputStats(c *compile.Compile) map[string]unix.Stat_t {
	stats := map[string]unix.Stat_t{}
	for _, o := range c.Outputs() {
		if st, err := c.Session.Files.Lstat(c.Session.Abs(o.Name)); err == nil {
			stats[o.Name] = st
		}
	}
	return stats
}

// unreturned are outputs that the local compiler wrote and the helper's did not.
func unreturned(c *compile.Compile, got compile.Answer, before map[string]unix.Stat_t) []string {
	var list []string
	for name, st := range outputStats(c) {
		was, there := before[name]
		if there && was.Mtim == st.Mtim && was.Ino == st.Ino {
			continue
		}
		if !slices.ContainsFunc(got.Outputs, func(o broker.Output) bool { return c.Target(o).Path == name }) {
			list = append(list, "no "+name)
		}
	}
	return list
}

// sameAt holds the file at name against the content that a helper made. From a
// calibrated toolchain, .comment may be another.
func sameAt(c *compile.Compile, name string, want broker.Blob, match toolchains.Match) error {
	f, err := c.Session.Files.Open(c.Session.Abs(name))
	if err != nil {
		return fmt.Errorf("no %s locally: %w", name, err)
	}
	defer f.Close()
	d, err := broker.DigestReader(f)
	if err != nil {
		return err
	}
	if d == want.Digest {
		return nil
	}
	here, err := c.Session.Files.ReadFile(c.Session.Abs(name), maxVerified)
	if err != nil {
		return fmt.Errorf("%s differs, and can't be compared: %w", name, err)
	}
	there, err := want.Bytes(maxVerified)
	if err != nil {
		return fmt.Errorf("%s differs, and can't be compared: %w", name, err)
	}
	of := calibrate.Compare(here, there)
	if c.Cmd.Assembly() && match == toolchains.Calibrated && bytes.Equal(withoutIdent(here), withoutIdent(there)) {
		of.Equal = true
	}
	if of.Equal && match == toolchains.Calibrated {
		return nil
	}
	return fmt.Errorf("%s: %v", name, of)
}

// withoutIdent is assembler text without the line that becomes .comment.
func withoutIdent(text []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte(".ident")) {
			b.Write(line)
		}
	}
	return b.Bytes()
}

// missed are the files that the local compiler says it read and the scan did not
// foresee. Only a command that makes dependencies tells.
func missed(c *compile.Compile, tree *headers.Tree) []string {
	d, ok := c.Cmd.Deps()
	if tree == nil || !ok {
		return nil
	}
	text, err := c.Session.Files.ReadFile(c.Session.Abs(d.File), session.MaxWords)
	if err != nil {
		return nil // a compile that failed leaves none
	}
	names, err := tree.Missed(text, c.Session.Request.Dir)
	if err != nil {
		return []string{"(" + err.Error() + ")"}
	}
	return names
}
