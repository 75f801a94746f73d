// Package control is crossctl as a value: Main takes the command line and the
// process's surroundings, and returns the exit status.
//
// A newcomer starts with commands.go, the table of command lines, and package
// words, which owns what people see. Each command that is built has a file of its
// own; agent.go is how they reach the agent. What doctor looks at is package doctor.
package control

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/crosscc/crosscc/cmd/crossctl/internal/image"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
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
	c := &control{env: env, page: words.Page{Aside: env.Stderr}}
	c.images = image.Command{Environ: env.Environ, Page: &c.page}
	c.packs = image.Pack{Environ: env.Environ, Executable: env.Executable, Page: &c.page}
	root := c.root()
	// cobra takes os.Args where args is nil.
	root.SetArgs(append([]string{}, args...))
	err := root.ExecuteContext(ctx)
	if werr := c.page.Flush(env.Stdout); werr != nil {
		return words.Report(env.Stderr, werr)
	}
	return words.Report(env.Stderr, err)
}

// control is one run of crossctl.
type control struct {
	env    Env
	page   words.Page
	key    bool // explain --key
	undo   bool // verify --clear
	images image.Command
	packs  image.Pack
}

// only is the error of operands beyond the first n.
func only(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return words.Misused(cmd.Name(), "%s: unexpected operand %q", cmd.Name(), args[n])
		}
		return nil
	}
}

// image is `crossctl image COMMAND`.
func (c *control) image(cmd *cobra.Command, args []string) error {
	return c.images.Run(cmd.Context(), args)
}

// pack is `crossctl pack`.
func (c *control) pack(cmd *cobra.Command, args []string) error {
	return c.packs.Run(cmd.Context(), args)
}
