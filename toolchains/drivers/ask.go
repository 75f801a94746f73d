package drivers

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// An Asker puts one question to a driver, in as many runs as it takes, and notes
// the files that the answer rests on. [Recall] gives one to who asks; its methods
// may be called from several goroutines at once, but for [Asker.Clang].
type Asker struct {
	System
	digests *digests

	mu    sync.Mutex
	looks map[string]stamp // each name the answer depends on, as it was before it was used

	// fleeting: the answer depends on more than looks, and must not be kept.
	fleeting bool
}

// NewAsker is for questions whose answers nobody keeps; see [Recall].
func NewAsker(sys System) *Asker {
	a := &Asker{System: sys, digests: &digests{}, looks: map[string]stamp{}}
	if sys.Cache != nil {
		a.digests = &sys.Cache.digests
	}
	return a
}

// Look notes that the answer rests on how name stands now, there or not. It comes
// before any use of the file.
func (a *Asker) Look(name string) { a.look(name) }

func (a *Asker) look(name string) stamp {
	s := stampOf(a.Root, name)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.looks[name]; !ok {
		a.looks[name] = s
	}
	return s
}

// Executable looks whether name leads to a regular file that may be run.
func (a *Asker) Executable(name string) bool {
	s := a.look(name)
	return s.Mode&unix.S_IFMT == unix.S_IFREG && s.Mode&0o111 != 0
}

// Find searches a bare name in the directories of PATH, as execvp does, and
// looks at each place before the one where it is.
func (a *Asker) Find(name string) string {
	if name == "" || strings.Contains(name, "/") {
		return name
	}
	for dir := range strings.SplitSeq(a.env("PATH"), ":") {
		if file := path.Join(dir, name); path.IsAbs(dir) && a.Executable(file) {
			return file
		}
	}
	return ""
}

// Ask runs a program in the C locale. Words are compared and parsed.
func (a *Asker) Ask(ctx context.Context, file string, stdin []byte, words ...string) (Output, error) {
	out, err := a.Run(ctx, Program{Path: file, Args: words, Env: plainEnv(), Stdin: stdin})
	if err != nil {
		return out, fmt.Errorf("run %s %s: %w", file, strings.Join(words, " "), err)
	}
	return out, nil
}

// plainEnv is the environment of a question, over whatever else the program is
// given. COLUMNS moves the line breaks of gcc's option tables; clang's driver
// puts the directories of a build's include variables into its answer.
func plainEnv() []string {
	return []string{
		"LC_ALL=C", "LANGUAGE=", "COLUMNS=80",
		"CPATH=", "C_INCLUDE_PATH=", "CPLUS_INCLUDE_PATH=", "OBJC_INCLUDE_PATH=", "OBJCPLUS_INCLUDE_PATH=",
	}
}

// Must is Ask for a question whose answer can't be missed.
func (a *Asker) Must(ctx context.Context, file string, stdin []byte, words ...string) (Output, error) {
	out, err := a.Ask(ctx, file, stdin, words...)
	if err == nil && out.Status != 0 {
		err = fmt.Errorf("%s %s: status %d: %s", file, strings.Join(words, " "), out.Status, FirstLine(out.Stderr))
	}
	return out, err
}

// FirstLine is a program's first line, cut to what fits into a message.
func FirstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line[:min(len(line), 200)])
}

// Same reports whether two names lead to one file, or both nowhere.
func (a *Asker) Same(x, y string) bool { return a.look(x) == a.look(y) }

// Digest looks at a regular file and gives the hex SHA-256 of its contents.
func (a *Asker) Digest(ctx context.Context, name string) (string, error) {
	a.look(name)
	return a.digests.file(ctx, a.Root, name)
}
