package control

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// stopped is what `crossctl stop --json` prints.
type stopped struct {
	Stopped bool `json:"stopped"` // false where no agent ran
}

// stop is `crossctl stop`.
func (c *control) stop(cmd *cobra.Command, _ []string) error {
	_, err := c.ask(cmd.Context(), "stop", nil, running)
	s := stopped{Stopped: err == nil || errors.Is(err, errReplaced)}
	if !s.Stopped && !errors.Is(err, errNoAgent) {
		return err
	}
	return c.page.Print(s, func(w io.Writer) {
		if s.Stopped {
			fmt.Fprintln(w, "the agent finishes its jobs and goes")
			return
		}
		fmt.Fprintln(w, "no agent runs")
	})
}
