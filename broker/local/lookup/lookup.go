// Package lookup finds the compiler that a build would run if crosscc were not
// there. The wrapper asks it before anything else, crossctl for explain. Start
// with Finder.Find.
package lookup

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/crosscc/crosscc/broker/local"
)

// A Finder looks for compilers, past every link that leads to crosscc again or
// to another program of its kind: two of them that find each other's links
// call each other for ever.
type Finder struct {
	path string         // $PATH
	own  syscall.Stat_t // of the running program; zero when unknown
	head []byte         // its first bytes, read when needed
	exe  string         // where to read them
}

// Self makes the wrapper's own finder; arg0 is its argv[0], for where /proc is
// not mounted.
func Self(environ []string, arg0 string) *Finder {
	f := Beside(environ, "/proc/self/exe")
	if f.own.Ino == 0 {
		f.exe = f.byName(arg0)
		_ = syscall.Stat(f.exe, &f.own)
	}
	return f
}

// Beside makes a finder for whoever is not the wrapper but knows where it is:
// exe, which need not be there.
func Beside(environ []string, exe string) *Finder {
	f := &Finder{path: local.Getenv(environ, "PATH"), exe: exe}
	if syscall.Stat(exe, &f.own) != nil {
		f.own = syscall.Stat_t{}
	}
	return f
}

// byName is where the shell found us.
func (f *Finder) byName(arg0 string) string {
	if strings.Contains(arg0, "/") {
		return arg0
	}
	name, _ := f.search(arg0, func(string, string, *syscall.Stat_t) bool { return true })
	return name
}

// Call finds the program for words, of which the first is the compiler as
// called, and the words for it. Where that name would lead to a launcher's link,
// argv[0] becomes the program's path: gcc finds cc1 and its own other parts by
// argv[0]. A program that is not found is "".
func (f *Finder) Call(words []string) (program string, args []string) {
	program, plain := f.Find(words[0])
	if program != "" && !plain {
		return program, append([]string{program}, words[1:]...)
	}
	return program, words
}

// Find returns the compiler's path, "" when there is none; plain says that the
// word alone leads there. A path is taken as it is unless it leads to a
// launcher: then its base name is looked up.
func (f *Finder) Find(word string) (program string, plain bool) {
	name := filepath.Base(word)
	if strings.Contains(word, "/") {
		st, ok := executable(word)
		if !ok {
			return "", false
		}
		if f.compiler(word, name, st) {
			return word, true
		}
		program, _ = f.search(name, f.compiler)
		return program, false
	}
	return f.search(name, f.compiler)
}

// executable tells whether path is a regular file that this user may run, and
// what it is.
func executable(path string) (*syscall.Stat_t, bool) {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || syscall.Access(path, 1) != nil {
		return nil, false
	}
	return &st, true
}

// search goes through PATH as execvp does; first says that nothing executable
// of that name was passed over.
func (f *Finder) search(name string, good func(path, name string, st *syscall.Stat_t) bool) (program string, first bool) {
	first = true
	for _, dir := range filepath.SplitList(f.path) {
		if dir == "" {
			dir = "." // an empty entry is the working directory
		}
		path := dir + "/" + name
		st, ok := executable(path)
		if !ok {
			continue
		}
		if good(path, name, st) {
			return path, first
		}
		first = false
	}
	return "", false
}

// compiler tells that path, called as name, is neither crosscc nor a link of a
// launcher. A launcher called by its own name is what the user asked for.
func (f *Finder) compiler(path, name string, st *syscall.Stat_t) bool {
	if f.isOwn(path, st) {
		return false
	}
	switch base := realName(path); base {
	case "crosscc", "":
		return false
	case "ccache", "distcc", "icecc", "sccache":
		return base == name
	}
	return true
}

// maxLinks is the kernel's own bound.
const maxLinks = 40

// realName is the base name of the file that path leads to, "" where that has no
// end. Links among the directories are the kernel's to follow.
func realName(path string) string {
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			return filepath.Base(path) // no link
		}
		if !strings.HasPrefix(target, "/") {
			dir, _ := filepath.Split(path)
			target = dir + target
		}
		path = target
	}
	return ""
}

// isOwn tells that path is the running program, a link to it or a copy.
func (f *Finder) isOwn(path string, st *syscall.Stat_t) bool {
	if f.own.Ino == 0 {
		return false
	}
	if st.Dev == f.own.Dev && st.Ino == f.own.Ino {
		return true
	}
	if st.Size != f.own.Size {
		return false
	}
	if f.head == nil {
		f.head = headOf(f.exe)
	}
	return len(f.head) > 0 && bytes.Equal(f.head, headOf(path))
}

// headSize takes in the ELF notes: Go's build id tells programs apart.
const headSize = 8192

func headOf(name string) []byte {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	head, err := io.ReadAll(io.LimitReader(file, headSize))
	if err != nil {
		return nil
	}
	return head
}
