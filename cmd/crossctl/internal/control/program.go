package control

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
)

// inPath finds a program in the PATH of environ; relative entries are passed
// over.
func inPath(environ []string, name string) (string, error) {
	for _, dir := range filepath.SplitList(local.Getenv(environ, "PATH")) {
		path := filepath.Join(dir, name)
		if filepath.IsAbs(dir) && rendezvous.Executable(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in PATH", name)
}

// compiler finds the program that word would run if crosscc were not there, as
// the wrapper does (cmd/crosscc): links that lead back to crosscc or to another
// launcher are passed over. argv0 is word, or the program where word alone would
// lead to such a link. A program that is not found is "".
func compiler(environ []string, word string) (program, argv0 string) {
	name := filepath.Base(word)
	if strings.Contains(word, "/") {
		if !rendezvous.Executable(word) {
			return "", word
		}
		if !launcher(word, name) {
			return word, word
		}
	}
	passed := strings.Contains(word, "/")
	for _, dir := range filepath.SplitList(local.Getenv(environ, "PATH")) {
		if dir == "" {
			dir = "." // as execvp has it
		}
		path := dir + "/" + name
		switch {
		case !rendezvous.Executable(path):
		case launcher(path, name):
			passed = true
		case passed:
			return path, path
		default:
			return path, word
		}
	}
	return "", word
}

// launcher tells whether path, called as name, leads to a program that calls
// compilers. One that is called by its own name is what was asked for.
func launcher(path, name string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	switch base := filepath.Base(real); base {
	case "crosscc":
		return true
	case "ccache", "distcc", "icecc", "sccache":
		return base != name
	}
	return false
}

// unwrapped is args without a leading crosscc: people paste what make printed.
func unwrapped(args []string) []string {
	if len(args) > 1 && filepath.Base(args[0]) == "crosscc" {
		return args[1:]
	}
	return args
}
