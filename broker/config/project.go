package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/toolchains/rootfs"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// projectFile is the name of a project's own settings, looked for from the working
// directory upwards.
const projectFile = ".crosscc.toml"

// A Project is a project's settings as they lie there.
type Project struct {
	Name string // absolute, for people
	Text []byte
}

// Dir is the project's directory.
func (p Project) Dir() string { return path.Dir(p.Name) }

// projectKeys are all that a project may set.
func projectKeys() []string { return []string{"toolchain", "match", "native_params"} }

// projectSettings are the keys of a project's file, as they set c.
func projectSettings(c *Client) []setting {
	return slices.DeleteFunc(clientSettings(c), func(s setting) bool { return !slices.Contains(projectKeys(), s.name) })
}

// Pins say which image defines a compile, by what it is compiled for. The zero
// value pins nothing.
type Pins struct {
	all  *images.Pin
	some map[string]images.Pin // by target
}

// None reports whether nothing is pinned.
func (p Pins) None() bool { return p.all == nil && len(p.some) == 0 }

// For is the pin for a target; "" is the one of a compiler whose name says none.
func (p Pins) For(target string) (images.Pin, bool) {
	for _, t := range slices.Sorted(maps.Keys(p.some)) {
		if target != "" && triple.Same(t, target) {
			return p.some[t], true
		}
	}
	if p.all != nil {
		return *p.all, true
	}
	return images.Pin{}, false
}

// Rows are all pins for people, sorted: TARGET=PIN, or a pin alone.
func (p Pins) Rows() []string {
	var rows []string
	for t, pin := range p.some {
		rows = append(rows, t+"="+pin.String())
	}
	if p.all != nil {
		rows = append(rows, p.all.String())
	}
	slices.Sort(rows)
	return rows
}

// pinsOf reads a pin for every target, or a table of targets; from the environment
// words of which each is PIN or TARGET=PIN.
func pinsOf(value any) (Pins, error) {
	switch v := value.(type) {
	case envText:
		return pinWords(string(v))
	case map[string]any:
		return pinTable(v)
	}
	pin, err := pinOf(value)
	if err != nil {
		return Pins{}, err
	}
	return Pins{all: &pin}, nil
}

func pinTable(table map[string]any) (Pins, error) {
	p := Pins{some: map[string]images.Pin{}}
	for _, target := range slices.Sorted(maps.Keys(table)) {
		pin, err := pinOf(table[target])
		if err == nil {
			err = p.add(target, pin)
		}
		if err != nil {
			return Pins{}, fmt.Errorf("%s: %w", target, err)
		}
	}
	return p, nil
}

func pinWords(text string) (Pins, error) {
	p := Pins{some: map[string]images.Pin{}}
	for _, word := range strings.Fields(text) {
		target, rest, named := strings.Cut(word, "=")
		if !named {
			rest = word
		}
		pin, err := images.ParsePin(rest)
		switch {
		case err != nil:
		case named:
			err = p.add(target, pin)
		case p.all != nil:
			err = fmt.Errorf("%s and %s are both for every target", *p.all, pin)
		default:
			p.all = &pin
		}
		if err != nil {
			return Pins{}, err
		}
	}
	return p, nil
}

func (p *Pins) add(target string, pin images.Pin) error {
	if _, err := targetOf(target); err != nil {
		return err
	}
	for t := range p.some {
		if triple.Same(t, target) {
			return fmt.Errorf("%s and %s are one target", t, target)
		}
	}
	p.some[target] = pin
	return nil
}

// applyProject sets what a project says.
func applyProject(p *Project, c *Client) error {
	if p == nil {
		return nil
	}
	before := c.Toolchain
	c.Toolchain = Pins{}
	err := applyFile(p.Name, p.Text, projectSettings(c))
	if c.Toolchain.None() {
		c.Toolchain = before
	} else {
		c.ToolchainFrom = p.Name
	}
	return err
}

// A Distrusted is why a project's file does not count.
type Distrusted struct {
	Name string // absolute
	Why  string
}

func (d *Distrusted) Error() string { return d.Name + " does not count: " + d.Why }

// projectOwner judges who could have written a project's file or changed what lies
// in its directory: it counts only when both are the user's or root's and nobody else may
// write to them. what is "it" or "its directory".
func projectOwner(name, what string, owner, mode, user uint32) error {
	switch {
	case owner != user && owner != 0:
		return &Distrusted{name, fmt.Sprintf("%s belongs to user %d, who is neither you nor root", what, owner)}
	case mode&0o022 != 0:
		return &Distrusted{name, fmt.Sprintf("others may write to %s (mode %04o): chmod go-w", what, mode&0o7777)}
	}
	return nil
}

// FindProject finds the settings of the project that dir, an absolute clean
// directory in root, is part of: those nearest above. nil without an error: there
// are none. Settings that do not count are a *Distrusted, and nobody looks further up.
// user is whose build it is.
func FindProject(root *rootfs.Root, dir string, user uint32) (*Project, error) {
	if !path.IsAbs(dir) {
		return nil, nil // a working directory that is gone
	}
	for dir = path.Clean(dir); ; dir = path.Dir(dir) {
		p, err := projectIn(root, dir, user)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return p, err
		}
		if dir == "/" {
			return nil, nil
		}
	}
}

// projectIn reads the settings in one directory.
func projectIn(root *rootfs.Root, dir string, user uint32) (*Project, error) {
	if _, err := root.Lstat(path.Join(dir, projectFile)); err != nil {
		return nil, opened(path.Join(dir, projectFile), err) // nearly always there is none
	}
	in, err := root.Sub(dir)
	if err != nil {
		return nil, opened(path.Join(dir, projectFile), err)
	}
	defer func() { _ = in.Close() }()
	return projectOf(root, in, dir, user)
}

// opened sorts out why a project's file can't be opened: that there is none and that
// the machine is in trouble are errors. A file that this user may not read, or that is
// none, does not count: a build that pins nothing goes on.
func opened(name string, err error) error {
	for _, known := range []error{fs.ErrNotExist, unix.ENOTDIR, unix.EIO, unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, known) {
			return err
		}
	}
	return &Distrusted{name, err.Error()}
}

// projectOf reads the settings in the directory in, which was dir. The directory and the
// file that are judged are those that are read, whatever their names lead to by now; who
// has put another's file there by a link has had to write to the directory.
func projectOf(root, in *rootfs.Root, dir string, user uint32) (*Project, error) {
	name := path.Join(dir, projectFile)
	f, err := openProject(root, in, dir)
	if err != nil {
		return nil, opened(name, err)
	}
	defer f.Close()
	var file, above unix.Stat_t
	if err := errors.Join(unix.Fstat(int(f.Fd()), &file), unix.Fstat(in.FD(), &above)); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	err = cmp.Or(projectOwner(name, "it", file.Uid, file.Mode, user), projectOwner(name, "its directory", above.Uid, above.Mode, user))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // applyFile says what is too long
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return &Project{Name: name, Text: text}, nil
}

// openProject opens the file in a directory. Where it is a link, its text leads on from
// the directory's name.
func openProject(root, in *rootfs.Root, dir string) (*os.File, error) {
	st, err := in.Lstat("/" + projectFile)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return in.Open("/" + projectFile)
	}
	text, err := in.Readlink("/" + projectFile)
	if err != nil {
		return nil, err
	}
	if !path.IsAbs(text) {
		text = dir + "/" + text
	}
	return root.Open(text)
}
