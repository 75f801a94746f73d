package parts

import (
	"slices"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/diagnostics"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// asClang asks clang's driver what it would do, with `-###`, where it compiles and
// links in one command. It must have nothing to say (of words that neither the compiles
// nor the link have a use for it speaks once, and a part can't know), and for a source of
// each language it must say the same of the command as of the part: some versions
// compile otherwise where they link (-mrelax-all), or name other files.
func asClang(c *compile.Compile) error {
	if c.Toolchain.Family != argv.Clang || !c.Split.Links {
		return nil
	}
	whole, err := wouldRun(c, c.Session.Request.Args[1:])
	if err != nil {
		return err
	}
	steps := map[argv.Language]int{} // of each language: how many commands a source takes
	for _, part := range c.Split.Compiles {
		n, asked := steps[part.Language()]
		if !asked {
			alone, err := wouldRun(c, part.Words())
			if err != nil {
				return err
			}
			if n = len(alone); n > len(whole) || !sameCommands(whole[:n], alone) {
				return reason.Stay(broker.Reason(option.Link), "clang would compile %s otherwise than without a link", part.Source())
			}
			steps[part.Language()] = n
		}
		whole = whole[min(n, len(whole)):]
	}
	if len(whole) != 1 {
		return reason.Stay(broker.Reason(option.Link), "clang would run %d programs behind the compiles", len(whole))
	}
	return nil
}

// wouldRun are the commands that clang's driver would run for these words.
func wouldRun(c *compile.Compile, words []string) ([][]string, error) {
	asked := append([]string{"-###"}, words...)
	out, err := c.Session.RunAs(c.Session.Context(), c.Argv0, drivers.Program{Path: c.Program, Args: asked}, session.MaxWords)
	if err != nil {
		return nil, c.Failed(reason.Probe, "ask "+c.Program+" what it would run", err)
	}
	if out.Status != 0 || diagnostics.DriverSpeaks(c, out.Stderr) {
		return nil, reason.Stay(reason.Diagnostics, "the driver has something to say, and says it once for all sources")
	}
	return drivers.ReadReport(string(out.Stderr)).Commands, nil
}

// sameCommands compares commands but for the names of what they make.
func sameCommands(a, b [][]string) bool {
	return slices.EqualFunc(nameless(a), nameless(b), slices.Equal)
}

// nameless puts a number in the place of each file that a command makes, where a later
// one reads it as well.
func nameless(commands [][]string) [][]string {
	number := map[string]string{}
	var out [][]string
	for _, words := range commands {
		words = slices.Clone(words)
		for i, w := range words {
			if i > 0 && words[i-1] == "-o" {
				number[w] = string(rune('0' + len(number)))
			}
			if n, ok := number[w]; ok {
				words[i] = n
			}
		}
		out = append(out, words)
	}
	return out
}
