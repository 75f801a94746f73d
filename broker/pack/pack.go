// Package pack makes an image of compilers of this machine, so that a helper which
// has none can serve them: the programs, what they are linked with, the links that
// lead to them, and nothing else. No headers: a client's files bring those.
//
// Start with Make. The image that comes out says in its labels what is in it
// (Labels); a helper takes that for where to look, and asks the compilers
// themselves.
package pack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/toolchains"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/probe"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// Labels of a pack.
const (
	// LabelDrivers is a JSON list of the places of its compilers.
	LabelDrivers = "io.crosscc.pack.drivers"
	// LabelPath is the PATH that they had.
	LabelPath = "io.crosscc.pack.path"
	// LabelIdentities is a JSON list of what they said of themselves, for people.
	LabelIdentities = "io.crosscc.pack.identities"
)

// Bounds of what labels may say to a helper.
const (
	maxLabel   = 64 << 10
	maxDrivers = 64
)

// A Pack is what will be in an image.
type Pack struct {
	Toolchains []toolchains.Toolchain
	Files      []images.File // sorted by path
	Labels     map[string]string
	Bytes      int64 // of all files, as they are on the disk
}

// Make finds out what the compilers at paths, absolute names, are made of.
// searchPath is the PATH by which they find their assembler.
func Make(ctx context.Context, paths []string, searchPath string) (Pack, error) {
	root, err := rootfs.At("/")
	if err != nil {
		return Pack{}, err
	}
	defer func() { _ = root.Close() }()
	sys := drivers.System{Root: root, Run: here(searchPath), Getenv: func(key string) string {
		if key == "PATH" {
			return searchPath
		}
		return ""
	}}
	var p Pack
	var programs, identities []string
	for _, driver := range paths {
		tc, err := probe.Toolchain(ctx, sys, driver, "")
		if err != nil {
			return Pack{}, err
		}
		p.Toolchains = append(p.Toolchains, tc)
		programs = append(programs, tc.Programs...)
		identities = append(identities, tc.Identity.String())
	}
	if p.Files, p.Bytes, err = filesOf(append(programs, locales()...)); err != nil {
		return Pack{}, err
	}
	p.Labels = map[string]string{
		LabelDrivers: list(paths), LabelIdentities: list(identities), LabelPath: searchPath,
	}
	return p, nil
}

// locales are the C library's files for C.UTF-8, where this machine has them apart:
// without them messages would have other quotes.
func locales() []string {
	var files []string
	for _, name := range []string{"LC_CTYPE", "LC_MESSAGES/SYS_LC_MESSAGES"} {
		name = "/usr/lib/locale/C.utf8/" + name
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
		}
	}
	return files
}

// filesOf lists what programs need to see as an image has it.
func filesOf(programs []string) (files []images.File, bytes int64, err error) {
	slices.Sort(programs)
	binds, err := sandbox.Closure(slices.Compact(programs), "", nil)
	if err != nil {
		return nil, 0, err
	}
	for _, b := range binds {
		f := images.File{Path: b.Dest}
		switch {
		case b.Link != "":
			f.Mode, f.Target = fs.ModeSymlink|0o777, b.Link
		case b.Source == "":
			f.Mode = fs.ModeDir | 0o755
		default:
			st, err := os.Stat(b.Source)
			if err != nil {
				return nil, 0, err
			}
			f.From, f.Mode = b.Source, 0o644
			if st.Mode()&0o111 != 0 {
				f.Mode = 0o755
			}
			bytes += st.Size()
		}
		files = append(files, f)
	}
	return files, bytes, nil
}

// Write writes the image as an OCI archive: the same compilers give the same bytes
// wherever and whenever.
func (p Pack) Write(w io.Writer) (digest.Digest, error) {
	return images.BuildPack(w, p.Files, p.Labels)
}

// WriteFile is Write to a file that appears whole, or not at all.
func (p Pack) WriteFile(name string) (sum digest.Digest, size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return "", 0, err
	}
	defer os.Remove(f.Name())
	sum, err = p.Write(f)
	if err == nil {
		size, err = f.Seek(0, io.SeekCurrent)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil { //nolint:gosec // as any file that a person asked for
		return "", 0, err
	}
	return sum, size, os.Rename(f.Name(), name)
}

func list(words []string) string {
	text, _ := json.Marshal(words) // strings can always be worded
	return string(text)
}

// Drivers are the places of an image's compilers as its labels say them, and the
// PATH: none where they say nothing that can be. Whoever made the image chose the
// words.
func Drivers(labels map[string]string) (drivers []string, searchPath string) {
	text := labels[LabelDrivers]
	if len(text) > maxLabel || json.Unmarshal([]byte(text), &drivers) != nil || len(drivers) > maxDrivers {
		return nil, ""
	}
	for _, d := range drivers {
		if !path.IsAbs(d) || path.Clean(d) != d || strings.Contains(d, "\x00") {
			return nil, ""
		}
	}
	if searchPath = labels[LabelPath]; len(searchPath) > 4096 || strings.Contains(searchPath, "\x00") {
		searchPath = ""
	}
	return drivers, searchPath
}
