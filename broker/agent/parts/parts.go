// Package parts is what a command needs that compiles several sources, or compiles and
// links, besides its compiles, each of which is a job: whether it can be taken apart
// (Check), what all parts made and said (Gather), and the link, which the wrapper runs
// with the objects in temporary files, as the driver has them (Link).
package parts

import (
	"crypto/rand"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/agent/slots"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains/drivers"
)

// Check keeps commands at home that do more than their parts.
func Check(c *compile.Compile) error {
	if err := checkLinked(c); err != nil {
		return err
	}
	return asClang(c)
}

// checkLinked keeps a link at home that would write over a source: the driver, which sees
// none among the inputs of the link, would not refuse that.
func checkLinked(c *compile.Compile) error {
	if c.Split.Output == "" {
		return nil
	}
	st, err := c.Session.Files.Stat(c.Session.Abs(c.Split.Output))
	if err != nil {
		return nil // new, or the link's to complain of
	}
	for _, part := range c.Split.Compiles {
		if src, err := c.Session.Files.Stat(c.Session.Abs(part.Source())); err == nil && src.Dev == st.Dev && src.Ino == st.Ino {
			return reason.Stay(reason.Target, "output %s is a source", c.Split.Output)
		}
	}
	return nil
}

// Gather is what all compiles made and said, but for objects that are to be linked.
// The files are the caller's to close, with an error too.
func Gather(c *compile.Compile, parts []*compile.Compile, answers []compile.Answer) (local.Finish, []*os.File, error) {
	var all local.Finish
	var files []*os.File
	for i, part := range parts {
		res := answers[i].Result
		if c.Split.Links {
			res.Outputs = nil
			for _, o := range answers[i].Outputs {
				if o.Path != part.Object() {
					res.Outputs = append(res.Outputs, o)
				}
			}
		}
		fin, more, err := part.Finish(res)
		for j := range fin.Outputs {
			if fin.Outputs[j].File >= 0 {
				fin.Outputs[j].File += len(files)
			}
		}
		files = append(files, more...)
		if err != nil {
			return all, files, err
		}
		all.Outputs = append(all.Outputs, fin.Outputs...)
		all.Stdout, all.Stderr = append(all.Stdout, fin.Stdout...), append(all.Stderr, fin.Stderr...)
	}
	if len(files) > local.MaxFiles {
		return all, files, fmt.Errorf("%d large objects of one command", len(files))
	}
	return all, files, nil
}

// Link has the wrapper run the driver with the objects, and adds what it says. The
// program is in its place then; at a terminal, a link that has something to say is done
// once more, with all the rest, by the local compiler.
func Link(c *compile.Compile, places *slots.Slots, parts []*compile.Compile, answers []compile.Answer, fin *local.Finish) error {
	dir, err := c.Session.TempDir()
	if err != nil {
		return c.Failed(reason.Unwritten, "objects for the link", err)
	}
	defer dir.Close()
	objects := make([]string, len(answers))
	limit := c.Session.FileLimit()
	for i, got := range answers {
		object, ok := got.Find(parts[i].Object())
		if !ok {
			return reason.Stay(reason.BadOutput, "there is no object of %s", parts[i].Cmd.Source())
		}
		if uint64(object.Blob.Digest.Size) > limit {
			return reason.Stay(reason.Unwritten, "the object of %s is larger than files may be (ulimit -f)", parts[i].Cmd.Source())
		}
		base, err := session.PutTemp(dir, tempName(c, i), object.Blob)
		if err != nil {
			return c.Failed(reason.Unwritten, "objects for the link", err)
		}
		defer func() { _ = unix.Unlinkat(int(dir.Fd()), base, 0) }() // gone already: no matter
		objects[i] = path.Join(dir.Name(), base)
	}
	// It takes as long as at home, or as the build lets it.
	out, err := c.Session.RunPlaced(c.Session.Context(), places, 0, c.Argv0, drivers.Program{Path: c.Program, Args: c.Split.Link(objects)}, session.MaxWords)
	if err != nil {
		return c.Failed(broker.Reason(option.Link), "link", err)
	}
	if c.Session.Request.Terminal && len(out.Stdout)+len(out.Stderr) > 0 {
		return reason.Stay(broker.Reason(option.Link), "the link has something to say, to a terminal")
	}
	fin.Stdout, fin.Stderr = append(fin.Stdout, out.Stdout...), append(fin.Stderr, out.Stderr...)
	fin.Status = out.Status << 8
	return nil
}

// tempName makes up a name as the driver does for the object of the i-th source.
func tempName(c *compile.Compile, i int) string {
	if c.Toolchain.Family != argv.Clang {
		return "cc" + rand.Text()[:6] + ".o"
	}
	source := path.Base(c.Split.Compiles[i].Source())
	var number [3]byte
	_, _ = rand.Read(number[:]) // never fails
	return fmt.Sprintf("%s-%x.o", strings.TrimSuffix(source, path.Ext(source)), number)
}
