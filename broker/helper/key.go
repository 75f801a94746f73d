package helper

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/toolchains"
)

// writeKey writes everything that decides what a compile says, as readable
// text: two jobs with one text are one compile. %q keeps the fields apart.
func writeKey(w io.Writer, tc toolchains.Toolchain, p *plan) {
	fmt.Fprintf(w, "crosscc action v1\n") // bump when the meaning of a line changes
	fmt.Fprintf(w, "toolchain %+q\n", fmt.Sprintf("%+v", tc.Identity))
	for _, role := range slices.Sorted(maps.Keys(tc.Fingerprint)) {
		fmt.Fprintf(w, "program %q %s\n", role, tc.Fingerprint[role])
	}
	fmt.Fprintf(w, "driver %q\n", p.driver(tc))
	fmt.Fprintf(w, "called %q\n", p.job.Name)
	fmt.Fprintf(w, "dir %q\n", p.job.Dir)
	for _, a := range p.args {
		fmt.Fprintf(w, "arg %q\n", a)
	}
	for _, e := range p.env {
		fmt.Fprintf(w, "env %q\n", e)
	}
	for name, e := range p.job.Root.All() {
		switch {
		case e.File != nil:
			fmt.Fprintf(w, "input %q %s %d %d\n", name, e.File.Blob.Digest, e.File.Modified, e.File.Class)
		case e.Link != nil:
			fmt.Fprintf(w, "link %q %q\n", name, e.Link.Target)
		default:
			fmt.Fprintf(w, "directory %q\n", name)
		}
	}
	for _, o := range p.job.Outputs {
		fmt.Fprintf(w, "output %q\n", o)
	}
}

// keyOf is the digest of the key's text.
func keyOf(tc toolchains.Toolchain, p *plan) broker.Digest {
	h := sha256.New()
	n := &counter{w: h}
	writeKey(n, tc, p)
	return broker.Digest{Hash: hex.EncodeToString(h.Sum(nil)), Size: n.n}
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
