package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// printTable is what the comparison ends with.
func printTable(w io.Writer, rows []row) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "client\tagent\tobjects\tremote\tlocal\tsame but .comment\tsame bytes\tits own gcc\tcrosscc\tratio\tits processors\tcrosscc\tratio")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f s\t%.1f s\t%.1f\t%.1f s\t%.1f s\t%.1f\n", r.arch, r.agent, r.objects,
			r.status.Jobs.Remote, r.status.Jobs.Local, r.same, r.equal, r.alone.Time.Seconds(), r.took.Time.Seconds(), ratio(r.alone.Time, r.took.Time),
			r.alone.CPU.Seconds(), r.took.CPU.Seconds(), ratio(r.alone.CPU, r.took.CPU))
	}
	t.Flush()
	fmt.Fprint(w, "\nThe helper's compiles take processors of the same machine; the last three columns are the client's alone.\n\n")
}

func ratio(a, b time.Duration) float64 { return a.Seconds() / b.Seconds() }

// verdict is an error that lists every object that differs and every compile that
// was local.
func verdict(rows []row) error {
	var faults []string
	for _, r := range rows {
		for _, f := range r.faults {
			faults = append(faults, fmt.Sprintf("%s, agent %s: %s", r.arch, r.agent, f))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d things are not as they should be:\n  %s", len(faults), strings.Join(faults, "\n  "))
	}
	return nil
}
