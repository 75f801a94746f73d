package control

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// someCommand wants the command that explain is to explain.
func someCommand(_ *cobra.Command, args []string) error {
	if len(args) == 0 || args[0] == "" {
		return words.Misused("explain", "explain: no command given")
	}
	return nil
}

func (c *control) explainFlags(f *pflag.FlagSet) { f.BoolVar(&c.key, "key", false, "") }

// explain is `crossctl explain -- COMMAND...`.
func (c *control) explain(cmd *cobra.Command, args []string) error {
	if c.key {
		return c.explainKey(cmd, args)
	}
	data, err := c.ask(cmd.Context(), "explain", unwrapped(args), started)
	if err != nil {
		return err
	}
	var e monitor.Explanation
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("explanation of the agent: %w", err)
	}
	return c.page.Print(e, func(w io.Writer) { showExplanation(w, e) })
}

// explainKey is `crossctl explain --key -- COMMAND...`.
func (c *control) explainKey(cmd *cobra.Command, args []string) error {
	data, err := c.ask(cmd.Context(), "key", unwrapped(args), started)
	if err != nil {
		return err
	}
	var k monitor.Key
	if err := json.Unmarshal(data, &k); err != nil {
		return fmt.Errorf("key of the agent: %w", err)
	}
	return c.page.Print(k, func(w io.Writer) { fmt.Fprint(w, k.Text) })
}

// showExplanation lays an explanation out for people.
func showExplanation(w io.Writer, e monitor.Explanation) {
	rows := [][]string{
		{"verdict", verdict(e)},
		{"reason", string(e.Reason)},
		{"image", e.Image},
		{"ignored", e.Ignored},
		{"compiler", e.Compiler},
		{"identity", e.Identity},
		{"form", formOf(e)},
		{"no tree", e.NoTreeDetail},
		{"native", words.Quoted(e.Native)},
		{"output", e.Output},
		{"command", words.Quoted(e.Command)},
	}
	for _, h := range e.Helpers {
		text := h.Address + " " + h.Match
		if h.Reason != "" {
			text += ": " + h.Reason
		}
		if len(h.Avoid) > 0 {
			text += ", but for sources that name " + strings.Join(h.Avoid, ", ")
		}
		rows = append(rows, []string{"helper", text})
	}
	rows = slices.DeleteFunc(rows, func(r []string) bool { return r[1] == "" })
	for _, r := range rows {
		r[1] = words.Plain(r[1])
	}
	words.Table(w, rows)
}

// formOf says how the source would travel.
func formOf(e monitor.Explanation) string {
	if e.Files > 0 {
		return fmt.Sprintf("%s of %d files", e.Form, e.Files)
	}
	return e.Form
}

// verdict says where the command would be compiled, and why.
func verdict(e monitor.Explanation) string {
	if e.Verdict != "remote" {
		if e.Detail == "" {
			return e.Verdict
		}
		return e.Verdict + ": " + e.Detail
	}
	if e.Image != "" {
		return "remote: an image defines it"
	}
	for _, h := range e.Helpers {
		if h.Match != "none" && e.Detail != "" {
			return "remote: a helper has the compiler; what follows is " + e.Detail
		}
		if h.Match != "none" {
			return "remote: a helper has the compiler"
		}
	}
	return "local: it could go, but no helper has the compiler"
}
