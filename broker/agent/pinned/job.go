package pinned

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/input"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
)

// This file does the jobs of a command that an image defines.

// run does the job, or the jobs of a command with several sources. As the driver does,
// the others are compiled when one does not compile.
func (p *Command) run() ([]made, error) {
	switch p.task.Kind {
	case task.Compile:
		m, err := p.compile(p.task.Command)
		return []made{m}, err
	case task.Parts:
		var all []made
		for _, cmd := range p.task.Sources {
			m, err := p.compile(cmd)
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
		return all, nil
	}
	m, err := p.whole()
	return []made{m}, err
}

// An order is a job of a command's: how it is made, which may be done again, and what must
// come of it.
type order struct {
	build func() (*broker.Job, error)
	check func(*broker.Job, broker.Result) error
}

// Key is the text under which a helper would keep what the command makes; of several
// compiles the first one's.
func (p *Command) Key() (string, error) {
	if err := p.prepare(); err != nil {
		return "", err
	}
	cmd := p.task.Command
	if p.task.Kind == task.Parts {
		cmd = p.task.Sources[0]
	}
	o := p.wholeOrder()
	if cmd != nil {
		var err error
		if _, o, err = p.compileOrder(cmd); err != nil {
			return "", err
		}
	}
	j, err := o.build()
	if err != nil {
		return "", err
	}
	return p.pins.Fleet.Key(p.s.Context(), p.prospects(), j)
}

func (p *Command) prospects() []fleet.Prospect {
	var list []fleet.Prospect
	for _, h := range p.helpers {
		list = append(list, h.Prospect)
	}
	return list
}

// compile does one plain compile.
func (p *Command) compile(cmd *argv.Command) (made, error) {
	c, o, err := p.compileOrder(cmd)
	if err != nil {
		return made{}, err
	}
	res, j, err := p.send(o)
	if err == nil {
		res = p.inColour(cmd, o, j, res)
	}
	return made{res: res, outputs: c.Outputs(), removed: c.Removed(res)}, err
}

// compileOrder is one plain compile.
func (p *Command) compileOrder(cmd *argv.Command) (*compile.Compile, order, error) {
	c := &compile.Compile{Session: p.s, Settings: p.set, Driver: p.driver, Cmd: cmd, Toolchain: p.tc}
	if t := c.TargetWord(); t != "" && p.tc.Family == argv.Clang {
		c.Toolchain = p.tc.For(t) // what the object must be for
	}
	outputs := c.Outputs()
	if err := p.writable(outputs); err != nil {
		return c, order{}, err
	}
	also, ok := cmd.Reads(p.s.Request.Dir)
	if !ok {
		return c, order{}, p.cannot("where the compiler looks for a profile is not known")
	}
	args := func() []string {
		words := cmd.Whole(c.Object(), compile.DepsName, cmd.NameWords(p.s.Request.Dir)...)
		if p.task.Verbose {
			words = append(words, task.VerboseWord)
		}
		return words
	}
	build := func() (*broker.Job, error) {
		tree, err := p.tree([]*argv.Command{cmd}, also, c.WrittenIn(), false)
		if err != nil {
			return nil, err
		}
		j := p.job(tree, outputs)
		j.Args, j.Debug = args(), cmd.Debug()
		return j, nil
	}
	return c, order{build, c.CheckOutputs}, nil
}

// whole does a link, a run of the preprocessor, or a question.
func (p *Command) whole() (made, error) {
	t := p.task
	if err := p.writable(t.Outputs); err != nil {
		return made{}, err
	}
	o := p.wholeOrder()
	res, j, err := p.send(o)
	if err == nil && (t.Kind == task.Link || t.Kind == task.Preprocess || t.Kind == task.Check) {
		res = p.inColour(argv.Parse(p.s.Request.Args[1:], p.reading()), o, j, res)
	}
	if err == nil {
		err = p.nameInMap(&res)
	}
	if err == nil {
		err = p.thinNames(&res)
	}
	if err == nil {
		err = p.ownNames(&res)
	}
	p.like(&res)
	p.programName(&res)
	m := made{res: res, outputs: t.Outputs, modes: p.modes}
	for _, o := range t.Outputs {
		back := slices.ContainsFunc(res.Outputs, func(got broker.Output) bool { return got.Path == o.Job })
		made := o.Kind == argv.Object || o.Kind == argv.AssemblerText
		if made && o.Name != "/dev/null" && !back {
			m.removed = append(m.removed, o.Name)
		}
	}
	m.res.Outputs = slices.DeleteFunc(slices.Clone(res.Outputs), func(o broker.Output) bool {
		return untouched(o) || res.ExitCode != 0 && err == nil && p.asItWas(j, o)
	})
	return m, err
}

// asItWas reports whether a file that a tool was to change is what it was: a tool that
// failed has not written it again, so that it is no younger than what it is made of.
func (p *Command) asItWas(j *broker.Job, o broker.Output) bool {
	i := slices.IndexFunc(p.task.Outputs, func(out argv.Output) bool { return out.Job == o.Path })
	if i < 0 || !slices.Contains(p.task.Changed, o.Path) {
		return false
	}
	_, e, ok := j.Root.Lookup(p.s.Abs(p.task.Outputs[i].Name))
	return ok && e.File != nil && e.File.Blob.Digest == o.Blob.Digest
}

// untouched reports whether an output of a command that failed is what lay in its place: what
// the client has there stays.
func untouched(o broker.Output) bool { return o.Blob.Digest == broker.DigestOf([]byte(task.Untouched)) }

// wholeOrder is the job of whole.
func (p *Command) wholeOrder() order {
	t := p.task
	build := func() (*broker.Job, error) {
		tree, err := p.inputs()
		if err == nil {
			err = p.begins(tree)
		}
		if err != nil {
			return nil, err
		}
		j := p.job(tree, t.Outputs)
		j.Args = t.Words(nil)
		if t.Kind == task.Question {
			j.Dir = "/"
		}
		return j, nil
	}
	return order{build, func(j *broker.Job, res broker.Result) error {
		for _, o := range res.Outputs {
			if !slices.Contains(j.Outputs, o.Path) || res.ExitCode == 0 && untouched(o) {
				return broker.Refusef(reason.BadOutput, "returned %s, which was not asked for", o.Path)
			}
		}
		if res.ExitCode == 0 && len(res.Outputs) != len(j.Outputs) {
			return broker.Refusef(reason.BadOutput, "returned %d outputs instead of %d", len(res.Outputs), len(j.Outputs))
		}
		return nil
	}}
}

// maxMap bounds a linker's map.
const maxMap = 256 << 20

// mapOutput is where a map says which file was linked: at a helper that is a place of
// the helper's.
var mapOutput = regexp.MustCompile(`(?m)^OUTPUT\(/\.crosscc/[0-9]+(\.[^ /]*)? `)

// nameInMap has a linker's map say the name that the build's command says.
func (p *Command) nameInMap(res *broker.Result) error {
	if len(p.task.Outputs) == 0 {
		return nil
	}
	name := p.task.Outputs[len(p.task.Outputs)-1].Name
	if p.task.Kind == task.Link {
		res.Stdout = mapOutput.ReplaceAllLiteral(res.Stdout, []byte("OUTPUT("+name+" "))
	}
	for i, o := range res.Outputs {
		if o.Path != task.MapOutput && o.Path != task.RulesOutput {
			continue
		}
		text, err := o.Blob.Bytes(maxMap)
		if err != nil {
			return p.lost(err, "")
		}
		if o.Path == task.RulesOutput {
			if text, err = p.ruleFor(name, text); err != nil {
				return err
			}
		}
		text = mapOutput.ReplaceAllLiteral(text, []byte("OUTPUT("+name+" "))
		res.Outputs[i].Blob = broker.BytesBlob(text)
	}
	return nil
}

// ruleOutput is where a linker's dependencies say what depends on the others.
var ruleOutput = regexp.MustCompile(`^/\.crosscc/[0-9]+(\.[^ /:]*)?:`)

// ruleFor is a linker's rule for the program's own name. GNU ld writes that as it is, and lld as make reads it.
func (p *Command) ruleFor(name string, text []byte) ([]byte, error) {
	if strings.ContainsAny(name, " #$\\") {
		return nil, p.cannot("--dependency-file of %q: linkers write such a name in ways of their own", name)
	}
	return ruleOutput.ReplaceAllLiteral(text, []byte(name+":")), nil
}

// job is a job of the image's with a tree.
func (p *Command) job(tree *headers.Tree, outputs []argv.Output) *broker.Job {
	j := &broker.Job{
		Name: path.Base(p.s.Request.Args[0]), Identity: p.tc.Identity, Fingerprint: p.tc.Fingerprint, Image: p.helpers[0].Image,
		Dir: p.s.Request.Dir, Env: p.environ(tree), Root: tree.Root, Form: broker.Tree,
	}
	for _, o := range outputs {
		j.Outputs = append(j.Outputs, o.Job)
	}
	slices.Sort(j.Outputs)
	return j
}

// environ is what a compiler of an image gets of the client's environment. A text that
// says when it was compiled says the client's time, by the one variable that can say it;
// so such a result is nobody else's.
func (p *Command) environ(tree *headers.Tree) []string {
	env := []string{"LC_ALL=" + p.set.Locale}
	for _, name := range []string{"CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH", "LIBRARY_PATH", "LD_RUN_PATH"} {
		if v := p.s.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	epoch := p.s.Getenv("SOURCE_DATE_EPOCH")
	switch {
	case epochDigits.MatchString(epoch):
		env = append(env, "SOURCE_DATE_EPOCH="+epoch)
	case input.Dated(tree):
		env = append(env, "SOURCE_DATE_EPOCH="+strconv.FormatInt(time.Now().Unix(), 10))
	}
	slices.Sort(env)
	return env
}

var epochDigits = regexp.MustCompile(`^[0-9]{1,12}$`)

// send has a helper do a job, and says which. A file that changed while it was sent is read once more.
func (p *Command) send(o order) (broker.Result, *broker.Job, error) {
	for again := false; ; again = true {
		j, err := o.build()
		if err != nil {
			return broker.Result{}, nil, err
		}
		if n := len(j.Args); n > broker.MaxArgs {
			return broker.Result{}, nil, p.cannot("%d words are more than a helper runs", n)
		}
		res, _, err := p.pins.Fleet.Run(p.s.Context(), p.prospects(), j, func(res broker.Result) error { return o.check(j, res) })
		if _, changed := errors.AsType[*broker.ChangedError](err); changed && !again {
			continue
		}
		if err != nil {
			return broker.Result{}, nil, p.lost(err, "crossctl status")
		}
		return res, j, nil
	}
}

// writable refuses outputs in places that the wrapper should not write over.
func (p *Command) writable(outputs []argv.Output) error {
	c := &compile.Compile{Session: p.s, Cmd: argv.Parse(nil, argv.Env{})}
	names := map[string]bool{}
	for _, o := range outputs {
		if o.Name == "/dev/null" {
			continue
		}
		name := path.Clean(p.s.Abs(o.Name))
		if names[name] {
			return p.cannot("%s is two outputs", o.Name)
		}
		names[name] = true
		if l, ok := errors.AsType[*reason.Local](c.CheckTarget(o.Name)); ok {
			return p.cannot("%s", l.Text)
		}
	}
	return nil
}
