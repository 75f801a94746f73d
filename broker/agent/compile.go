package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/helper"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// A compile is one command on its way to a job.
type compile struct {
	s         *session.Session
	cpps      *slots.Slots // of the agent's, for local preprocessing
	settings  session.Settings
	driver    argv.Driver
	program   string // the compiler's absolute path
	argv0     string
	cmd       *argv.Command
	split     *argv.Split // of a command that is done in parts; cmd is its first then
	toolchain toolchains.Toolchain
	native    toolchains.Native // what native in cmd means, or meant
	unlike    bool              // the configuration asks for another object than the local one
	prospects []fleet.Prospect  // for a tree
	explicit  *[]string         // what extra found
}

// prepare finds out what the command is and who could do it, without work for
// its source. The error of a command that stays at home is a *reason.Local.
func (a *Agent) prepare(s *session.Session) (*compile, error) {
	c := &compile{s: s, cpps: &a.cpps}
	if err := c.parse(); err != nil {
		return c, err
	}
	var err error
	if c.settings, err = a.settings(s); err != nil {
		return c, &reason.Local{Reason: reason.Settings, Text: err.Error(), Slot: true, Helpers: true}
	}
	if err := a.identify(c); err != nil {
		return c, err
	}
	if err := a.resolve(c); err != nil {
		return c, err
	}
	c.prospects, err = a.find(c, broker.Tree)
	return c, err
}

// want is what a job in this form needs of a helper.
func (c *compile) want(form broker.Form, extra []string) fleet.Want {
	options, ok := c.cmd.CodeWords()
	if l := c.cmd.Language(); l == argv.Asm || l == argv.AsmCPP {
		ok = false // the corpus has what compilers write, and people write more
	}
	return fleet.Want{
		Toolchain: c.toolchain, Language: c.cmd.Language(), Command: c.cmd.Words(), Options: options, Extra: extra, Native: c.native.Specs, Uncharted: !ok,
		Lines: form == broker.Preprocessed && c.cmd.Debug(), Exact: c.cmd.Compresses() || c.cmd.LTO(),
	}
}

// find asks the fleet who could do the job in this form.
func (a *Agent) find(c *compile, form broker.Form) ([]fleet.Prospect, error) {
	extra, err := a.extra(c)
	if err != nil {
		return nil, err
	}
	w := c.want(form, extra)
	list := a.fleet.Prospects(c.s.Context(), c.settings.Hosts, w)
	if a.calibrate(c, list) {
		list = a.fleet.Prospects(c.s.Context(), c.settings.Hosts, w)
	}
	if r := fleet.None(list); r != nil {
		a.offer(c, list)
		return list, &reason.Local{Reason: r.Reason, Text: r.Text, Slot: true, Helpers: true}
	}
	return list, nil
}

// failed is a step that went wrong without a word on the code: the local
// compiler says what it says, unless the wrapper is gone.
func (c *compile) failed(why broker.Reason, step string, err error) error {
	if c.s.Gone() != nil {
		return c.s.Gone()
	}
	return reason.Stay(why, "%s: %v", step, err)
}

// outputs are the files that the command makes, the object last.
func (c *compile) outputs() []argv.Output { return c.cmd.Outputs(c.object(), depsName) }

// output is the one with a name of a job's.
func (c *compile) output(job string) (argv.Output, bool) {
	for _, o := range c.outputs() {
		if o.Job == job {
			return o, true
		}
	}
	return argv.Output{}, false
}

// checkTargets keeps jobs at home one of whose outputs has a name that is taken
// by something that the wrapper should not write over.
func (c *compile) checkTargets() error {
	names := map[string]bool{}
	for _, o := range c.outputs() {
		if name := c.s.Abs(o.Name); names[name] {
			return reason.Stay(reason.Target, "%s is two outputs", o.Name)
		}
		names[c.s.Abs(o.Name)] = true
		if err := c.checkTarget(o.Name); err != nil {
			return err
		}
	}
	return nil
}

func (c *compile) checkTarget(name string) error {
	st, err := c.s.Files.Lstat(c.s.Abs(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return reason.Stay(reason.Target, "output %s: %v", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return reason.Stay(reason.Target, "output %s is not a regular file", name)
	}
	src, err := c.s.Files.Stat(c.s.Abs(c.cmd.Source()))
	if err == nil && src.Dev == st.Dev && src.Ino == st.Ino {
		return reason.Stay(reason.Target, "output %s is the source", name)
	}
	return nil
}

// An answer is what a helper said to a job.
type answer struct {
	broker.Result
	form  broker.Form
	match toolchains.Match
	tree  *headers.Tree // of a tree
}

// Names of a job's outputs, the same for every client, so that they share
// results whatever their own files are called.
const (
	objectName = "out"
	depsName   = "deps.d"
)

// object is the name that the job has for what the command makes.
func (c *compile) object() string { return objectName + path.Ext(c.cmd.Output()) }

// moreArgs are left for the words that a job has besides the command's.
const moreArgs = 1000

// remote does the job at a helper: as a tree where that is known to be enough,
// else as preprocessed text. Its error is a *reason.Local or the end of the session.
func (a *Agent) remote(c *compile) (answer, error) {
	if n := len(c.cmd.Words()); n > broker.MaxArgs-moreArgs {
		return answer{}, reason.Stay(helper.ReasonRejected, "%d words are more than a helper runs", n)
	}
	extra, err := a.extra(c)
	if err != nil {
		return answer{}, err
	}
	got, err := a.asTree(c, extra)
	if no, ok := errors.AsType[*reason.Treeless](err); ok {
		a.counters.Preprocessed(no.Reason, no.Text)
		return a.asText(c, extra, no)
	}
	return got, err
}

// send gives a job to the fleet. A *broker.Refusal and a *broker.ChangedError
// are the caller's to understand.
func (a *Agent) send(c *compile, prospects []fleet.Prospect, j *broker.Job) (answer, error) {
	check := func(res broker.Result) error { return c.checkOutputs(j, res) }
	res, match, err := a.fleet.Run(c.s.Context(), prospects, j, check)
	if c.s.Gone() != nil {
		return answer{}, c.s.Gone()
	}
	return answer{Result: res, form: j.Form, match: match}, err
}

// refused is what becomes of a job that no helper did.
func (c *compile) refused(err error) error {
	if r, ok := errors.AsType[*broker.Refusal](err); ok {
		return &reason.Local{Reason: r.Reason, Text: r.Text, Slot: true, Helpers: true}
	}
	return c.failed(fleet.ReasonLost, "run the job", err)
}

// checkOutputs refuses what can't be the job's outputs, whoever made them. A
// compile that fails may leave its dependencies.
func (c *compile) checkOutputs(j *broker.Job, res broker.Result) error {
	for _, o := range res.Outputs {
		made, ok := c.output(o.Path)
		if !ok || !slices.Contains(j.Outputs, o.Path) || res.ExitCode != 0 && made.Kind != argv.Dependencies && made.Kind != argv.Extra {
			return broker.Refusef(reason.BadOutput, "returned %s, which was not asked for", o.Path)
		}
		if o.Path != c.object() {
			continue
		}
		if err := c.checkObject(o); err != nil {
			return broker.Refusef(reason.BadOutput, "returned a wrong object: %v", err)
		}
	}
	if res.ExitCode == 0 && len(res.Outputs) != len(j.Outputs) {
		return broker.Refusef(reason.BadOutput, "returned %d outputs instead of %d", len(res.Outputs), len(j.Outputs))
	}
	return nil
}

// checkObject looks at the beginning of an object: is it of the target's
// machine at all?
func (c *compile) checkObject(o broker.Output) error {
	if c.cmd.Assembly() || c.cmd.LTO() && c.toolchain.Family == argv.Clang {
		return nil // text, which the assembler at home will read, or bitcode
	}
	t, err := triple.Parse(c.toolchain.Target)
	if err != nil {
		return err
	}
	m, ok := t.Machine(c.cmd.TargetWords())
	if !ok {
		return fmt.Errorf("objects for %s are of no known kind", c.toolchain.Target)
	}
	r, err := o.Blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	head := make([]byte, triple.HeadSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return fmt.Errorf("read object: %w", err)
	}
	return m.Check(head[:n])
}
