package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// printTable is what the comparison ends with.
func printTable(w io.Writer, rows []row) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "client\tagent\tobjects\tremote\tlocal\tsame but .comment\tsame bytes\tits own gcc\tcrosscc\tratio")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f s\t%.1f s\t%.1f\n", r.arch, r.agent, r.objects,
			r.status.Jobs.Remote, r.status.Jobs.Local, r.same, r.equal, r.alone.Seconds(), r.took.Seconds(), r.alone.Seconds()/r.took.Seconds())
	}
	t.Flush()
	fmt.Fprintln(w)
}

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
