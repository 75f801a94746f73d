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
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// allCompiles is how many compiles a build has at most that says no number.
const allCompiles = 1 << 30

func (c *control) verifyFlags(f *pflag.FlagSet) { f.BoolVar(&c.undo, "clear", false, "") }

// verify is `crossctl verify`.
func (c *control) verify(cmd *cobra.Command, args []string) error {
	asked, build := args, []string(nil)
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		asked, build = args[:at], args[at:]
	}
	if c.undo {
		if len(asked) > 1 || len(build) > 0 {
			return words.Misused("verify", "verify --clear takes a helper's address at most")
		}
		return c.verified(cmd, append([]string{"clear"}, asked...), started)
	}
	n := 0
	if len(asked) > 0 {
		var err error
		if n, err = strconv.Atoi(asked[0]); err != nil || n < 1 || n > allCompiles {
			return words.Misused("verify", "verify: %q is not a number of compiles", asked[0])
		}
	}
	switch {
	case len(asked) > 1:
		return words.Misused("verify", "verify: write -- before the command of the build: %q", asked[1])
	case len(build) == 0 && n == 0:
		return c.verified(cmd, nil, running)
	case len(build) == 0:
		return c.verified(cmd, []string{"next", asked[0]}, started)
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
func (c *control) build(cmd *cobra.Command, line []string) error {
	run := exec.CommandContext(cmd.Context(), line[0], line[1:]...)
	run.Stdin, run.Stdout, run.Stderr, run.Env = os.Stdin, c.env.Stdout, c.env.Stderr, c.env.Environ
	if err := run.Run(); err != nil {
		return &words.Fault{Text: fmt.Sprintf("%s: %v", line[0], err), Err: err}
	}
	return nil
}

// verified asks the agent and shows what it says.
func (c *control) verified(cmd *cobra.Command, asked []string, how reach) error {
	data, err := c.ask(cmd.Context(), "verify", asked, how)
	if errors.Is(err, errNoAgent) {
		return &words.Fault{Text: "no agent runs, and so nothing was compared"}
	}
	if err != nil {
		return err
	}
	var v monitor.Verification
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("verification of the agent: %w", err)
	}
	if err := c.page.Print(v, func(w io.Writer) { showVerification(w, v) }); err != nil {
		return err
	}
	if v.Differed > 0 && !c.undo {
		return &words.Fault{Text: fmt.Sprintf("%d compiles differed", v.Differed)}
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
	words.Table(w, rows)
	for _, f := range v.Findings {
		fmt.Fprintf(w, "\nhelper %s: %s\n  %s\n", words.Plain(f.Helper), words.Plain(f.Differs), words.Plain(words.Quoted(f.Command)))
	}
	if len(v.Distrusted) > 0 {
		fmt.Fprintln(w)
		showDistrusted(w, v.Distrusted)
	}
}
