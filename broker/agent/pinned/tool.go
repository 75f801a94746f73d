package pinned

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/thin"
	"github.com/crosscc/crosscc/broker/headers"
)

// This file is about the programs beside an image's compiler: ar and its kin, some of
// which change files.

// begins refuses a file that a tool is to change where the helper would not find it in the
// tree: it would begin with none.
func (p *Command) begins(tree *headers.Tree) error {
	if p.task.Thin && p.tc.Family == argv.Clang {
		return p.cannot("llvm's ar has rules of its own for the names in a thin archive (T)")
	}
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
		if p.task.Thin || p.isThin(name) {
			return p.cannot("%s, a thin archive, is there: remove it first, it can be made but not changed", o.Name)
		}
		if _, e, ok := tree.Root.Lookup(name); !ok || e.File == nil {
			return p.cannot("%s, which is to be changed, can't be sent", o.Name)
		}
	}
	return nil
}

// like gives outputs the modes that the tool would have given them at home, where its
// input's mode is known.
func (p *Command) like(res *broker.Result) {
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

func (p *Command) isThin(name string) bool {
	f, err := p.s.Files.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(thin.Magic))
	n, _ := io.ReadFull(f, head)
	return string(head[:n]) == thin.Magic
}

// thinNames gives the members of a thin archive the names that they have from where it lies here. GNU ar at a helper, where
// it is told of an archive by an absolute name, keeps them as they were said.
func (p *Command) thinNames(res *broker.Result) error {
	if !p.task.Thin || res.ExitCode != 0 || len(res.Outputs) != 1 {
		return nil
	}
	text, err := res.Outputs[0].Blob.Bytes(thin.MaxSize)
	if err != nil {
		return p.lost(err, "")
	}
	if !bytes.HasPrefix(text, []byte(thin.Magic)) { // without members
		return nil
	}
	a, err := thin.Read(text)
	if err == nil {
		text, err = a.Renamed(p.fromArchive)
	}
	if err != nil {
		return p.lost(fmt.Errorf("thin archive: %w", err), "")
	}
	res.Outputs[0].Blob = broker.BytesBlob(text)
	return nil
}

// fromArchive is what ar calls a member whose name was said, in an archive that was said by a relative name: the way there
// without links (adjust_relative_path in BFD's archive.c).
func (p *Command) fromArchive(name string) string {
	archive := p.task.Outputs[0].Name
	if path.IsAbs(name) || path.IsAbs(archive) {
		return name
	}
	dir, err := p.s.Files.Real(path.Dir(p.s.Abs(archive)))
	if err != nil {
		return name
	}
	member, err := p.s.Files.Real(p.s.Abs(name))
	if err != nil {
		return name
	}
	rel, err := filepath.Rel(dir, member)
	if err != nil {
		return name
	}
	return rel
}
