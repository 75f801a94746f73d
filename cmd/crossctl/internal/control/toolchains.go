package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// toolchains is `crossctl toolchains [HELPER]`.
func (c *control) toolchains(cmd *cobra.Command, args []string) error {
	helpers, err := c.helpers(cmd.Context())
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if helpers, err = only1(helpers, args[0]); err != nil {
			return err
		}
	}
	lines := toolchainLines(helpers)
	if err := c.page.Print(helpers, func(w io.Writer) { showToolchains(w, lines) }); err != nil {
		return err
	}
	for _, h := range helpers {
		if len(h.Toolchains) == 0 {
			c.page.Note(without(h))
		}
	}
	if len(lines) == 0 {
		return words.ErrFinding
	}
	return nil
}

// helpers asks the agent for its helpers and their toolchains.
func (c *control) helpers(ctx context.Context) ([]monitor.HelperStatus, error) {
	data, err := c.ask(ctx, "helpers", nil, started)
	if err != nil {
		return nil, err
	}
	helpers := []monitor.HelperStatus{}
	if err := json.Unmarshal(data, &helpers); err != nil {
		return nil, fmt.Errorf("helpers of the agent: %w", err)
	}
	return helpers, nil
}

// only1 is the helper at address.
func only1(helpers []monitor.HelperStatus, address string) ([]monitor.HelperStatus, error) {
	var known []string
	for _, h := range helpers {
		if h.Address == address {
			return []monitor.HelperStatus{h}, nil
		}
		known = append(known, h.Address)
	}
	f := words.Misused("toolchains", "no helper has the address %q", address)
	if len(known) > 0 {
		f.Hints = []string{"helpers are " + strings.Join(known, ", ")}
	}
	return nil, f
}

// without says why a helper shows no toolchain.
func without(h monitor.HelperStatus) string {
	text := fmt.Sprintf("helper %s is %s", h.Address, h.State)
	if h.Error != "" {
		return text + ": " + h.Error
	}
	return text + " and has no toolchain"
}

// A toolchainLine is one row of the table.
type toolchainLine struct {
	helper string
	monitor.ToolchainStatus
}

// toolchainLines are the toolchains of all helpers, sorted as the table is.
func toolchainLines(helpers []monitor.HelperStatus) []toolchainLine {
	var lines []toolchainLine
	for _, h := range helpers {
		for _, t := range h.Toolchains {
			lines = append(lines, toolchainLine{h.Address, t})
		}
	}
	slices.SortStableFunc(lines, func(a, b toolchainLine) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Family, b.Family),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.helper, b.helper), cmp.Compare(a.Path, b.Path))
	})
	return lines
}

func showToolchains(w io.Writer, lines []toolchainLine) {
	if len(lines) == 0 {
		return
	}
	rows := [][]string{{"TARGET", "COMPILER", "VERSION", "PACKAGE", "LANGUAGES", "PATH", "HELPER"}}
	imaged := slices.ContainsFunc(lines, func(l toolchainLine) bool { return l.Image != "" })
	if imaged {
		rows[0] = append(rows[0], "IMAGE")
	}
	for _, l := range lines {
		row := []string{targets(l.ToolchainStatus), words.Cell(l.Family), words.Cell(l.Version), words.Cell(l.Package),
			words.Cell(strings.Join(l.Languages, ",")), words.Cell(l.Path), words.Cell(l.helper)}
		if imaged {
			row = append(row, words.Cell(shortImage(l.Image)))
		}
		rows = append(rows, row)
	}
	words.Table(w, rows)
}

// shortImage is an image's name with as much of its digest as people compare.
func shortImage(name string) string {
	const digits = 12
	before, sum, ok := strings.Cut(name, "sha256:")
	if !ok || len(sum) < digits {
		return name
	}
	return before + "sha256:" + sum[:digits]
}

// targets is the default target, and how many more a clang has.
func targets(t monitor.ToolchainStatus) string {
	more := 0
	for _, name := range t.Targets {
		if name != t.Target {
			more++
		}
	}
	if more == 0 {
		return words.Cell(t.Target)
	}
	return fmt.Sprintf("%s +%d", words.Cell(t.Target), more)
}
