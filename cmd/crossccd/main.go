// Command crossccd is crosscc's daemon: `serve` on a helper, `agent` on a
// client. The program is daemon.Main; this file only lends it the process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/crosscc/crosscc/cmd/crossccd/internal/daemon"
	"github.com/crosscc/crosscc/sandbox/prove"
)

func main() {
	if handled, exit := prove.Main(os.Args[1:]); handled {
		os.Exit(exit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	env := daemon.Env{Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ()}
	exit := daemon.Main(ctx, env, os.Args[1:])
	stop()
	os.Exit(exit)
}
