package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/crosscc/crosscc/e2e/site"
)

// printRow tells of one build when it is over: all of them take an hour.
func printRow(w io.Writer, r row) {
	local := strconv.Itoa(r.status.Jobs.Local) + " local"
	if words := whys(r.status); words != "" {
		local += " (" + words + ")"
	}
	fmt.Fprintf(w, "  %d of %d files are identical; %d remote, %d cached, %s; %.1f s\n", r.identical, r.files,
		r.status.Jobs.Remote, r.status.Jobs.Cached, local, r.took.Seconds())
	for _, f := range r.faults {
		fmt.Fprintf(w, "  NOT AS IT SHOULD BE: %s\n", f)
	}
}

// printTable is what the demo ends with.
func printTable(w io.Writer, rows []row) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "project\tcompiler\ttarget\tfiles\tremote\tcached\tlocal (why)\tidentical\ttime")
	for _, r := range rows {
		b := r.build
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%d of %d\t%.1f s\n", b.project.name, b.family, b.target.chost, r.files,
			r.status.Jobs.Remote, r.status.Jobs.Cached, reasons(r.status), r.identical, r.files, r.took.Seconds())
	}
	t.Flush()
	fmt.Fprintln(w)
}

// reasons is "2 (link 2)" or "0".
func reasons(st site.Status) string {
	words := whys(st)
	if words == "" {
		return strconv.Itoa(st.Jobs.Local)
	}
	return fmt.Sprintf("%d (%s)", st.Jobs.Local, words)
}

// whys is "link 2", or "".
func whys(st site.Status) string {
	var words []string
	for why, n := range st.LocalReasons {
		words = append(words, fmt.Sprintf("%s %d", why, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// verdict is an error that lists every file that differs and every compile that
// was local.
func verdict(rows []row) error {
	var faults []string
	for _, r := range rows {
		for _, f := range r.faults {
			faults = append(faults, r.build.String()+": "+f)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d things are not as they should be:\n  %s", len(faults), strings.Join(faults, "\n  "))
	}
	return nil
}
