package docker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/graft"
	"github.com/crosscc/crosscc/sandbox/internal/view"
)

// A stage is the root directory of a container's jobs, as it lies on the host.
// The container has it read-only, with the toolchain's files and two writable
// directories mounted in it once and for all; what is a job's own is put between
// these before the job, and taken away after it.
//
// Below the writable directories nothing of the stage is seen: a mount hides it. What
// a tree has there (a build in /tmp) lies in wait beside the stage, and process 1 of
// the container copies it in.
//
// What goes where is said by package view, in bubblewrap's words, so that both runners
// show the same root.
type stage struct {
	dir   string            // on the host
	late  string            // on the host, beside it: what is to be copied in
	fixed map[string]bool   // places that are there for every job
	binds map[string]string // host files to mount, by place; only of the fixed
	tmpfs map[string]int64  // sizes of the writable directories, by place
	own   []string          // places that the job on stage has, parents first

	dressed string   // which programs are there as copies, by their key; "" for none
	clothes []string // the places of these, parents first
}

// fixedWords say what all jobs with these programs share, and a container's mounts
// with it. All of an image is mounted around the directories that the tree has too, so
// then they depend on the tree.
func fixedWords(s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) ([]string, error) {
	if !s.Whole {
		return view.Of(&sandbox.Spec{Path: "/none", Args: []string{"none"}, Dir: "/", Out: s.Out}, binds, l)
	}
	words, err := view.Of(s, binds, l)
	var kept []string
	for i, w := range words {
		switch {
		case w == "--":
			return append(kept, w, "none"), err
		case w == "--ro-bind" && strings.HasPrefix(words[i+1], s.Root+"/"), w == "--dev-bind":
			kept = append(kept, words[i:i+3]...)
		case w == "--size":
			kept = append(kept, words[i:i+4]...)
		}
	}
	return nil, err
}

// newStage makes the part that is for every job. waits are those of its places that
// lie in wait, as enter's.
func newStage(dir, late string, fixed []string) (g *stage, waits []string, err error) {
	g = &stage{dir: dir, late: late, fixed: map[string]bool{"/": true}, binds: map[string]string{}, tmpfs: map[string]int64{}}
	_, err = g.play(fixed, nil, g.mount)
	waits = g.waits()
	for _, p := range g.own {
		g.fixed[p] = true
	}
	g.own = nil
	return g, waits, err
}

// enter puts a job's own files on the stage, and returns the program by the name
// that it is to be called by, and which places wait to be copied in, parents first.
// clear takes them away, after an error too.
func (g *stage) enter(s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) (program string, waits []string, err error) {
	words, err := view.Of(s, binds, l)
	if err != nil {
		return "", nil, err
	}
	program, err = g.play(words, s, g.graft)
	if err != nil {
		err = &sandbox.Failure{Kind: sandbox.Setup, Detail: "lay out the root", Err: err}
	}
	return program, g.waits(), err
}

// dress puts copies of programs on the stage, where they stay until others are asked
// for. They are no links, because that would change the files that they are of: others
// go by the time of a file's last change.
func (g *stage) dress(key string, s *sandbox.Spec, l sandbox.Limits, binds []sandbox.Bind) error {
	if g.dressed == key {
		return nil
	}
	if err := g.undress(); err != nil {
		return err
	}
	words, err := fixedWords(s, l, binds)
	if err == nil {
		_, err = g.play(words, nil, g.copy)
	}
	g.clothes, g.own = g.own, nil
	for _, p := range g.clothes {
		g.fixed[p] = true
	}
	if err != nil {
		return errors.Join(err, g.undress())
	}
	g.dressed = key
	return nil
}

func (g *stage) undress() error {
	g.dressed = ""
	for i := len(g.clothes) - 1; i >= 0; i-- {
		p := g.clothes[i]
		if err := os.RemoveAll(g.host(p)); err != nil {
			return err // they stay noted
		}
		delete(g.fixed, p)
		g.clothes = g.clothes[:i]
	}
	return nil
}

// play does what bubblewrap's words say; s is nil but for a job's part. show has a
// file or directory of the host's at a place.
func (g *stage) play(words []string, s *sandbox.Spec, show func(source, p string) error) (program string, err error) {
	for len(words) > 1 {
		word, rest := words[0], words[1:]
		taken := 2
		switch {
		case word == "--":
			return rest[0], nil
		case word == "--size" && len(rest) > 2 && rest[1] == "--tmpfs":
			taken = 3
			err = g.scratch(rest[2], rest[0])
		case word == "--dir":
			taken = 1
			err = g.directory(rest[0])
		case word == "--remount-ro", word == "--chdir":
			taken = 1
		case len(rest) < 2:
			err = fmt.Errorf("unknown word %q", word)
		case word == "--symlink":
			err = g.link(rest[0], rest[1])
		case word == "--ro-bind" || word == "--dev-bind":
			err = show(rest[0], rest[1])
		case word == "--ro-bind-data" && s != nil:
			err = g.text(s, rest[0], rest[1])
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return "", err
		}
		words = rest[taken:]
	}
	return "", errors.New("no program")
}

func (g *stage) host(p string) string {
	if g.hidden(p) {
		return filepath.Join(g.late, p)
	}
	return filepath.Join(g.dir, p)
}

// hidden tells whether p lies below a writable directory.
func (g *stage) hidden(p string) bool {
	for d := range g.tmpfs {
		if strings.HasPrefix(p, d+"/") {
			return true
		}
	}
	return false
}

// waits are the job's places that lie in wait.
func (g *stage) waits() (list []string) {
	for _, p := range g.own {
		if g.hidden(p) {
			list = append(list, p)
		}
	}
	return list
}

// place makes something at p by f, unless it is there for every job, and the
// directories on its way. No word goes through a link, and nobody else can change
// the stage, so plain names do.
func (g *stage) place(p string, f func(host string) error) error {
	if g.fixed[p] {
		return nil
	}
	for d := path.Dir(p); d != "/"; d = path.Dir(d) {
		if g.binds[d] != "" { // it would not be seen
			return fmt.Errorf("%s lies below the mount %s", p, d)
		}
	}
	if err := g.directory(path.Dir(p)); err != nil {
		return err
	}
	g.own = append(g.own, p)
	return f(g.host(p))
}

func (g *stage) directory(p string) error {
	if info, err := os.Lstat(g.host(p)); g.fixed[p] || err == nil && info.IsDir() {
		return nil
	}
	return g.place(p, graft.Dir)
}

func (g *stage) scratch(p, size string) error {
	if g.fixed[p] {
		return nil
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	if err := errors.Join(g.directory(p), os.MkdirAll(filepath.Join(g.late, p), 0o755)); err != nil {
		return err
	}
	g.tmpfs[p] = n
	// runc gives a tmpfs the mode of the directory that it is mounted on. Sticky, so
	// that what a job can change of it is its own.
	return os.Chmod(g.host(p), 0o777|fs.ModeSticky)
}

func (g *stage) link(text, p string) error {
	return g.place(p, func(host string) error { return os.Symlink(text, host) })
}

func (g *stage) text(s *sandbox.Spec, number, p string) error {
	n, err := strconv.Atoi(number)
	names := view.Texts(s)
	if err != nil || n < view.FirstText || n-view.FirstText >= len(names) {
		return fmt.Errorf("no text for descriptor %s", number)
	}
	return g.place(p, func(host string) error {
		return graft.File(host, 0o444, func(f *os.File) error {
			_, err := io.WriteString(f, s.Texts[names[n-view.FirstText]])
			return err
		})
	})
}

// mount has a file or directory of the host's at p for as long as there is the
// container.
func (g *stage) mount(source, p string) error {
	g.binds[p] = source
	if g.hidden(p) { // the mount makes its place itself
		g.fixed[p] = true
		return g.directory(path.Dir(p))
	}
	return g.place(p, func(host string) error {
		if info, err := os.Lstat(source); err == nil && info.IsDir() {
			return graft.Dir(host)
		}
		return graft.File(host, 0o444, func(*os.File) error { return nil })
	})
}

// graft has it at p as links where that can be, else as copies.
func (g *stage) graft(source, p string) error {
	return g.place(p, func(host string) error { return graft.Onto(source, host) })
}

// copy has it at p as copies.
func (g *stage) copy(source, p string) error {
	return g.place(p, func(host string) error { return graft.Copy(source, host) })
}

// clear takes the job's own files off the stage.
func (g *stage) clear() error {
	var errs []error
	for i := len(g.own) - 1; i >= 0; i-- {
		errs = append(errs, os.RemoveAll(g.host(g.own[i])))
	}
	g.own = nil
	return errors.Join(errs...)
}
