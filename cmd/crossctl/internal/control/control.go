// Package control is crossctl as a value: Main takes the command line and the
// process's surroundings, and returns the exit status.
//
// A newcomer starts with commands.go, the table of command lines, and words.go,
// which owns what people see. Each command that is built has a file of its own;
// agent.go is how they reach the agent. What doctor looks at is package doctor.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Env is what crossctl has of its process.
type Env struct {
	Stdout, Stderr io.Writer
	// Environ is the environment as K=V words.
	Environ []string
	// Executable is the path of crossctl's program: the others are looked for
	// beside it. Empty: only on PATH.
	Executable string
}

// Main runs one command line, args without the program, and returns the exit
// status: 0 well, 1 a finding, 2 usage. It never calls os.Exit.
func Main(ctx context.Context, env Env, args []string) (exit int) {
	c := &control{env: env}
	root := c.root()
	// cobra takes os.Args where args is nil.
	root.SetArgs(append([]string{}, args...))
	err := root.ExecuteContext(ctx)
	if werr := c.flush(); werr != nil {
		return report(env.Stderr, werr)
	}
	return report(env.Stderr, err)
}

// control is one run of crossctl.
type control struct {
	env    Env
	json   bool         // --json
	key    bool         // explain --key
	undo   bool         // verify --clear
	output string       // pack -o
	images imageOptions // image
	out    bytes.Buffer // what goes to stdout, at once and only at the end
}

// flush writes what was asked for. A reader that went away or a full disk is
// an error, so that no script takes half an answer for a whole one.
func (c *control) flush() error {
	if _, err := c.env.Stdout.Write(c.out.Bytes()); err != nil {
		return fmt.Errorf("write stdout: %w", err)
	}
	return nil
}

// print shows v as JSON, or as show lays it out.
func (c *control) print(v any, show func(io.Writer)) error {
	if !c.json {
		show(&c.out)
		return nil
	}
	enc := json.NewEncoder(&c.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// only is the error of operands beyond the first n.
func only(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return misused(cmd.Name(), "%s: unexpected operand %q", cmd.Name(), args[n])
		}
		return nil
	}
}
