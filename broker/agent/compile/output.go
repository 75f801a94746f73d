package compile

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
	"github.com/crosscc/crosscc/toolchains/triple"
)

// Names of a job's outputs, the same for every client, so that they share
// results whatever their own files are called.
const (
	objectName = "out"
	DepsName   = "deps.d" // where the command makes dependencies
)

// Object is the name that the job has for what the command makes.
func (c *Compile) Object() string { return objectName + path.Ext(c.Cmd.Output()) }

// Outputs are the files that the command makes, the object last.
func (c *Compile) Outputs() []argv.Output { return c.Cmd.Outputs(c.Object(), DepsName) }

// Output is the one with a name of a job's.
func (c *Compile) Output(job string) (argv.Output, bool) {
	for _, o := range c.Outputs() {
		if o.Job == job {
			return o, true
		}
	}
	return argv.Output{}, false
}

// CheckTargets keeps jobs at home one of whose outputs has a name that is taken
// by something that the wrapper should not write over.
func (c *Compile) CheckTargets() error {
	names := map[string]bool{}
	for _, o := range c.Outputs() {
		if name := c.Session.Abs(o.Name); names[name] {
			return reason.Stay(reason.Target, "%s is two outputs", o.Name)
		}
		names[c.Session.Abs(o.Name)] = true
		if err := c.CheckTarget(o.Name); err != nil {
			return err
		}
	}
	return nil
}

// CheckTarget is CheckTargets for one name.
func (c *Compile) CheckTarget(name string) error {
	st, err := c.Session.Files.Lstat(c.Session.Abs(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return reason.Stay(reason.Target, "output %s: %v", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return reason.Stay(reason.Target, "output %s is not a regular file", name)
	}
	src, err := c.Session.Files.Stat(c.Session.Abs(c.Cmd.Source()))
	if err == nil && src.Dev == st.Dev && src.Ino == st.Ino {
		return reason.Stay(reason.Target, "output %s is the source", name)
	}
	return nil
}

// CheckOutputs refuses what can't be the job's outputs, whoever made them. A
// compile that fails may leave its dependencies.
func (c *Compile) CheckOutputs(j *broker.Job, res broker.Result) error {
	for i, o := range res.Outputs {
		if slices.ContainsFunc(res.Outputs[:i], func(before broker.Output) bool { return before.Path == o.Path }) {
			return broker.Refusef(reason.BadOutput, "returned %s twice", o.Path)
		}
		made, ok := c.Output(o.Path)
		if !ok || !slices.Contains(j.Outputs, o.Path) || res.ExitCode != 0 && made.Kind != argv.Dependencies && made.Kind != argv.Extra {
			return broker.Refusef(reason.BadOutput, "returned %s, which was not asked for", o.Path)
		}
		if o.Path != c.Object() {
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
func (c *Compile) checkObject(o broker.Output) error {
	if c.Cmd.Assembly() || c.Cmd.LTO() && c.Toolchain.Family == argv.Clang {
		return nil // text, which the assembler at home will read, or bitcode
	}
	t, err := triple.Parse(c.Toolchain.Target)
	if err != nil {
		return err
	}
	m, ok := t.Machine(c.Cmd.TargetWords())
	if !ok {
		return fmt.Errorf("objects for %s are of no known kind", c.Toolchain.Target)
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

// MakesMore reports whether the command makes more than an object and dependencies.
func (c *Compile) MakesMore() bool {
	return slices.ContainsFunc(c.Outputs(), func(o argv.Output) bool { return o.Kind == argv.Extra })
}

// WrittenIn are the directories of outputs whose names the object says: at a helper
// they are written there.
func (c *Compile) WrittenIn() []string {
	if len(c.Cmd.NameWords("/")) == 0 {
		return nil
	}
	var dirs []string
	for _, o := range c.Outputs() {
		if dir, _ := path.Split(o.Name); !slices.Contains(dirs, dir) { // not cleaned: links may be on the way
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
