package agent

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers"
)

// This file is about the programs beside an image's compiler: ar and its kin, some of
// which change files.

// begins refuses a file that a tool is to change where the helper would not find it in the
// tree: it would begin with none.
func (p *pinned) begins(tree *headers.Tree) error {
	for _, o := range p.task.Outputs {
		if !slices.Contains(p.task.Changed, o.Job) {
			continue
		}
		name := p.s.Abs(o.Name)
		if ofImage(name) {
			return p.cannot("%s is where the image's files are; build below /home, /srv or /tmp", o.Name)
		}
		if _, err := p.s.Files.Stat(name); err != nil {
			continue // it is made
		}
		if _, e, ok := tree.Root.Lookup(name); !ok || e.File == nil {
			return p.cannot("%s, which is to be changed, can't be sent", o.Name)
		}
	}
	return nil
}

// like gives outputs the modes that the tool would have given them at home, where its
// input's mode is known.
func (p *pinned) like(res *broker.Result) {
	for i := range res.Outputs {
		input, ok := p.task.Like[res.Outputs[i].Path]
		if !ok {
			continue
		}
		if st, err := p.s.Files.Stat(p.s.Abs(input)); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			res.Outputs[i].Executable = st.Mode&0o111 != 0
		}
	}
}
