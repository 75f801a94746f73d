package control

import (
	"fmt"
	"path/filepath"

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

// unwrapped is args without a leading crosscc: people paste what make printed.
func unwrapped(args []string) []string {
	if len(args) > 1 && filepath.Base(args[0]) == "crosscc" {
		return args[1:]
	}
	return args
}
