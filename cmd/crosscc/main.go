// Command crosscc is the wrapper: a build starts it in the compiler's place,
// once for each command. See its internal/wrapper.
package main

import (
	"os"

	"github.com/crosscc/crosscc/cmd/crosscc/internal/wrapper"
)

func main() {
	env := wrapper.Env{Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(wrapper.Main(env, os.Args))
}
