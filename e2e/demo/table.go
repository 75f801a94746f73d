package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// printTable is what the demo ends with.
func printTable(w io.Writer, rows []row) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "target\tfiles\tremote\tcached\tlocal (why)\tidentical\ttime")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%d of %d\t%.1f s\n", r.target.chost, r.files,
			r.status.Jobs.Remote, r.status.Jobs.Cached, r.status.reasons(), r.identical, r.files, r.took.Seconds())
	}
	t.Flush()
	fmt.Fprintln(w)
}

// verdict is an error that lists every object that differs and every compile
// that was local.
func verdict(rows []row) error {
	var faults []string
	for _, r := range rows {
		for _, f := range r.faults {
			faults = append(faults, r.target.chost+": "+f)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d things are not as they should be:\n  %s", len(faults), strings.Join(faults, "\n  "))
	}
	return nil
}
