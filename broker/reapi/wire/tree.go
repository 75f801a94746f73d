package wire

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/broker"
)

// Bounds of an input tree. All but maxDirectory count expanded, as the tree
// would be on disk: 4.5 kB of messages can name 2^30 paths.
const (
	maxEntries   = 100_000
	maxDepth     = 64
	maxTree      = 2 << 30  // bytes of all files
	maxPaths     = 16 << 20 // bytes of all paths
	maxName      = 255      // bytes of one name, as file systems have it
	maxPath      = 4095     // bytes of one path, as Linux has it
	maxDirectory = 16 << 20 // bytes of one Directory message
)

// tree adds the Directory messages of files, which are sorted by path, and the
// files' blobs; it returns the root's digest.
func (b *builder) tree(files []broker.File) (broker.Digest, error) {
	return b.directory(files, "/")
}

// directory adds the directory at prefix, below which all of files lie.
func (b *builder) directory(files []broker.File, prefix string) (broker.Digest, error) {
	var d repb.Directory
	below := map[string][]broker.File{}
	for _, f := range files {
		name, _, deeper := strings.Cut(f.Path[len(prefix):], "/")
		if deeper {
			below[name] = append(below[name], f)
			continue
		}
		d.Files = append(d.Files, &repb.FileNode{
			Name: name, Digest: DigestToProto(b.add(f.Blob)), IsExecutable: f.Executable,
		})
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		digest, err := b.directory(below[name], prefix+name+"/")
		if err != nil {
			return broker.Digest{}, err
		}
		d.Directories = append(d.Directories, &repb.DirectoryNode{Name: name, Digest: DigestToProto(digest)})
	}
	return b.message(&d)
}

// readTree walks an input tree and returns its files, sorted by path.
func readTree(root *repb.Digest, from Source) ([]broker.File, error) {
	d, err := DigestFromProto(root)
	if err != nil {
		return nil, err
	}
	w := &walker{from: from, read: map[broker.Digest]*repb.Directory{}, wanted: map[broker.Digest]bool{}}
	if err := w.walk("/", d, 0); err != nil {
		return nil, err
	}
	missing := append(w.missing, from.Missing(slices.Collect(maps.Keys(w.wanted)))...)
	if len(missing) > 0 {
		return nil, &MissingError{Digests: missing}
	}
	slices.SortFunc(w.files, func(a, b broker.File) int { return cmp.Compare(a.Path, b.Path) })
	return w.files, nil
}

// A walker expands a tree, counting as it goes. A directory that is shared is
// read once and counted each time.
type walker struct {
	from    Source
	read    map[broker.Digest]*repb.Directory // nil: missing
	missing []broker.Digest                   // directories
	wanted  map[broker.Digest]bool            // digests of files
	files   []broker.File
	entries int
	bytes   int64
	paths   int
}

// walk adds the directory d, whose path is dir with a slash at its end.
func (w *walker) walk(dir string, d broker.Digest, depth int) error {
	if depth > maxDepth {
		return Rejectf("tree is deeper than %d directories", maxDepth)
	}
	node, err := w.directory(d)
	if err != nil || node == nil {
		return err
	}
	for _, f := range node.Files {
		if err := w.file(dir, f); err != nil {
			return err
		}
	}
	for _, sub := range node.Directories {
		if err := w.count(dir, sub.Name, 0); err != nil {
			return err
		}
		digest, err := DigestFromProto(sub.Digest)
		if err != nil {
			return fmt.Errorf("%s%s: %w", dir, sub.Name, err)
		}
		if err := w.walk(dir+sub.Name+"/", digest, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) file(dir string, f *repb.FileNode) error {
	d, err := DigestFromProto(f.Digest)
	if err != nil {
		return fmt.Errorf("%s%s: %w", dir, f.Name, err)
	}
	if err := w.count(dir, f.Name, d.Size); err != nil {
		return err
	}
	blob := broker.BytesBlob(nil)
	if !Empty(d) {
		w.wanted[d] = true
		blob = broker.FileBlob(d, func() (io.ReadCloser, error) { return w.from.Open(d) })
	}
	w.files = append(w.files, broker.File{Path: dir + f.Name, Blob: blob, Executable: f.IsExecutable})
	return nil
}

// count takes one more entry into account, before anything is made for it.
func (w *walker) count(dir, name string, size int64) error {
	w.entries++
	w.paths += len(dir) + len(name)
	if len(dir)+len(name) > maxPath {
		return Rejectf("a path of the tree is longer than %d bytes", maxPath)
	}
	// Not by the sum: sizes are the peer's and would overflow.
	if size > maxTree-w.bytes {
		return Rejectf("tree holds more than %d bytes", int64(maxTree))
	}
	w.bytes += size
	if w.entries > maxEntries {
		return Rejectf("tree has more than %d entries", maxEntries)
	}
	if w.paths > maxPaths {
		return Rejectf("paths of the tree are longer than %d bytes together", maxPaths)
	}
	return nil
}

// directory reads and checks one message; nil is one that the source lacks.
func (w *walker) directory(d broker.Digest) (*repb.Directory, error) {
	if node, ok := w.read[d]; ok {
		return node, nil
	}
	node := new(repb.Directory)
	err := w.from.message(d, maxDirectory, node)
	if IsMissing(err) {
		w.missing = append(w.missing, d)
		w.read[d] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := checkDirectory(node); err != nil {
		return nil, fmt.Errorf("directory %s: %w", d, err)
	}
	w.read[d] = node
	return node, nil
}

// checkDirectory holds a message against the canonical form: names that stay
// where they are, each once, each list sorted.
func checkDirectory(d *repb.Directory) error {
	if len(d.Symlinks) > 0 {
		return Rejectf("symbolic link %q: trees of this version hold files only", d.Symlinks[0].Name)
	}
	files, directories := make(map[string]bool, len(d.Files)), ""
	last := ""
	for _, f := range d.Files {
		if err := checkName(f.Name, last); err != nil {
			return err
		}
		files[f.Name], last = true, f.Name
	}
	for _, sub := range d.Directories {
		if err := checkName(sub.Name, directories); err != nil {
			return err
		}
		if files[sub.Name] {
			return Rejectf("name %q is given twice", sub.Name)
		}
		directories = sub.Name
	}
	return nil
}

func checkName(name, last string) error {
	switch {
	case name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00"):
		return Rejectf("%.300q is not a file name", name)
	case name == last:
		return Rejectf("name %q is given twice", name)
	case name < last:
		return Rejectf("names are not sorted: %q after %q", name, last)
	}
	return nil
}

// Directories calls f with each Directory message below root once, the root
// first. Directories that the source lacks are left out, as REAPI's GetTree has
// it; a root that it lacks is a *MissingError.
func Directories(root broker.Digest, from Source, f func(*repb.Directory) error) error {
	w := &walker{from: from, read: map[broker.Digest]*repb.Directory{}}
	for queue := []broker.Digest{root}; len(queue) > 0; queue = queue[1:] {
		if _, seen := w.read[queue[0]]; seen {
			continue
		}
		node, err := w.directory(queue[0])
		if err != nil {
			return err
		}
		if node == nil {
			continue
		}
		if err := f(node); err != nil {
			return err
		}
		below, err := w.below(node)
		if err != nil {
			return err
		}
		queue = append(queue, below...)
	}
	if w.read[root] == nil {
		return &MissingError{Digests: w.missing}
	}
	return nil
}

// below are the directories that node names, counted together with its files.
func (w *walker) below(node *repb.Directory) ([]broker.Digest, error) {
	var out []broker.Digest
	for _, file := range node.Files {
		if err := w.count("", file.Name, 0); err != nil {
			return nil, err
		}
	}
	for _, sub := range node.Directories {
		if err := w.count("", sub.Name, 0); err != nil {
			return nil, err
		}
		d, err := DigestFromProto(sub.Digest)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
