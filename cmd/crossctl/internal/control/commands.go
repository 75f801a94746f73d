package control

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/image"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// A row is one command line of crossctl.
type row struct {
	use  string // as in "usage: crossctl USE"; its first word is the name
	help string // the whole text of --help; "" where it is not built yet
	will string // what it will do; "" where it is built
	args cobra.PositionalArgs
	// foreign says that words after the first operand are another program's,
	// dashes and all.
	foreign bool
	// raw says that run reads its words itself.
	raw   bool
	flags func(*pflag.FlagSet) // of its own; nil: none
	run   func(cmd *cobra.Command, args []string) error
}

// rows are the command lines of design section 15, in its order.
func (c *control) rows() []row {
	return []row{
		{use: "status", help: statusHelp, args: only(0), run: c.status},
		{use: "top", will: "show helpers, slots and jobs live"},
		{use: "doctor", help: doctorHelp, args: only(0), run: c.doctor},
		{use: "explain -- COMMAND...", help: explainHelp, args: someCommand, foreign: true, run: c.explain, flags: c.explainFlags},
		{use: "toolchains [HELPER]", help: toolchainsHelp, args: only(1), run: c.toolchains},
		{use: "native [COMPILER] [FLAGS...]", help: nativeHelp, raw: true, run: c.native},
		{use: "verify [N] [-- BUILD...]", help: verifyHelp, run: c.verify, flags: c.verifyFlags},
		{use: "hosts [ARGS...]", will: "list, add and remove helpers"},
		{use: "slots", will: "show who holds the local slots"},
		{use: "cache [ARGS...]", will: "show and trim the store"},
		{use: "image COMMAND [IMAGE...]", help: image.Help, run: c.image, flags: c.images.Flags},
		{use: "pack COMPILER... -o FILE", help: image.PackHelp, run: c.pack, flags: c.packs.Flags},
		{use: "ca [ARGS...]", will: "keep the certificates of a fleet"},
		{use: "invite", will: "let another machine join"},
		{use: "join", will: "join a fleet by an invitation"},
		{use: "leave", will: "leave a fleet"},
		{use: "drain", will: "let a helper finish its jobs and take no more"},
		{use: "setup", will: "make links and services for this machine"},
		{use: "dashboard", will: "open the dashboard"},
		{use: "logs", will: "show the agent's log"},
		{use: "stop", help: stopHelp, args: only(0), run: c.stop},
	}
}

// root is the tree of commands. cobra parses; what is printed is ours.
func (c *control) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "crossctl",
		Version:           local.BuildID(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              knownCommand,
		RunE:              c.bare,

		SuggestionsMinimumDistance: 2,
	}
	root.SetOut(&c.page)
	root.SetErr(c.env.Stderr)
	root.SetVersionTemplate("crossctl {{.Version}}\n")
	root.PersistentFlags().BoolVar(&c.page.JSON, "json", false, "")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagFault(cmd, err) })
	root.SetHelpFunc(func(*cobra.Command, []string) { fmt.Fprint(&c.page, usage) })
	for _, r := range c.rows() {
		root.AddCommand(c.command(r))
	}
	root.SetHelpCommand(c.helpCommand(root))
	return root
}

// command is the cobra command of one row.
func (c *control) command(r row) *cobra.Command {
	cmd := &cobra.Command{Use: r.use, Args: r.args, RunE: r.run}
	text := r.help
	if r.run == nil {
		// Whatever follows parses: its own options come with the command.
		cmd.DisableFlagParsing = true
		cmd.RunE = parsed
		text = unbuiltHelp(r)
	}
	cmd.DisableFlagParsing = cmd.DisableFlagParsing || r.raw
	cmd.Flags().SetInterspersed(!r.foreign)
	if r.flags != nil {
		r.flags(cmd.Flags())
	}
	cmd.SetHelpFunc(func(*cobra.Command, []string) { fmt.Fprint(&c.page, text) })
	return cmd
}

// parsed is what a command does that only parses yet.
func parsed(cmd *cobra.Command, args []string) error {
	for _, a := range args {
		if a == "--" {
			break
		}
		if a == "--help" || a == "-h" {
			return cmd.Help()
		}
	}
	return unbuilt(cmd.Name())
}

// helpCommand is `crossctl help [COMMAND]`.
func (c *control) helpCommand(root *cobra.Command) *cobra.Command {
	cmd := c.command(row{use: "help [COMMAND]", help: helpHelp, args: only(1), run: func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return root.Help()
		}
		for _, sub := range root.Commands() {
			if sub.Name() == args[0] {
				return sub.Help()
			}
		}
		return noCommand(root, args[0])
	}})
	return cmd
}

// bare is crossctl without a command.
func (c *control) bare(*cobra.Command, []string) error {
	fmt.Fprint(c.env.Stderr, usage)
	return words.Misused("", "no command given")
}

// knownCommand says that the first word, which no command has as its name, is
// no command.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return noCommand(root, args[0])
}

func noCommand(root *cobra.Command, name string) error {
	f := words.Misused("", "unknown command %q", name)
	if name == "" {
		return f // anything begins with it
	}
	for _, s := range root.SuggestionsFor(name) {
		f.Hints = append(f.Hints, "did you mean `crossctl "+s+"`?")
	}
	return f
}

// flagFault is what pflag says of an option, with where to look.
func flagFault(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() {
		return words.Misused("", "%v", err)
	}
	return words.Misused(cmd.Name(), "%s: %v", cmd.Name(), err)
}
