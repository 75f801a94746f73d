package wire

import (
	"fmt"
	"slices"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/broker"
)

// readTree reads the input tree of j, and checks j when it has it. A directory that
// is named in several places is read once.
func readTree(j *broker.Job, root *repb.Digest, from Source) error {
	d, err := DigestFromProto(root)
	if err != nil {
		return fmt.Errorf("input tree: %w", err)
	}
	w := &walker{from: from, made: map[broker.Digest]*broker.Dir{}}
	if j.Root, err = w.walk(d, 0); err != nil {
		return fmt.Errorf("input tree: %w", err)
	}
	if err := j.Validate(); err != nil {
		return Rejectf("%v", err)
	}
	// What was decoded before may be gone by now: each time all is looked for.
	for _, files := range w.wanted {
		for _, d := range from.Missing(files) {
			w.lacks(d)
		}
	}
	if len(w.missing) > 0 {
		return &MissingError{Digests: w.missing}
	}
	return nil
}

// A walker makes a tree of its messages.
type walker struct {
	from    Source
	made    map[broker.Digest]*broker.Dir // an empty one where it is missing
	wanted  [][]broker.Digest             // digests of files, by directories
	missing []broker.Digest
	entries int // of the messages read
}

func (w *walker) lacks(d broker.Digest) {
	if !slices.Contains(w.missing[:min(len(w.missing), maxViolations)], d) {
		w.missing = append(w.missing, d)
	}
}

// walk makes the directory of the message d.
func (w *walker) walk(d broker.Digest, depth int) (*broker.Dir, error) {
	// Before it is believed to end: a source could hand out a cycle.
	if depth > broker.MaxDepth {
		return nil, Rejectf("tree is deeper than %d directories", broker.MaxDepth)
	}
	if dir := w.made[d]; dir != nil {
		return dir, nil
	}
	f, err := w.from.folder(d)
	if IsMissing(err) {
		w.lacks(d)
		f, err = new(folder), nil
	}
	if err != nil {
		return nil, err
	}
	if w.entries += f.entries(); w.entries > broker.MaxEntries {
		return nil, Rejectf("tree has more than %d entries", broker.MaxEntries)
	}
	if len(f.wanted) > 0 {
		w.wanted = append(w.wanted, f.wanted)
	}
	dir := &broker.Dir{Files: f.files, Links: f.links}
	if len(f.subs) > 0 {
		dir.Dirs = make([]broker.Subdir, len(f.subs))
	}
	for i, s := range f.subs {
		sub, err := w.walk(s.digest, depth+1)
		if err != nil {
			return nil, err
		}
		dir.Dirs[i] = broker.Subdir{Name: s.name, Dir: sub}
	}
	w.made[d] = dir
	return dir, nil
}

// Directories calls f with each Directory message below root once, the root
// first. Directories that the source lacks are left out, as REAPI's GetTree has
// it; a root that it lacks is a *MissingError.
func Directories(root broker.Digest, from Source, f func(*repb.Directory) error) error {
	seen, entries := map[broker.Digest]bool{root: true}, 0
	for queue := []broker.Digest{root}; len(queue) > 0; queue = queue[1:] {
		m, err := from.directory(queue[0])
		if IsMissing(err) && queue[0] != root {
			continue
		}
		if err != nil {
			return err
		}
		if entries += len(m.Files) + len(m.Symlinks) + len(m.Directories); entries > broker.MaxEntries {
			return Rejectf("tree has more than %d entries", broker.MaxEntries)
		}
		if err := namesOf(m).Check(); err != nil {
			return Rejectf("%v", err)
		}
		if err := f(m); err != nil {
			return err
		}
		for _, s := range m.Directories {
			d, err := DigestFromProto(s.Digest)
			if err != nil {
				return err
			}
			if !seen[d] {
				seen[d] = true
				queue = append(queue, d)
			}
		}
	}
	return nil
}

// namesOf is a directory as far as its own names go.
func namesOf(m *repb.Directory) *broker.Dir {
	d := new(broker.Dir)
	for _, f := range m.Files {
		d.Files = append(d.Files, broker.File{Name: f.Name})
	}
	for _, l := range m.Symlinks {
		d.Links = append(d.Links, broker.Link{Name: l.Name})
	}
	for _, s := range m.Directories {
		d.Dirs = append(d.Dirs, broker.Subdir{Name: s.Name})
	}
	return d
}
