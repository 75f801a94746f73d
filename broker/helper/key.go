package helper

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/catalog"
)

// writeKey writes everything that decides what a compile says, as readable
// text: two jobs with one text are one compile. %q keeps the fields apart.
func writeKey(w io.Writer, tc catalog.Located, p *plan) {
	fmt.Fprintf(w, "crosscc action v2\n") // bump when the meaning of a line changes
	fmt.Fprintf(w, "toolchain %s\n", tc.Identity.Text())
	for _, role := range slices.Sorted(maps.Keys(tc.Fingerprint)) {
		fmt.Fprintf(w, "program %q %s\n", role, tc.Fingerprint[role])
	}
	if p.job.Image != "" {
		fmt.Fprintf(w, "image %q\n", tc.Digest) // all of it is seen, whatever the pin calls it
	}
	if tc.Owner != "" { // what a peer's own programs make is that peer's, and that pack's: its C library is in no fingerprint
		fmt.Fprintf(w, "peer %q %q\n", tc.Owner, tc.Digest)
	}
	fmt.Fprintf(w, "driver %q\n", p.driver(tc.Toolchain))
	fmt.Fprintf(w, "called %q\n", p.job.Name)
	fmt.Fprintf(w, "dir %q\n", p.job.Dir)
	for _, a := range p.args {
		fmt.Fprintf(w, "arg %q\n", a)
	}
	if p.tool != nil { // which files it changes, and what they are called where it says so
		for i, name := range p.tool.names {
			fmt.Fprintf(w, "file %d %q\n", i, name)
		}
	}
	for _, n := range p.job.Native {
		fmt.Fprintf(w, "native %q\n", n)
	}
	for _, e := range p.environ(tc) {
		fmt.Fprintf(w, "env %q\n", e)
	}
	line := make([]byte, 0, 512) // trees are long, and fmt is slow
	for name, e := range p.job.Root.All() {
		switch {
		case e.File != nil:
			line = strconv.AppendQuote(append(line[:0], "input "...), name)
			line = append(append(append(line, ' '), e.File.Blob.Digest.String()...), ' ')
			line = append(strconv.AppendInt(line, e.File.Modified, 10), ' ')
			line = strconv.AppendInt(line, int64(e.File.Class), 10)
		case e.Link != nil:
			line = strconv.AppendQuote(append(line[:0], "link "...), name)
			line = strconv.AppendQuote(append(line, ' '), e.Link.Target)
		default:
			line = strconv.AppendQuote(append(line[:0], "directory "...), name)
		}
		_, _ = w.Write(append(line, '\n'))
	}
	for _, o := range p.job.Outputs {
		fmt.Fprintf(w, "output %q\n", o)
	}
}

// keyOf is the digest of the key's text.
func keyOf(tc catalog.Located, p *plan) broker.Digest {
	var text bytes.Buffer
	writeKey(&text, tc, p)
	return broker.DigestOf(text.Bytes())
}
