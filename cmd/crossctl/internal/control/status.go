package control

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// status is `crossctl status`.
func (c *control) status(cmd *cobra.Command, _ []string) error {
	s, err := c.currentStatus(cmd)
	if err != nil {
		return err
	}
	return c.page.Print(s, func(w io.Writer) { showStatus(w, s) })
}

// currentStatus asks the agent that runs; where none does all is zero.
func (c *control) currentStatus(cmd *cobra.Command) (monitor.Status, error) {
	s := emptyStatus()
	data, err := c.ask(cmd.Context(), "status", nil, running)
	switch {
	case errors.Is(err, errNoAgent):
		s.Notes = c.absent("no agent runs; the next build starts one")
		return s, nil
	case errors.Is(err, errReplaced):
		s.Notes = c.absent(errReplaced.Error())
		return s, nil
	case err != nil:
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("status of the agent: %w", err)
	}
	return s, nil
}

// absent are the notes of a status without an agent: an agent would say what is
// wrong with the host list.
func (c *control) absent(why string) []string {
	notes := []string{why}
	if _, err := hosts(c.env.Environ); err != nil {
		notes = append(notes, err.Error())
	}
	return notes
}

// emptyStatus has its maps and lists, so that JSON shows {} and [] for them.
func emptyStatus() monitor.Status {
	return monitor.Status{
		LocalReasons: map[broker.Reason]uint64{},
		Preprocessed: map[broker.Reason]uint64{},
		Helpers:      []monitor.HelperStatus{},
	}
}

// showStatus lays a status out for people.
func showStatus(w io.Writer, s monitor.Status) {
	showCounts(w, s)
	if len(s.Helpers) > 0 {
		fmt.Fprintln(w)
		showHelpers(w, s.Helpers)
	}
	showImages(w, s.Helpers)
	showPacks(w, s.Helpers)
	if len(s.Distrusted) > 0 {
		fmt.Fprintln(w)
		showDistrusted(w, s.Distrusted)
	}
	if len(s.LocalReasons) > 0 {
		fmt.Fprintln(w)
		showReasons(w, "LOCAL BECAUSE OF", s.LocalReasons, s.LocalLast)
	}
	if len(s.Preprocessed) > 0 {
		fmt.Fprintln(w)
		showReasons(w, "NO TREE BECAUSE OF", s.Preprocessed, s.PreprocessedLast)
	}
	for i, n := range s.Notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "note: %s\n", words.Plain(n))
	}
}

func showCounts(w io.Writer, s monitor.Status) {
	agent := "none"
	if a := s.Agent; a.PID != 0 {
		agent = fmt.Sprintf("pid %d, build %s, up %s, %d of %d local slots held", a.PID, words.Cell(a.Build),
			time.Duration(a.Uptime)*time.Second, a.LocalRunning, a.LocalSlots)
	}
	j, m := s.Jobs, s.Matches
	rows := [][]string{
		{"agent", agent},
		{"jobs", fmt.Sprintf("%d remote, %d cached, %d local, %d failed", j.Remote, j.Cached, j.Local, j.Failed)},
		{"matches", fmt.Sprintf("%d identical, %d calibrated, %d lines", m.Identical, m.Calibrated, m.Lines)},
	}
	if j.Verified+j.Differed > 0 {
		rows = append(rows, []string{"verified", fmt.Sprintf("%d the same, %d not", j.Verified, j.Differed)})
	}
	if k := s.Calibrations; k != (monitor.Calibrations{}) {
		text := fmt.Sprintf("%d proven, %d refused, %d failed", k.Proven, k.Refused, k.Failed)
		if k.Running {
			text += ", one runs"
		}
		rows = append(rows, []string{"calibrations", text})
	}
	words.Table(w, rows)
}

// showDistrusted lists what crossctl verify --clear would clear.
func showDistrusted(w io.Writer, list []monitor.Distrusted) {
	rows := [][]string{{"DISTRUSTED", "SINCE", "DIFFERS", "COMMAND"}}
	for _, d := range list {
		rows = append(rows, []string{words.Cell(d.Helper), d.Time.Format(time.DateTime), words.Cell(d.Differs), words.Cell(strings.Join(d.Command, " "))})
	}
	words.Table(w, rows)
}

func showHelpers(w io.Writer, helpers []monitor.HelperStatus) {
	rows := [][]string{{"HELPER", "STATE", "SLOTS", "JOBS", "VERSION", "SANDBOX", "ERROR"}}
	for _, h := range helpers {
		rows = append(rows, []string{words.Cell(h.Address), words.Cell(h.State), strconv.Itoa(h.Slots), strconv.Itoa(h.Jobs),
			words.Cell(h.Version), words.Cell(h.Sandbox), words.Cell(h.Error)})
	}
	words.Table(w, rows)
}

// showImages lists the images of helpers, those that are not ready with why.
func showImages(w io.Writer, helpers []monitor.HelperStatus) {
	rows := [][]string{{"IMAGE", "STATE", "TOOLCHAINS", "HELPER", "DETAIL"}}
	for _, h := range helpers {
		for _, i := range h.Images {
			rows = append(rows, []string{words.Cell(shortImage(i.Name)), words.Cell(i.State), strconv.Itoa(i.Toolchains), words.Cell(h.Address), words.Cell(i.Detail)})
		}
	}
	if len(rows) > 1 {
		fmt.Fprintln(w)
		words.Table(w, rows)
	}
}

// showPacks lists the compilers that were sent to helpers.
func showPacks(w io.Writer, helpers []monitor.HelperStatus) {
	rows := [][]string{{"HELPER", "COMPILER OF THIS MACHINE"}}
	for _, h := range helpers {
		if h.Pack != "" {
			rows = append(rows, []string{words.Cell(h.Address), words.Cell(h.Pack)})
		}
	}
	if len(rows) > 1 {
		fmt.Fprintln(w)
		words.Table(w, rows)
	}
}

// showReasons lists reasons, the most frequent first, with what was said of the
// last job of each.
func showReasons(w io.Writer, title string, reasons map[broker.Reason]uint64, last map[broker.Reason]string) {
	names := slices.SortedFunc(maps.Keys(reasons), func(a, b broker.Reason) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	})
	rows := [][]string{{title, "JOBS", "THE LAST ONE"}}
	for _, n := range names {
		rows = append(rows, []string{words.Cell(string(n)), strconv.FormatUint(reasons[n], 10), words.Cell(last[n])})
	}
	words.Table(w, rows)
}
