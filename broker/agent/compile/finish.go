package compile

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
)

// Finish puts a result into the words of the wrapper. The files are the
// caller's to close.
func (c *Compile) Finish(res broker.Result) (local.Finish, []*os.File, error) {
	fin := local.Finish{Stdout: res.Stdout, Stderr: res.Stderr, Status: res.ExitCode << 8}
	if res.ExitCode != 0 {
		fin.Remove = c.Removed(res)
	}
	// The object first: the wrapper gives names in the reverse order, and make looks at
	// the object's.
	outputs := slices.Clone(res.Outputs)
	if i := slices.IndexFunc(outputs, func(o broker.Output) bool { return o.Path == c.Object() }); i > 0 {
		outputs[0], outputs[i] = outputs[i], outputs[0]
	}
	targets := make([]local.Output, len(outputs))
	for i, o := range outputs {
		targets[i] = c.Target(o)
	}
	files, err := session.Carry(&fin, outputs, targets)
	return fin, files, err
}

// Removed are the files that a compiler takes away when it fails: gcc what it had
// begun to write itself, clang all that it would have written.
func (c *Compile) Removed(res broker.Result) []string {
	if c.Toolchain.Family != argv.Clang {
		if c.Cmd.Assembly() || slices.Contains(c.Cmd.Words(), "-pipe") {
			return []string{c.Cmd.Output()}
		}
		return nil
	}
	list := []string{c.Cmd.Output()}
	if d, ok := c.Cmd.Deps(); ok && len(res.Outputs) == 0 {
		list = append(list, d.File)
	}
	return list
}

// Target is where an output of a job goes. Compilers write all but objects that hold
// something over a file that is there; clang unlinks its assembler text as well, but for
// nothing that its assembler makes.
func (c *Compile) Target(o broker.Output) local.Output {
	made, _ := c.Output(o.Path) // checkOutputs has seen it
	keep := true
	switch made.Kind {
	case argv.AssemblerText:
		keep = c.Toolchain.Family == argv.GCC
	case argv.Extra:
		keep = !made.Fresh || c.isEmpty(made.Name)
	case argv.Object:
		keep = c.Toolchain.Family == argv.GCC && c.isEmpty(made.Name) || c.Toolchain.Family == argv.Clang && c.Cmd.Language().Assembles()
	}
	return local.Output{Path: made.Name, Keep: keep, File: -1}
}

// isEmpty reports whether a file is there with nothing in it, as mktemp makes them: the
// assembler writes over such a one, whose mode stays (bfd_open_file in BFD's cache.c).
func (c *Compile) isEmpty(name string) bool {
	st, err := c.Session.Files.Lstat(c.Session.Abs(name))
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0
}
