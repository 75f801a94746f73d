package control

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// A nativeAsk is the command line of `crossctl native`. Its own options may stand
// anywhere among the compiler's: no compiler has one of those names.
type nativeAsk struct {
	json, help, vertical, noSizes bool
	compiler                      string
	flags                         []string
}

func nativeAskOf(args []string) (a nativeAsk) {
	for _, w := range args {
		switch {
		case w == "--json":
			a.json = true
		case w == "--help" || w == "-h":
			a.help = true
		case w == "--vertical":
			a.vertical = true
		case w == "--no-cache-sizes":
			a.noSizes = true
		case w == "--":
		case a.compiler == "" && !strings.HasPrefix(w, "-"):
			a.compiler = w
		default:
			a.flags = append(a.flags, w)
		}
	}
	if a.compiler == "" {
		a.compiler = "gcc"
	}
	return a
}

// command is a compile for the agent to look at; nothing is compiled.
func (a nativeAsk) command() []string {
	words := append([]string{a.compiler}, a.flags...)
	if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "=native") }) {
		words = append(words, "-march=native")
	}
	return append(words, "-c", "native.c")
}

// native is `crossctl native [COMPILER] [FLAGS...]`.
func (c *control) native(cmd *cobra.Command, args []string) error {
	ask := nativeAskOf(args)
	if ask.help {
		return cmd.Help()
	}
	c.page.JSON = ask.json
	data, err := c.ask(cmd.Context(), "native", unwrapped(ask.command()), started)
	if err != nil {
		return err
	}
	var n monitor.Native
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("answer of the agent: %w", err)
	}
	if ask.noSizes {
		n.Flags = slices.DeleteFunc(n.Flags, func(w string) bool { return strings.HasPrefix(w, "--param=") && strings.Contains(w, "-cache-") })
	}
	return c.page.Print(n, func(w io.Writer) {
		if !ask.vertical {
			fmt.Fprintln(w, words.Quoted(n.Flags))
			return
		}
		for _, f := range n.Flags {
			fmt.Fprintln(w, words.QuoteWord(f))
		}
	})
}
