package wire

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/broker"
)

const (
	// maxDirectory bounds one Directory message, in bytes. What a tree may be as
	// a whole is broker.Dir's to say.
	maxDirectory = 16 << 20
	// maxFolders bounds the bytes of one generation of decoded directories. A C++
	// source's tree takes 0.2 MB, and the next source's is nearly the same.
	maxFolders = 16 << 20
	// folderFile and folderName are what a decoded file, and any other entry,
	// take besides their texts.
	folderFile, folderName = 256, 96
)

// Folders remembers Directory messages that were read and decoded, by their
// digests, so that a tree of which nearly all was seen before is not read again. It
// has nothing to say of whether a source still has them, nor of what they name. The
// methods of Source use it; it is made with NewFolders.
type Folders struct {
	mu    sync.Mutex // guards known
	known generations[broker.Digest, *folder]
}

// NewFolders makes an empty one, which grows to some 30 MB.
func NewFolders() *Folders {
	return &Folders{known: generations[broker.Digest, *folder]{bound: maxFolders}}
}

// A folder is a Directory message, decoded. Jobs share it: nobody changes it.
type folder struct {
	files  []broker.File
	links  []broker.Link
	subs   []subfolder
	wanted []broker.Digest // of its files
}

type subfolder struct {
	name   string
	digest broker.Digest
}

func (f *folder) entries() int { return len(f.files) + len(f.links) + len(f.subs) }

// folder returns a directory of the source. A *MissingError says that the source
// lacks it.
func (s Source) folder(d broker.Digest) (*folder, error) {
	if f := s.Folders.get(d); f != nil {
		return f, nil
	}
	m, err := s.directory(d)
	if err != nil {
		return nil, err
	}
	f, err := s.decodeFolder(m)
	if err == nil {
		s.Folders.put(d, f)
	}
	return f, err
}

// Remember takes a Directory message into the source's Folders. It is not kept
// anywhere else: those above a source are new with each change of it, and to write
// five small files for each job took longer than all else here.
func (s Source) Remember(message []byte) error {
	d := broker.DigestOf(message)
	if s.Folders.get(d) != nil {
		return nil
	}
	m := new(repb.Directory)
	if err := decode(message, m); err != nil {
		return fmt.Errorf("%s: %w", d, err)
	}
	f, err := s.decodeFolder(m)
	if err == nil {
		s.Folders.put(d, f)
	}
	return err
}

// directory reads a Directory message.
func (s Source) directory(d broker.Digest) (*repb.Directory, error) {
	data, err := s.Read(d, maxDirectory)
	if err != nil {
		return nil, err
	}
	m := new(repb.Directory)
	if err := decode(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w", d, err)
	}
	return m, nil
}

func (f *Folders) get(d broker.Digest) *folder {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	found, _ := f.known.get(d)
	return found
}

func (f *Folders) put(d broker.Digest, made *folder) {
	if f == nil {
		return
	}
	size := d.Size + folderFile*int64(len(made.files)) + folderName*int64(len(made.links)+len(made.subs))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known.put(d, made, size)
}

func (s Source) decodeFolder(m *repb.Directory) (*folder, error) {
	f := new(folder)
	for _, n := range m.Files {
		file, err := s.file(n)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", n.Name, err)
		}
		if f.files = append(f.files, file); !Empty(file.Blob.Digest) {
			f.wanted = append(f.wanted, file.Blob.Digest)
		}
	}
	for _, l := range m.Symlinks {
		f.links = append(f.links, broker.Link{Name: l.Name, Target: l.Target})
	}
	for _, n := range m.Directories {
		digest, err := DigestFromProto(n.Digest)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", n.Name, err)
		}
		f.subs = append(f.subs, subfolder{n.Name, digest})
	}
	// Who adds to a job's tree must not write behind another's.
	f.files, f.links = slices.Clip(f.files), slices.Clip(f.links)
	return f, nil
}

func (s Source) file(n *repb.FileNode) (broker.File, error) {
	d, err := DigestFromProto(n.Digest)
	if err != nil {
		return broker.File{}, err
	}
	file := broker.File{Name: n.Name, Blob: broker.BytesBlob(nil)}
	if open := s.Open; !Empty(d) {
		file.Blob = broker.FileBlob(d, func() (io.ReadCloser, error) { return open(d) })
	}
	if p := n.NodeProperties; p != nil {
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
