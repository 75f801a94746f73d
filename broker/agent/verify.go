package agent

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/toolchains"
)

// sampled reports whether this job is one of the share to verify. A terminal
// would see a compiler that does not know of it.
func (c *compile) sampled(got answer) bool {
	return got.match == toolchains.Identical && !c.unlike && !c.s.Request.Terminal && rand.Float64() < c.settings.verify
}

// verify has the local compiler do what a helper has done, and compares. What the
// local one wrote and said is what the build gets.
func (a *Agent) verify(c *compile, got answer) error {
	release, err := a.slots.acquire(c.s.Context())
	if err != nil {
		return err
	}
	before := c.outputStats()
	out, err := c.s.runAs(c.s.Context(), c.argv0, toolchains.Program{Path: c.program, Args: c.s.Request.Args[1:]}, maxWords)
	release()
	if err != nil {
		return c.failed(reasonVerify, "compile locally to compare", err)
	}
	differences := append(c.differences(got, out), c.unreturned(got, before)...)
	log := a.log.WithFields(logrus.Fields{"source": c.cmd.Source(), "helper": got.Helper, "cached": got.Cached})
	a.counters.Verified(len(differences) == 0)
	if len(differences) == 0 {
		a.counters.Remote(got.match, got.Cached)
		log.Debug("verified")
	} else {
		text := strings.Join(differences, "; ")
		a.counters.Local(reasonVerify, "helper "+got.Helper+": "+text)
		log.WithField("command", c.s.Request.Args).Error("a helper's object is not the local one: " + text)
	}
	_, err = c.s.Finish(c.s.Context(), local.Finish{Stdout: out.Stdout, Stderr: out.Stderr, Status: out.Status << 8})
	return err
}

// differences says how what a helper made and said is not what the local compiler
// did. The outputs are in their places, the local ones.
func (c *compile) differences(got answer, out toolchains.Output) []string {
	var list []string
	if got.ExitCode != out.Status {
		list = append(list, fmt.Sprintf("exit status %d, locally %d", got.ExitCode, out.Status))
	}
	if !bytes.Equal(got.Stdout, out.Stdout) || !bytes.Equal(got.Stderr, out.Stderr) {
		list = append(list, "other messages")
	}
	for _, o := range got.Outputs {
		name := c.target(o).Path
		if err := c.sameAt(name, o.Blob.Digest); err != nil {
			list = append(list, err.Error())
		}
	}
	if missed := c.missed(got.tree); len(missed) > 0 {
		list = append(list, "the compiler read what the tree lacks: "+strings.Join(missed, " "))
	}
	return list
}

// outputStats is how the command's outputs stand; absent ones are left out.
func (c *compile) outputStats() map[string]unix.Stat_t {
	stats := map[string]unix.Stat_t{}
	for _, o := range c.outputs() {
		if st, err := c.s.root.Lstat(c.s.abs(o.Name)); err == nil {
			stats[o.Name] = st
		}
	}
	return stats
}

// unreturned are outputs that the local compiler wrote and the helper's did not.
func (c *compile) unreturned(got answer, before map[string]unix.Stat_t) []string {
	var list []string
	for name, st := range c.outputStats() {
		was, there := before[name]
		if there && was.Mtim == st.Mtim && was.Ino == st.Ino {
			continue
		}
		if !slices.ContainsFunc(got.Outputs, func(o broker.Output) bool { return c.target(o).Path == name }) {
			list = append(list, "no "+name)
		}
	}
	return list
}

// sameAt holds the file at name against the content that a helper made.
func (c *compile) sameAt(name string, want broker.Digest) error {
	f, err := c.s.root.Open(c.s.abs(name))
	if err != nil {
		return fmt.Errorf("no %s locally: %w", name, err)
	}
	defer f.Close()
	d, err := broker.DigestReader(f)
	if err != nil {
		return err
	}
	if d != want {
		return fmt.Errorf("%s is %s, locally %s", name, want, d)
	}
	return nil
}

// missed are the files that the local compiler says it read and the scan did not
// foresee. Only a command that makes dependencies tells.
func (c *compile) missed(tree *headers.Tree) []string {
	d, ok := c.cmd.Deps()
	if tree == nil || !ok {
		return nil
	}
	text, err := c.s.root.ReadFile(c.s.abs(d.File), maxWords)
	if err != nil {
		return nil // a compile that failed leaves none
	}
	names, err := tree.Missed(text, c.s.Request.Dir)
	if err != nil {
		return []string{"(" + err.Error() + ")"}
	}
	return names
}
