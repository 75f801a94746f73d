// Package pinned does commands that an image defines (docs/pins.md): a project or the
// environment has pinned one for the target. Whatever the command is, it is done in the
// image at a helper or not at all: what the local compiler makes is not what was asked
// for. The client needs no compiler; of its files the project's own count, and where
// the image has its files the client's are not looked at.
//
// Start with Pins.Of, which says whether a command is one, and Command.Do.
package pinned

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/toolchains"
)

// Pins do the commands of an agent that images define. Its methods may be called at any
// time, by many at once.
type Pins struct {
	Fleet    *fleet.Fleet
	Scanner  *headers.Scanner
	Counters *monitor.Counters
	Log      logrus.FieldLogger

	ids   compile.Memo[string]         // of each pin and list of hosts: the image that is meant
	names compile.Memo[*headers.Names] // of each image, by its ID: what its headers include
}

// A Command is one that an image defines.
type Command struct {
	pins    *Pins
	s       *session.Session
	set     session.Settings
	pin     images.Pin
	driver  argv.Driver
	tool    *task.Tool           // of a program beside the compiler; driver is then what its name says of that
	said    string               // the target that the command's words say
	helpers []fleet.Imaged       // that have the image: one and the same
	tc      toolchains.Toolchain // of the image
	task    *task.Task
	modes   map[string]uint32 // of files that ar takes out, by the job's names
	input   []byte            // of a task that reads standard input; nil: not read yet
}

// Of finds the image that defines a command, by the session's settings, which errSettings
// says were not all read; false when the local compiler does.
func (pins *Pins) Of(s *session.Session, set session.Settings, errSettings error) (*Command, bool, error) {
	d, tool, ok := programOf(path.Base(s.Request.Args[0]))
	if !ok {
		return nil, false, nil
	}
	if errSettings != nil && set.MayPin {
		return nil, true, &reason.Failure{Text: errSettings.Error(), Hint: "mend it; CROSSCC_DISABLE=1 runs the local compiler", Status: reason.ExitBadWords}
	}
	if errSettings != nil || set.Pins.None() {
		return nil, false, nil // whoever does it locally says what is wrong
	}
	said := saidTarget(d, s.Request.Args)
	pin, ok := set.Pins.For(cmp.Or(said, machines[runtime.GOARCH])) // a bare name is this machine's
	return &Command{pins: pins, s: s, set: set, pin: pin, driver: d, tool: tool, said: said}, ok, nil
}

// prepare finds helpers, the image's compiler, and what the command is.
func (p *Command) prepare() error {
	if err := p.meet(); err != nil {
		return err
	}
	var err error
	p.task, err = task.ReadNamed(path.Base(p.s.Request.Args[0]), p.s.Request.Args[1:], p.reading())
	if err != nil {
		return p.cannot("%v", err)
	}
	if err := p.extraction(); err != nil {
		return err
	}
	for _, name := range []string{"GCC_EXEC_PREFIX", "COMPILER_PATH"} {
		if p.s.IsSet(name) {
			return p.cannot("%s names programs of this machine, and the image's are used", name)
		}
	}
	if err := p.speaks(); err != nil {
		return err
	}
	return p.unsaid()
}

// reading is what the words of the command are read with.
func (p *Command) reading() argv.Env {
	return argv.Env{
		Driver: p.driver, Family: p.tc.Family, Getenv: p.variable,
		ReadFile: func(name string) ([]byte, error) { return p.s.Files.ReadFile(p.s.Abs(name), session.MaxWords) },
	}
}

// unsaid refuses what linkers and their kin take from their environment, which stays here.
func (p *Command) unsaid() error {
	if p.task.Kind != task.Link && p.task.Kind != task.ToolRun {
		return nil
	}
	for _, name := range []string{"GNUTARGET", "LDEMULATION"} {
		if p.s.Getenv(name) != "" {
			return p.cannot("%s says what kind of file is meant: say it by an option", name)
		}
	}
	return nil
}

// meet finds the helpers that have the image, and the compiler in it.
func (p *Command) meet() (err error) {
	if p.helpers, err = p.imaged(); err != nil {
		return p.lost(err, "crossctl status; a helper serves an image that its configuration names, or that crossctl image add has added there")
	}
	return p.choose()
}

// variable is the environment for the words of a command. What is preloaded into a
// compiler here reaches none in an image.
func (p *Command) variable(key string) string {
	if key == "LD_PRELOAD" || key == "GLIBC_TUNABLES" || key == "GCC_ROOT" {
		return ""
	}
	return p.s.Getenv(key)
}

// A made is what a job of a command's gave.
type made struct {
	res     broker.Result
	outputs []argv.Output     // names of the command, by names of the job; the object last
	removed []string          // what the compiler takes away when it fails
	modes   map[string]uint32 // of outputs that have others than new files, by names of the job
}

// Do does the command and has the wrapper write what came of it. What can't be done is a
// reason.Failure: no local compiler stands in.
func (p *Command) Do() error {
	if err := p.prepare(); err != nil {
		return err
	}
	err := p.attempt()
	if f, ok := errors.AsType[*reason.Failure](err); ok && f.Lost && p.meet() == nil {
		err = p.attempt() // another helper may have come up meanwhile, and nothing else can be done
	}
	return err
}

// attempt does the command at the helpers that are known, and has the wrapper write what
// came of it.
func (p *Command) attempt() error {
	all, err := p.run()
	if err == nil {
		err = p.ownDeps(all)
	}
	if err != nil {
		return err
	}
	fin, blobs, targets := together(all)
	files, err := session.Carry(&fin, blobs, targets)
	defer session.CloseAll(files)
	if err != nil {
		return p.lost(err, "")
	}
	if n := len(files); n > local.MaxFiles {
		return p.cannot("what it makes are %d large files, at most %d can be handed over", n, local.MaxFiles)
	}
	wrote, err := p.s.Finish(p.s.Context(), fin, files...)
	if err != nil {
		return err
	}
	if wrote.Err != "" {
		return &reason.Failure{Text: wrote.Err, Status: reason.ExitGeneral}
	}
	for _, m := range all {
		p.pins.Counters.Remote(toolchains.Identical, m.res.Cached)
	}
	p.pins.Log.WithFields(logrus.Fields{"image": p.pin.String(), "task": p.task.Kind.String(), "helper": all[0].res.Helper, "exit": fin.Status >> 8}).Debug("job of an image's")
	return nil
}

// together is what all jobs made and said. The object comes first: the wrapper gives
// names in the reverse order, and make looks at the object's.
func together(all []made) (fin local.Finish, blobs []broker.Output, targets []local.Output) {
	status := 0
	for _, m := range all {
		fin.Stdout, fin.Stderr = append(fin.Stdout, m.res.Stdout...), append(fin.Stderr, m.res.Stderr...)
		status = max(status, m.res.ExitCode)
		for _, o := range slices.Backward(m.outputs) {
			i := slices.IndexFunc(m.res.Outputs, func(got broker.Output) bool { return got.Path == o.Job })
			if o.Name == "/dev/null" || i < 0 {
				continue
			}
			blobs = append(blobs, m.res.Outputs[i])
			targets = append(targets, local.Output{Path: o.Name, Keep: o.Kind != argv.Object, File: -1, Executable: m.res.Outputs[i].Executable, Mode: m.modes[o.Job]})
		}
		if m.res.ExitCode != 0 {
			fin.Remove = append(fin.Remove, m.removed...)
		}
	}
	fin.Status = status << 8
	return fin, blobs, targets
}

// cannot is a command that no image's toolchain is asked to do.
func (p *Command) cannot(format string, args ...any) error {
	return &reason.Failure{
		Text: "the toolchain is pinned (" + p.set.PinnedBy + "), and " + fmt.Sprintf(format, args...),
		Hint: "CROSSCC_DISABLE=1 runs the local compiler, which makes something else", Status: reason.ExitBadWords,
	}
}

// lost is a command that no helper did.
func (p *Command) lost(err error, hint string) error {
	if p.s.Gone() != nil {
		return p.s.Gone()
	}
	if _, ok := errors.AsType[*reason.Failure](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	r, refused := errors.AsType[*broker.Refusal](err)
	return &reason.Failure{
		Text: fmt.Sprintf("the toolchain is pinned (%s), and no helper can do this: %v", p.set.PinnedBy, err), Hint: hint, Status: reason.ExitNoHosts,
		Lost: !refused || r.Reason == fleet.ReasonLost,
	}
}
