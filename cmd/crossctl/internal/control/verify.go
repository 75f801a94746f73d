package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crosscc/crosscc/broker/monitor"
)

// allCompiles is how many compiles a build has at most that says no number.
const allCompiles = 1 << 30

func (c *control) verifyFlags(f *pflag.FlagSet) { f.BoolVar(&c.undo, "clear", false, "") }

// verify is `crossctl verify`.
func (c *control) verify(cmd *cobra.Command, args []string) error {
	words, build := args, []string(nil)
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		words, build = args[:at], args[at:]
	}
	if c.undo {
		if len(words) > 1 || len(build) > 0 {
			return misused("verify", "verify --clear takes a helper's address at most")
		}
		return c.verified(cmd, append([]string{"clear"}, words...), started)
	}
	n := 0
	if len(words) > 0 {
		var err error
		if n, err = strconv.Atoi(words[0]); err != nil || n < 1 || n > allCompiles {
			return misused("verify", "verify: %q is not a number of compiles", words[0])
		}
	}
	switch {
	case len(words) > 1:
		return misused("verify", "verify: write -- before the command of the build: %q", words[1])
	case len(build) == 0 && n == 0:
		return c.verified(cmd, nil, running)
	case len(build) == 0:
		return c.verified(cmd, []string{"next", words[0]}, started)
	case n == 0:
		n = allCompiles
	}
	if _, err := c.ask(cmd.Context(), "verify", []string{"next", strconv.Itoa(n)}, started); err != nil {
		return err
	}
	failed := c.build(cmd, build)
	return errors.Join(c.verified(cmd, []string{"end"}, running), failed)
}

// build runs a build with crossctl's own streams.
func (c *control) build(cmd *cobra.Command, words []string) error {
	run := exec.CommandContext(cmd.Context(), words[0], words[1:]...)
	run.Stdin, run.Stdout, run.Stderr, run.Env = os.Stdin, c.env.Stdout, c.env.Stderr, c.env.Environ
	if err := run.Run(); err != nil {
		return &fault{msg: fmt.Sprintf("%s: %v", words[0], err), status: exitFinding, err: err}
	}
	return nil
}

// verified asks the agent and shows what it says.
func (c *control) verified(cmd *cobra.Command, words []string, how reach) error {
	data, err := c.ask(cmd.Context(), "verify", words, how)
	if errors.Is(err, errNoAgent) {
		return &fault{msg: "no agent runs, and so nothing was compared", status: exitFinding}
	}
	if err != nil {
		return err
	}
	var v monitor.Verification
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("verification of the agent: %w", err)
	}
	if err := c.print(v, func(w io.Writer) { showVerification(w, v) }); err != nil {
		return err
	}
	if v.Differed > 0 && !c.undo {
		return &fault{msg: fmt.Sprintf("%d compiles differed", v.Differed), status: exitFinding}
	}
	return nil
}

// showVerification lays a report out for people.
func showVerification(w io.Writer, v monitor.Verification) {
	rows := [][]string{{"compared", fmt.Sprintf("%d the same, %d not", v.Same, v.Differed)}}
	if v.Unfinished > 0 {
		rows = append(rows, []string{"unfinished", fmt.Sprintf("%d: the local compile took more than 6 hours, or was killed", v.Unfinished)})
	}
	if v.Left > 0 && v.Left < allCompiles/2 {
		rows = append(rows, []string{"to come", fmt.Sprintf("the next %d that a helper compiles", v.Left)})
	}
	if v.Cleared > 0 {
		rows = append(rows, []string{"cleared", strconv.Itoa(v.Cleared)})
	}
	table(w, rows)
	for _, f := range v.Findings {
		fmt.Fprintf(w, "\nhelper %s: %s\n  %s\n", plain(f.Helper), plain(f.Differs), plain(quoted(f.Command)))
	}
	if len(v.Distrusted) > 0 {
		fmt.Fprintln(w)
		showDistrusted(w, v.Distrusted)
	}
}
