// Package closure finds out what a program needs to see in order to run: its
// links, its interpreter and its libraries. Start with [Of]; a [Cache] remembers.
package closure

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Bind is one entry of what a program needs to see. Dest is a physical path
// inside: no component before its last is a link.
type Bind struct {
	Dest   string
	Source string // host file to show read-only, or "" for a link or a directory
	Link   string // text of a symbolic link, or "" for a file or a directory
}

// Of lists what must be visible for programs to run, sorted by Dest: each
// program with every link on its way (merged /usr, alternatives, versions), the
// directories its spelling passes through, its interpreter and its libraries.
//
// The libraries are those that the loader itself names (ld.so --list, X17).
// Inside there is no loader cache and no /proc, so a library that the host
// finds by its cache or by the program's $ORIGIN would be lost: such a one is
// shown a second time in the directory where libc is, which every loader
// searches, unless another file has that name.
//
// With a root that is not this machine's own ("/" or "") every name is one below
// it: links are followed within it, Source leads to it, and list is asked for the
// libraries.
func Of(programs []string, root string, list Lister) ([]Bind, error) {
	c, err := find(programs, root, list)
	if err != nil {
		return nil, err
	}
	return c.list(), nil
}

// A Lister says what `LOADER --list PROGRAM` prints in another root, whose loader
// is a stranger's and must not run as this process does. It is bounded in time.
type Lister func(root, loader, program string) (string, error)

type closure struct {
	root      string // "" for this machine's own
	lister    Lister
	binds     map[string]Bind
	libraries map[string]string // path as the loader spells it → name looked for
	seen      map[string]stamp  // everything looked at, for the cache
	done      map[string]bool   // real programs whose needs are known
}

func find(programs []string, root string, list Lister) (*closure, error) {
	c := &closure{
		root: ownRoot(root), lister: list,
		binds: map[string]Bind{}, libraries: map[string]string{}, seen: map[string]stamp{}, done: map[string]bool{},
	}
	for _, p := range programs {
		if err := c.program(p, 0); err != nil {
			return nil, fmt.Errorf("closure of %s: %w", p, err)
		}
	}
	return c, c.aliases()
}

// ownRoot spells this machine's own root in one way.
func ownRoot(root string) string {
	if root == "/" {
		return ""
	}
	return root
}

// host is where a physical name below the root is on this machine.
func (c *closure) host(p string) string { return filepath.Join("/", c.root, p) }

func (c *closure) list() []Bind {
	return slices.SortedFunc(maps.Values(c.binds), func(a, b Bind) int { return strings.Compare(a.Dest, b.Dest) })
}

// maxLinks is the kernel's own bound for one path.
const maxLinks = 40

// walk follows name to the regular file at its end.
func (c *closure) walk(name string) (string, error) {
	at, err := c.resolve(name)
	if err != nil {
		return "", err
	}
	return at, c.file(at)
}

// resolve follows name as the kernel would with this root, notes each directory
// and link on the way, and returns the physical path at its end.
func (c *closure) resolve(name string) (string, error) {
	if !filepath.IsAbs(name) {
		return "", fmt.Errorf("%q is not an absolute path", name)
	}
	at, rest, links := "/", strings.Split(name, "/"), 0
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		next, target, err := c.step(at, word)
		if err != nil {
			return "", err
		}
		if at = next; target == "" {
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: %w", name, unix.ELOOP)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// step goes from the directory at to word; for a link it stays and returns the
// link's text.
func (c *closure) step(at, word string) (next, target string, err error) {
	switch word {
	case "", ".":
		return at, "", nil
	case "..":
		return path.Dir(at), "", nil
	}
	p := path.Join(at, word)
	info, err := c.lstat(p)
	if err != nil {
		return "", "", err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err = os.Readlink(c.host(p))
		c.binds[p] = Bind{Dest: p, Link: target}
		return at, target, err
	}
	if info.IsDir() {
		c.binds[p] = Bind{Dest: p}
	}
	return p, "", nil
}

func (c *closure) file(p string) error {
	info, err := c.lstat(p)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", p)
	}
	c.binds[p] = Bind{Dest: p, Source: c.host(p)}
	return nil
}

func (c *closure) lstat(p string) (fs.FileInfo, error) {
	info, err := os.Lstat(c.host(p))
	if err == nil {
		c.seen[p] = stampOf(info)
	}
	return info, err
}

// program adds a program and what it needs; depth counts scripts whose
// interpreter is a script again.
func (c *closure) program(name string, depth int) error {
	real, err := c.walk(name)
	if err != nil || c.done[real] {
		return err
	}
	c.done[real] = true
	interpreter, script, err := needs(c.host(real))
	switch {
	case err != nil:
		return err
	case interpreter == "": // static
		return nil
	case !script:
		return c.loaded(interpreter, real)
	case depth == 4: // the kernel's bound
		return fmt.Errorf("%s: too many interpreters", name)
	}
	return c.program(interpreter, depth+1)
}

// needs names the ELF interpreter of a program, or the one of a script.
func needs(real string) (interpreter string, script bool, err error) {
	f, err := os.Open(real)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode()&0o111 == 0 {
		return "", false, err // data that a program reads
	}
	head := io.NewSectionReader(f, 0, 256) // the kernel's bound for a script's first line
	line, _ := bufio.NewReader(head).ReadString('\n')
	if words := strings.Fields(strings.TrimPrefix(line, "#!")); strings.HasPrefix(line, "#!") && len(words) > 0 {
		return words[0], true, nil
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return "", false, fmt.Errorf("neither ELF nor script: %w", err)
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < unix.PathMax {
			b := make([]byte, p.Filesz)
			_, err := p.ReadAt(b, 0)
			return strings.TrimRight(string(b), "\x00"), false, err
		}
	}
	return "", false, nil
}

// loaded adds a dynamic program's loader and libraries.
func (c *closure) loaded(loader, program string) error {
	if _, err := c.walk(loader); err != nil {
		return err
	}
	// A new library changes what the loader finds: ldconfig writes this then.
	_, _ = c.lstat("/etc/ld.so.cache")
	libraries, err := c.ask(loader, program)
	if err != nil {
		return err
	}
	for name, at := range libraries {
		if _, err := c.walk(at); err != nil {
			return fmt.Errorf("library %s: %w", name, err)
		}
		c.libraries[at] = name
	}
	return nil
}

// ask has the loader list a program's libraries by name and place. The program
// itself does not run.
func (c *closure) ask(loader, program string) (map[string]string, error) {
	if c.root == "" {
		return askHere(loader, program)
	}
	if c.lister == nil {
		return nil, fmt.Errorf("libraries of %s below %s: no sandbox to ask its loader in", program, c.root)
	}
	text, err := c.lister(c.root, loader, program)
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", loader, err)
	}
	return parseList(text)
}

// askHere asks a loader of this machine's own.
func askHere(loader, program string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, loader, "--list", program)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Dir = "/"
	out, err := cmd.Output()
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%s --list: %w: %s", loader, err, bytes.TrimSpace(append(out, ee.Stderr...)))
	}
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", loader, err)
	}
	return parseList(string(out))
}

// parseList reads the lines "name => /path (address)". Lines without an arrow
// are the kernel's own object and the loader.
func parseList(text string) (map[string]string, error) {
	libraries := map[string]string{}
	for line := range strings.Lines(text) {
		name, at, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if !ok {
			continue
		}
		if i := strings.LastIndex(at, " ("); i >= 0 {
			at = at[:i]
		}
		if !filepath.IsAbs(at) {
			return nil, fmt.Errorf("library %s is %s", name, at)
		}
		libraries[name] = at
	}
	return libraries, nil
}

// aliases shows each library from elsewhere beside libc as well, where the name
// is free. It comes last: what a program names by a place of its own wins.
func (c *closure) aliases() error {
	home := c.libcDir()
	if home == "" {
		return nil
	}
	dir, err := c.resolve(home)
	if err != nil {
		return err
	}
	for _, at := range slices.Sorted(maps.Keys(c.libraries)) {
		name := c.libraries[at]
		if path.Dir(at) == home || strings.Contains(name, "/") {
			continue
		}
		source, err := c.walk(at)
		if err != nil {
			return err
		}
		alias := path.Join(dir, name)
		if _, taken := c.binds[alias]; !taken {
			c.binds[alias] = Bind{Dest: alias, Source: c.host(source)}
		}
	}
	return nil
}

// libcDir is a directory that the loader searches by itself: where it found libc.
func (c *closure) libcDir() string {
	for _, at := range slices.Sorted(maps.Keys(c.libraries)) {
		if strings.HasPrefix(c.libraries[at], "libc.so") {
			return path.Dir(at)
		}
	}
	return ""
}
