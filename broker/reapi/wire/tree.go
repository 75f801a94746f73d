package wire

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/crosscc/crosscc/broker"
)

// maxDirectory bounds one Directory message, in bytes. What a tree may be as a
// whole is broker.Dir's to say.
const maxDirectory = 16 << 20

// linkProperty is the node property in which File.Class travels. REAPI leaves
// names of properties to clients and servers.
const linkProperty = "crosscc-hard-link"

// directory adds the Directory messages of a tree and the blobs of its files; it
// returns the root's digest.
func (b *builder) directory(d *broker.Dir) (broker.Digest, error) {
	m := new(repb.Directory)
	for i := range d.Files {
		f := &d.Files[i]
		m.Files = append(m.Files, &repb.FileNode{
			Name: f.Name, Digest: DigestToProto(b.add(f.Blob)), NodeProperties: propertiesOf(f),
		})
	}
	for _, l := range d.Links {
		m.Symlinks = append(m.Symlinks, &repb.SymlinkNode{Name: l.Name, Target: l.Target})
	}
	for _, s := range d.Dirs {
		digest, err := b.directory(s.Dir)
		if err != nil {
			return broker.Digest{}, err
		}
		m.Directories = append(m.Directories, &repb.DirectoryNode{Name: s.Name, Digest: DigestToProto(digest)})
	}
	return b.message(m)
}

func propertiesOf(f *broker.File) *repb.NodeProperties {
	if f.Modified == 0 && f.Class == 0 {
		return nil
	}
	p := new(repb.NodeProperties)
	if f.Modified != 0 {
		p.Mtime = timestamppb.New(time.Unix(f.Modified, 0))
	}
	if f.Class != 0 {
		p.Properties = []*repb.NodeProperty{{Name: linkProperty, Value: strconv.Itoa(f.Class)}}
	}
	return p
}

// readTree reads an input tree. A directory that is named in several places is
// read once.
func readTree(root *repb.Digest, from Source) (*broker.Dir, error) {
	d, err := DigestFromProto(root)
	if err != nil {
		return nil, err
	}
	w := newWalker(from)
	tree, err := w.walk(d, 0)
	if err != nil {
		return nil, err
	}
	if err := tree.Validate(); err != nil {
		return nil, Rejectf("%v", err)
	}
	missing := append(w.missing, from.Missing(slices.Collect(maps.Keys(w.wanted)))...)
	if len(missing) > 0 {
		return nil, &MissingError{Digests: missing}
	}
	return tree, nil
}

// A walker reads the messages of a tree.
type walker struct {
	from    Source
	made    map[broker.Digest]*broker.Dir // an empty one where it is missing
	missing []broker.Digest               // directories
	wanted  map[broker.Digest]bool        // digests of files
	entries int                           // of the messages read
}

func newWalker(from Source) *walker {
	return &walker{from: from, made: map[broker.Digest]*broker.Dir{}, wanted: map[broker.Digest]bool{}}
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
	dir := new(broker.Dir)
	m, err := w.directory(d)
	if err != nil {
		return nil, err
	}
	for _, f := range m.GetFiles() { // of one that is missing: none

		file, err := w.file(f)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", f.Name, err)
		}
		dir.Files = append(dir.Files, file)
	}
	for _, l := range m.GetSymlinks() {
		dir.Links = append(dir.Links, broker.Link{Name: l.Name, Target: l.Target})
	}
	for _, s := range m.GetDirectories() {
		digest, err := DigestFromProto(s.Digest)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s.Name, err)
		}
		sub, err := w.walk(digest, depth+1)
		if err != nil {
			return nil, err
		}
		dir.Dirs = append(dir.Dirs, broker.Subdir{Name: s.Name, Dir: sub})
	}
	w.made[d] = dir
	return dir, nil
}

func (w *walker) file(f *repb.FileNode) (broker.File, error) {
	d, err := DigestFromProto(f.Digest)
	if err != nil {
		return broker.File{}, err
	}
	file := broker.File{Name: f.Name, Blob: broker.BytesBlob(nil)}
	if !Empty(d) {
		w.wanted[d] = true
		file.Blob = broker.FileBlob(d, func() (io.ReadCloser, error) { return w.from.Open(d) })
	}
	if p := f.NodeProperties; p != nil {
		file.Modified = p.Mtime.GetSeconds()
		for _, property := range p.Properties {
			if property.Name != linkProperty {
				continue
			}
			if file.Class, err = strconv.Atoi(property.Value); err != nil || file.Class < 1 {
				return broker.File{}, Rejectf("property %s is %q, not a number from 1 on", linkProperty, property.Value)
			}
		}
	}
	return file, nil
}

// directory reads one message; nil is one that the source lacks.
func (w *walker) directory(d broker.Digest) (*repb.Directory, error) {
	m := new(repb.Directory)
	err := w.from.message(d, maxDirectory, m)
	if IsMissing(err) {
		w.missing = append(w.missing, d)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w.entries += len(m.Files) + len(m.Symlinks) + len(m.Directories)
	if w.entries > broker.MaxEntries {
		return nil, Rejectf("tree has more than %d entries", broker.MaxEntries)
	}
	return m, nil
}

// Directories calls f with each Directory message below root once, the root
// first. Directories that the source lacks are left out, as REAPI's GetTree has
// it; a root that it lacks is a *MissingError.
func Directories(root broker.Digest, from Source, f func(*repb.Directory) error) error {
	w := newWalker(from)
	seen := map[broker.Digest]bool{root: true}
	for queue := []broker.Digest{root}; len(queue) > 0; queue = queue[1:] {
		m, err := w.directory(queue[0])
		if err != nil {
			return err
		}
		if m == nil && queue[0] == root {
			return &MissingError{Digests: w.missing}
		}
		if m == nil {
			continue
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
