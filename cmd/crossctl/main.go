// Crossctl is the tool for people: it shows what crosscc does and why. Start
// with internal/control.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/crosscc/crosscc/cmd/crossctl/internal/control"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	executable, _ := os.Executable() // without it crossccd is looked for on PATH
	env := control.Env{Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Executable: executable}
	exit := control.Main(ctx, env, os.Args[1:])
	stop()
	os.Exit(exit)
}
