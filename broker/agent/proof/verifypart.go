package proof

import (
	"bytes"
	"crypto/rand"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker/agent/compile"
	"github.com/crosscc/crosscc/broker/agent/reason"
)

// VerifyPart is verify for one compile of a command that is taken apart. The local
// compiler writes into temporary files, because the build's own are not to be written
// before all parts are done, and of a link's objects there are none. A part that
// differs leaves the whole command to the local compiler.
func (pr *Prover) VerifyPart(c *compile.Compile, got compile.Answer) error {
	dir, err := c.Session.TempDir()
	if err != nil {
		return c.Failed(reason.Unwritten, "compile locally to compare", err)
	}
	defer dir.Close()
	stem := "cc" + rand.Text()[:6]
	files := map[string]string{c.Object(): stem + path.Ext(c.Object()), compile.DepsName: stem + ".d"}
	defer func() {
		for _, base := range files {
			_ = unix.Unlinkat(int(dir.Fd()), base, 0) // not made: no matter
		}
	}()
	at := func(name string) string { return path.Join(dir.Name(), files[name]) }
	out, err := pr.atHome(c, c.Cmd.Whole(at(c.Object()), at(compile.DepsName), c.Cmd.NameWords(c.Session.Request.Dir)...))
	if err != nil {
		return err
	}
	var differs []string
	if out.Status != 0 {
		differs = append(differs, "it does not compile locally")
	} else {
		differs = differingFiles(c, got, at)
	}
	if !c.Session.Request.Terminal && (!bytes.Equal(got.Stdout, out.Stdout) || !bytes.Equal(got.Stderr, out.Stderr)) {
		differs = append(differs, "other messages")
	}
	if len(differs) > 0 && pr.moved(c, got) {
		differs = []string{"a file changed meanwhile"}
	} else if len(differs) > 0 {
		pr.distrust(c, got, c.Cmd.Source()+": "+strings.Join(differs, "; "))
	}
	text := strings.Join(differs, "; ")
	pr.Counters.Verified(text == "")
	pr.sample.note(c.Session.Request.Args, got.Helper, text)
	if text != "" {
		pr.Log.WithField("source", c.Cmd.Source()).WithField("command", c.Session.Request.Args).Error("a helper's object is not the local one: " + text)
		return reason.Stay(reason.Verify, "helper %s: %s of %s", got.Helper, text, c.Cmd.Source())
	}
	return nil
}

// differingFiles compares what a helper made with the local files that at names.
func differingFiles(c *compile.Compile, got compile.Answer, at func(name string) string) []string {
	var list []string
	for _, o := range got.Outputs {
		if err := sameAt(c, at(o.Path), o.Blob, got.Match); err != nil {
			list = append(list, strings.ReplaceAll(err.Error(), at(o.Path), o.Path))
		}
	}
	return list
}
