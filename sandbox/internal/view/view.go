// Package view lays out the root that a program sees. It says so in bubblewrap's
// words, which the Docker runner plays on a stage of its own: both show the same
// root. Start with [Of].
package view

import (
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/process"
)

// A view is the root that a program sees, as words for bubblewrap. The root
// starts empty; the tree goes in with one bind for each top-level entry (X18),
// and is taken apart only along the directories where the toolchain lives too:
// there the toolchain's files come last and win (X20). No word names a place
// that is reached through a link, so no link of a tree can move a mount.
type view struct {
	tree  string
	under string // a root that the tree is laid over; "" for none
	out   string
	fixed map[string]sandbox.Bind // what the tree can't replace, by place
	dirs  map[string]bool         // places that must be directories of our own
	words []string
}

// Of lays out the root for s. The order is: bounded tmpfs, links and
// directories, tree, programs, and then the root itself becomes read-only. The
// last words are the command.
func Of(s *sandbox.Spec, binds []sandbox.Bind, l sandbox.Limits) ([]string, error) {
	v := &view{tree: s.Tree, out: s.Out, fixed: map[string]sandbox.Bind{}, dirs: map[string]bool{}}
	v.scratch("/tmp", l.Temp)
	if s.Out != "" {
		v.scratch(s.Out, l.OutputSum)
	}
	for _, b := range binds {
		v.reserve(b)
	}
	for _, name := range Texts(s) {
		v.reserve(sandbox.Bind{Source: name, Dest: name})
	}
	v.dirs["/dev"] = true
	if s.Whole {
		v.under = s.Root
		v.share("/")
		if err := v.whole(s.Root, "/"); err != nil {
			return nil, err
		}
	}
	if s.Tree != "" {
		if err := v.merge("/"); err != nil {
			return nil, err
		}
	}
	if err := v.workdir(s.Dir); err != nil {
		return nil, err
	}
	program := v.called(s.Path, s.Args[0])
	for _, b := range binds {
		if b.Source != "" {
			v.add("--ro-bind", b.Source, b.Dest)
		}
	}
	for i, name := range Texts(s) {
		v.add("--ro-bind-data", strconv.Itoa(FirstText+i), name)
	}
	// Compilers open /dev/null by name, for reading and as an output.
	v.add("--dev-bind", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", s.Dir, "--", program)
	return append(v.words, s.Args[1:]...), nil
}

// FirstText is the descriptor of the first of Spec.Texts in bubblewrap: behind
// those of a cell.
const FirstText = 6

// Texts are the places of Spec.Texts, in the order of their descriptors.
func Texts(s *sandbox.Spec) []string { return slices.Sorted(maps.Keys(s.Texts)) }

// argv0Dir holds a program's other name.
const argv0Dir = "/.crosscc-argv0"

// called gives the program the name it is to be called by. bubblewrap 0.8 makes
// argv[0] of the path that it executes, so a name of its own is a link: beside
// the program, where drivers look for what belongs to them, or in a directory
// apart when that name is another program's.
func (v *view) called(program, argv0 string) string {
	base := path.Base(argv0)
	if base == path.Base(program) || base == "/" || base == "." {
		return program
	}
	link := path.Join(path.Dir(program), base)
	_, taken := v.fixed[link]
	if _, err := os.Lstat(filepath.Join(v.tree, link)); taken || v.tree != "" && err == nil || !v.dirs[path.Dir(program)] {
		link = path.Join(argv0Dir, base)
	}
	v.add("--symlink", program, link)
	return link
}

func (v *view) add(words ...string) { v.words = append(v.words, words...) }

func (v *view) reserve(b sandbox.Bind) {
	for d := path.Dir(b.Dest); !v.dirs[d]; d = path.Dir(d) {
		v.dirs[d] = true
	}
	switch {
	case b.Source != "":
		v.fixed[b.Dest] = b
	case b.Link != "":
		v.fixed[b.Dest] = b
		v.add("--symlink", b.Link, b.Dest)
	default:
		v.dirs[b.Dest] = true
		v.add("--dir", b.Dest)
	}
}

// scratch is a writable place in memory that can't outgrow size.
func (v *view) scratch(p string, size int64) {
	for d := p; !v.dirs[d]; d = path.Dir(d) {
		v.dirs[d] = true
	}
	v.add("--size", strconv.FormatInt(size, 10), "--tmpfs", p)
}

// workdir makes the working directory when the tree doesn't bring it. It is
// looked for as the program will find it: the tree's links lead to places in the
// tree. bubblewrap makes directories before that is its root, and must not follow
// a link then.
func (v *view) workdir(dir string) error {
	if v.tree == "" {
		v.add("--dir", dir)
		return nil
	}
	err := v.look(dir, 0)
	if err == nil {
		return nil
	}
	if err = v.look(dir, unix.RESOLVE_NO_SYMLINKS); errors.Is(err, unix.ENOENT) {
		v.add("--dir", dir)
		return nil
	}
	return &sandbox.Failure{Kind: sandbox.Conflict, Detail: "working directory " + dir + " is not in the tree", Err: err}
}

// look looks for name as it will be inside, but for the toolchain's part.
func (v *view) look(name string, how uint64) error {
	tree, err := process.OpenDir("/", v.tree)
	if err != nil {
		return err
	}
	defer tree.Close()
	fd, err := unix.Openat2(int(tree.Fd()), name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | how})
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}

// merge shows what the tree has in dir, which is a directory of our own.
func (v *view) merge(dir string) error {
	entries, err := os.ReadDir(filepath.Join(v.tree, dir))
	if err != nil {
		return &sandbox.Failure{Kind: sandbox.Setup, Detail: "tree", Err: err}
	}
	for _, e := range entries {
		if err := v.entry(path.Join(dir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

// closedDirs are directories that never come from a tree: the kernel's, and those
// where a loader or a C library looks for what to load.
func closedDirs() []string { return []string{"/dev", "/proc", "/sys", "/etc", "/run"} }

// share notes the directories that both the tree and the root below it have: these
// become our own, with the entries of both.
func (v *view) share(dir string) {
	if v.tree == "" {
		return
	}
	entries, _ := os.ReadDir(filepath.Join(v.tree, dir)) // merge has the error
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		if info, err := os.Lstat(filepath.Join(v.under, p)); e.IsDir() && err == nil && info.IsDir() {
			v.dirs[p] = true
			v.share(p)
		}
	}
}

// same reports whether the root below has that link.
func (v *view) same(p, link string) bool {
	text, err := os.Readlink(filepath.Join(v.under, p))
	return err == nil && text == link
}

// taken reports whether the root below the tree has the name, and it is not the very
// link that the tree has.
func (v *view) taken(p, link string) bool {
	if v.under == "" {
		return false
	}
	_, err := os.Lstat(filepath.Join(v.under, p))
	return err == nil && !v.same(p, link)
}

// whole shows what another root has in dir, but for what the sandbox has itself.
func (v *view) whole(root, dir string) error {
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		return &sandbox.Failure{Kind: sandbox.Setup, Detail: "root of an image", Err: err}
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		link := e.Type()&os.ModeSymlink != 0
		switch {
		case p == v.out || p == argv0Dir || p != "/etc" && slices.Contains(closedDirs(), p):
		case v.dirs[p]: // a scratch place, or on the way to one
			if e.IsDir() {
				err = v.whole(root, p)
			}
		case link:
			var text string
			if text, err = os.Readlink(filepath.Join(root, p)); err == nil {
				v.add("--symlink", text, p)
			}
		case e.IsDir() || e.Type().IsRegular():
			v.add("--ro-bind", filepath.Join(root, p), p)
		}
		if err != nil {
			return &sandbox.Failure{Kind: sandbox.Setup, Detail: "root of an image", Err: err}
		}
	}
	return nil
}

func (v *view) entry(p string, e os.DirEntry) error {
	source := filepath.Join(v.tree, p)
	link := ""
	if e.Type()&os.ModeSymlink != 0 {
		var err error
		if link, err = os.Readlink(source); err != nil {
			return &sandbox.Failure{Kind: sandbox.Setup, Detail: "tree", Err: err}
		}
	}
	b, fixed := v.fixed[p]
	switch {
	case slices.Contains(closedDirs(), p) || p == v.out || p == argv0Dir:
		return sandbox.Failf(sandbox.Conflict, "the tree has %s, which is the sandbox's own", p)
	case fixed && (e.Type().IsRegular() || link != "" && link == b.Link):
		return nil // the toolchain's is seen
	case fixed, v.dirs[p] && !e.IsDir():
		return sandbox.Failf(sandbox.Conflict, "the tree's %s stands where the toolchain is", p)
	case v.dirs[p]:
		return v.merge(p)
	case v.taken(p, link):
		return sandbox.Failf(sandbox.Conflict, "both the tree and the image have %s", p)
	case link != "" && v.under != "" && v.same(p, link):
		// the image's is seen
	case link != "":
		v.add("--symlink", link, p)
	case e.IsDir() || e.Type().IsRegular():
		v.add("--ro-bind", source, p)
	default:
		return sandbox.Failf(sandbox.Conflict, "the tree's %s is neither file, directory nor link", p)
	}
	return nil
}
